"""A driver that plays a script: each connection is the next line of it."""

from collections.abc import AsyncIterator

from almenara.core.errors import StationRejectedError, StationUnreachableError
from almenara.core.ids import StationId
from almenara.stations import Report

TARIFA = StationId("tarifa")
DOWN = StationUnreachableError(TARIFA, "no route")
REFUSED = StationRejectedError(TARIFA, "bad password")


class ScriptedDriver:
    """Fulfils ``stations.Driver``; when the script is over, the station refuses."""

    def __init__(self, *script: Report | Exception) -> None:
        self._script = [*script, REFUSED]

    async def reports(self) -> AsyncIterator[Report]:
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        yield step
