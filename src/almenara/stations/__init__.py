"""Sensors at the coast: drivers turn bytes into packets and reports.

One module per protocol in ``drivers``. A driver connects, yields reports and gives up
on the first error; ``session`` retries, counts and reports health, so no driver does.
``addresses`` decides what may be connected to before anything is opened; ``decode``
turns packets into luma in a disposable process.
"""

from collections.abc import AsyncIterator
from typing import Protocol

from almenara.core.ais import AisReport
from almenara.core.media import Packet
from almenara.core.radar import RadarReport

__all__ = ["Driver", "Report"]

Report = Packet | AisReport | RadarReport


class Driver(Protocol):
    """One connection to one sensor."""

    def reports(self) -> AsyncIterator[Report]:
        """Connect and yield reports until the connection ends.

        Raises:
            StationUnreachableError: The sensor does not answer; the session retries.
            StationRejectedError: It refuses; the session tells the operator and stops.
        """
        ...
