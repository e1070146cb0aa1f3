"""Who needs help and who coordinates it: assessment, phases, custody, drift, search.

Its turn comes later. What will live here: the ten factors of an assessment, in which
*unknown* never counts as safe; the phases and SITREP of the SAR Convention; custody of
coordination, so that exactly one centre coordinates at every instant; drift and search
areas.
"""
