"""The page itself: the static bundle, the coast, and an API reference without script.

The files are listed once at start; a request names an entry of that list or nothing, so
no path from outside ever reaches the file system.

Source: docs/design/first-light.md.
"""

import html
import re
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from almenara.console.gate import Caller, Gate, Needs, anybody
from almenara.console.problems import not_found
from almenara.evidence.access import Action

HASHED = re.compile(r"-[A-Za-z0-9_-]{8,}\.[a-z0-9]+$")
FOREVER = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"
TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".wav": "audio/wav",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain",
}


def static_router(bundle: Path, coast: Path | None) -> APIRouter:
    """Serve the bundle; an unknown page is the application, an unknown file is not."""
    api = APIRouter(include_in_schema=False)
    files = _listed(bundle)
    shore = coast if coast is not None and coast.is_file() else None

    @api.get("/coast/strait.geojson", dependencies=[Depends(anybody)])
    async def strait() -> Response:
        if shore is None:
            raise not_found()
        return _file(shore, REVALIDATE)

    @api.get("/{path:path}", dependencies=[Depends(anybody)])
    async def page(path: str) -> Response:
        is_page = "." not in path and not path.startswith("api/")
        found = files.get("index.html" if is_page else path)
        if found is None:
            raise not_found()
        return _file(found, FOREVER if HASHED.search(found.name) else REVALIDATE)

    return api


def reference_router(app: FastAPI, gate: Gate) -> APIRouter:
    """The API's document, a reading copy, and the metrics, each behind a role."""
    api = APIRouter(include_in_schema=False)
    reads = Needs(gate, Action.DOCS_READ)
    measures = Needs(gate, Action.METRICS_READ)

    @api.get("/openapi.json")
    async def document(_: Annotated[Caller, Depends(reads)]) -> Response:
        return JSONResponse(app.openapi())

    @api.get("/docs")
    async def reference(_: Annotated[Caller, Depends(reads)]) -> Response:
        return HTMLResponse(reading_copy(app.openapi()))

    @api.get("/metrics")
    async def metrics(_: Annotated[Caller, Depends(measures)]) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return api


def reading_copy(document: dict[str, Any]) -> str:
    """The OpenAPI document as a page without script."""
    rows = [
        f"<tr><td><code>{html.escape(method.upper())}</code></td>"
        f"<td><code>{html.escape(path)}</code></td>"
        f"<td>{html.escape(operation.get('summary', ''))}</td>"
        f"<td>{'yes' if operation.get('security') else 'no'}</td></tr>"
        for path, methods in sorted(document["paths"].items())
        for method, operation in methods.items()
    ]
    title = html.escape(document["info"]["title"])
    return (
        '<!doctype html><html lang="en" dir="ltr"><head><meta charset="utf-8">'
        f"<title>{title} API</title></head><body><h1>{title} API</h1>"
        '<p><a href="openapi.json">OpenAPI</a></p><table><thead><tr><th>Method</th>'
        "<th>Path</th><th>Summary</th><th>Session</th></tr></thead><tbody>"
        f"{''.join(rows)}</tbody></table></body></html>"
    )


def _listed(bundle: Path) -> dict[str, Path]:
    if not bundle.is_dir():
        return {}
    return {
        path.relative_to(bundle).as_posix(): path
        for path in sorted(bundle.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.suffix in TYPES
    }


def _file(path: Path, caching: str) -> Response:
    return FileResponse(
        path, media_type=TYPES[path.suffix], headers={"Cache-Control": caching}
    )
