"""Where to look next: how far each station sees, how often, and how sharply.

* ``coverage``   range for a task: horizon, pixels or air, and which of them binds
* ``revisit``    scans of narrow lenses: how long a place goes unseen
* ``baseline``   what two bearings from two stations are worth

Pure functions over ``geo``; later also sizing and budget of a whole coast.
"""
