"""Plays a source for some seconds from the command line, by the console's own rules."""

from almenara.console.api.stations import Probe
from almenara.evidence.audit import AuditAction
from almenara.node.cli.acts import entry
from almenara.node.clock import SystemClock
from almenara.node.config import Config
from almenara.node.shore import Shore
from almenara.node.store.audit import SqlAuditLog
from almenara.node.store.database import open_store
from almenara.node.store.stations import SqlStationRegistry
from almenara.stations.addresses import AddressPolicy


async def probe(config: Config, url: str) -> Probe:
    """Say what a source sends; the attempt is in the audit before anything is opened.

    Raises:
        AddressRefusedError: Nothing was opened.
        StationError: It does not answer, or refuses.
    """
    clock = SystemClock()
    with open_store(config.store_place) as store:
        shore = Shore(
            registry=SqlStationRegistry(store),
            zones=(),
            policy=AddressPolicy(
                networks=config.stations.networks,
                files_under=config.stations.file_folders,
            ),
            clock=clock,
            formats=dict,
        )
        asked = entry(
            "station.probe",
            "station",
            "probe",
            at=clock.now(),
            action=AuditAction.COLLECTION,
        )
        await SqlAuditLog(store).record(asked)
        return await shore.probe(url, entry=asked)
