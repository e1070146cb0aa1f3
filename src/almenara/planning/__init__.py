"""Where to look next: coverage, revisit times, sizing and budget of a coast.

Its turn comes later. What will live here: which water each station sees now, with its
air and horizon; how often each place must be looked at again; what a coast needs in
masts and lenses, and what it costs. Pure functions over ``geo``.
"""
