"""How things move: local tracks per sensor, system tracks from all of them.

* ``observations``  what one sensor says of one thing at one instant
* ``association``   pairs observations with tracks, at least total cost
* ``local``         candidates of one camera over time: what persists exists
* ``filters``       predicts and updates
* ``fusion``        one system track for one boat, whoever saw it
* ``eyes``          how a camera would see the tracks
* ``antenna``       how a radar would hear them
* ``plots``         what radars report, as observations
* ``contacts``      a system track in the making
* ``crossings``     two bearings of one thing from two stations
* ``ais``           what ships broadcast, as far as a hull could do it
* ``integrity``     what does not add up in it
* ``picture``       the result: what the rules judge and people see

*Local* and *system track* are EUROCONTROL ASTERIX terms.
"""
