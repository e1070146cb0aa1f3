"""The store behind the ports; every engine must pass the same contract tests.

* ``database``      opens a store; one writer thread, readers beside it
* ``base``          what all tables share
* ``migrations``    the way to the schema of today
* ``recordings``    segments, fragments, gaps: the recorder's index
* ``alarms``        alarms and their trail
* ``accounts``      people, sessions, one-time links
* ``audit``         the audit, append-only
* ``stations``      the registry, in versions
* ``text``          values as JSON text
* ``track_points``  where contacts were, a file per day

To add a resource, declare its tables and functions in one module here and write the
next migration.
"""
