"""Distress devices heard by AIS: one standing alert each, however rarely heard.

Position, status and text come in different messages, in any order, some of them never.
What was last said of each is kept until the device has been mute for long.

Source: ITU-R M.1371-5 annex 9; IMO SN.1/Circ.322; docs/design/alarms.md, "Rules".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from almenara.core.ais import AisReport
from almenara.incidents.alarm import Alert
from almenara.incidents.rules import distress_device
from almenara.incidents.thresholds import DEFAULT, Thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class DistressWatch:
    """All that is known of devices that call; a value, like the chronicle."""

    thresholds: Thresholds = DEFAULT
    reports: Mapping[int, AisReport] = field(default_factory=dict[int, AisReport])

    def heard(self, report: AisReport) -> "DistressWatch":
        """Take in a report; other ships' reports change nothing."""
        if not report.is_distress_device:
            return self
        old = self.reports.get(report.mmsi)
        merged = report
        if old is not None:
            merged = replace(
                report,
                position=report.position or old.position,
                text=report.text or old.text,
                navigation_status=(
                    old.navigation_status
                    if report.navigation_status is None
                    else report.navigation_status
                ),
            )
        return replace(self, reports={**self.reports, report.mmsi: merged})

    def alerts(self, now: datetime) -> tuple[Alert, ...]:
        """An alert for every device heard lately."""
        found = (
            distress_device(report, self.thresholds)
            for report in self.reports.values()
            if now - report.received_at <= self.thresholds.distress_ends_after
        )
        return tuple(alert for alert in found if alert is not None)
