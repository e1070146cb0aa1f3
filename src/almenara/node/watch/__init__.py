"""The watch: pictures judged in processes of their own.

* ``frames``  what the node and a watch worker say to each other, as bytes
* ``worker``  the child: decodes, detects, follows; packets in, observations out
* ``pool``    the parent: deals cameras out, keeps a spare, starts again what died
* ``queue``   the bounded queue of one camera: what the watch gives up, it counts

A frame never leaves its worker (docs/adr/0007-local-tracks-in-the-worker.md).
"""
