"""The words every other package uses: ids, time, errors, labels and travelling values.

* ``ids``     names of things, told apart by the type checker
* ``time``    the clock port and the manual clock
* ``errors``  the tree of deliberate errors
* ``labels``  purpose, sensitivity, exercise: what every record carries
* ``values``  counts and directions that belong to no single stage
* ``media``   packets and frames
* ``coast``   stations, cameras, poses, zones: what stands on the shore
* ``ais``     what a ship said of itself

Nothing here reads a clock, opens a file or knows a protocol.
"""
