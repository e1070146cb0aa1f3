"""A coast without cameras: the same reports as a real one, from a seed.

* ``scenario``, ``scenario_file``  what is where, and how it is written down
* ``world``, ``geometry``          the truth at any second, and where a camera sees it
* ``sea``, ``light``, ``shade``    the picture without things in it
* ``shapes``, ``paint``, ``render``, ``truth``  things, and what is true of them
* ``clip``, ``clips``, ``footage`` coded pictures: in memory, kept, handed out
* ``rtp``, ``rtsp_server``, ``ais_server``  on the wire
* ``serve``                        all of it as a process

A scenario is added as a TOML file in ``scenarios``.
"""

from almenara.simulation.scenario import Scenario, stations, zones
from almenara.simulation.scenario_file import load_scenario, packaged

__all__ = ["Scenario", "load_scenario", "packaged", "stations", "zones"]
