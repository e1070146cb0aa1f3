"""Distress heard by AIS, by devices or in words: one standing alert each.

Position, status and text come in different messages, in any order, some of them never.
What was last said of each is kept until it has been mute for long. A ship that once
called for help is listened to like a device: what she says of her place moves the
alert, and nothing she says takes it back.

Source: ITU-R M.1371-5 annex 9; IMO SN.1/Circ.322; docs/design/alarms.md, "Rules".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from almenara.core.ais import AisReport
from almenara.incidents.alarm import Alert
from almenara.incidents.rules import distress_device, distress_text, says_distress
from almenara.incidents.thresholds import DEFAULT, Thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class DistressWatch:
    """All that is known of devices that call; a value, like the chronicle."""

    thresholds: Thresholds = DEFAULT
    reports: Mapping[int, AisReport] = field(default_factory=dict[int, AisReport])

    def heard(self, report: AisReport) -> "DistressWatch":
        """Take in a report; of ships that never called for help nothing is kept."""
        old = self.reports.get(report.mmsi)
        if not report.is_distress_device:
            if says_distress(report.text):
                merged = report if report.position else _at(report, old)
            elif old is not None and report.position is not None:
                merged = replace(old, position=report.position)
            else:
                return self
            return replace(self, reports={**self.reports, report.mmsi: merged})
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
        """An alert for every device and every caller heard lately."""
        found = (
            distress_device(report, self.thresholds)
            or distress_text(report, self.thresholds)
            for report in self.reports.values()
            if now - report.received_at <= self.thresholds.distress_ends_after
        )
        return tuple(alert for alert in found if alert is not None)


def _at(report: AisReport, old: AisReport | None) -> AisReport:
    return report if old is None else replace(report, position=old.position)
