"""The offline coast of the strait, as GeoJSON; its origin and licence are in NOTICE.

Read it with ``importlib.resources.files("almenara.node.coast") / "strait.geojson"``.
Coordinates are longitude before latitude there, as RFC 7946 wants it.
"""
