"""Rules about what the watch itself is worth: AIS that does not add up, dim pictures.

Nothing here accuses anybody: a number used twice is as often a careless installer as
anything else.

Source: docs/design/alarms.md, "Rules"; docs/design/tracking.md, "AIS integrity".
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from almenara.core.coast import Camera
from almenara.core.ids import CameraId
from almenara.detection import Condition
from almenara.geo.geodesy import inverse
from almenara.incidents.alarm import Alert, Priority, Reason, Subject, SubjectKind
from almenara.incidents.alerting import instant
from almenara.incidents.thresholds import DEFAULT, Thresholds
from almenara.tracking.integrity import Anomaly, AnomalyKind

_PRIORITIES = {
    AnomalyKind.DUPLICATE: Priority.WARNING,
    AnomalyKind.TELEPORT: Priority.CAUTION,
    AnomalyKind.JAMMED: Priority.WARNING,
    AnomalyKind.SILENT: Priority.CAUTION,
    AnomalyKind.REMOTE: Priority.CAUTION,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraFacts:
    """How one camera does, as the node knows it."""

    camera_id: CameraId
    silent_for: timedelta = timedelta()
    """Since the last packet; zero while it sends."""

    condition: Condition = Condition.GOOD
    condition_for: timedelta = timedelta()
    """How long the picture has been worth this."""

    camera: Camera | None = None
    covered_by: tuple[CameraId, ...] = field(default=())
    """Which other cameras see most of the same water now."""


def camera_degraded(facts: CameraFacts, limits: Thresholds = DEFAULT) -> Alert | None:
    """A picture has been worth little for long: half a watch is told as one."""
    poor = facts.condition in (Condition.DEGRADED, Condition.LEARNING)
    if not poor or facts.condition_for < limits.degraded_after:
        return None
    reason = Reason(
        "degraded.camera",
        {
            "condition": facts.condition.value,
            "minutes": facts.condition_for / timedelta(minutes=1),
        },
    )
    covered = Reason("degraded.covered", {"cameras": ", ".join(facts.covered_by)})
    return Alert(
        rule="camera_degraded",
        rule_version=limits.version,
        subject=Subject(kind=SubjectKind.CAMERA, id=facts.camera_id),
        priority=Priority.CAUTION,
        is_rescue=False,
        because=(reason, *((covered,) if facts.covered_by else ())),
        unknown=() if facts.covered_by else ("other_cover",),
        suggested="check.station",
        position=None if facts.camera is None else facts.camera.pose.position,
        sensors=(facts.camera_id,),
    )


def ais_anomaly(anomaly: Anomaly, limits: Thresholds = DEFAULT) -> Alert:
    """A finding of AIS integrity, with both facts that contradict each other."""
    values: dict[str, float | str] = {
        "receiver": anomaly.receiver_id,
        "since": instant(anomaly.since),
        "ships": float(anomaly.ships),
    }
    if anomaly.mmsi is not None:
        values["mmsi"] = str(anomaly.mmsi)
    if anomaly.other_place is not None:
        values["apart_m"] = inverse(anomaly.place, anomaly.other_place)[0]
    if anomaly.seconds is not None:
        values["minutes"] = anomaly.seconds / 60.0
    if anomaly.mmsi is None:
        subject = Subject(kind=SubjectKind.RECEIVER, id=anomaly.receiver_id)
    else:
        subject = Subject(kind=SubjectKind.CONTACT, id=f"mmsi:{anomaly.mmsi}")
    return Alert(
        rule=f"ais_{anomaly.kind}",
        rule_version=limits.version,
        subject=subject,
        priority=_PRIORITIES[anomaly.kind],
        is_rescue=False,
        because=(Reason(f"ais.{anomaly.kind}", values),),
        unknown=("cause",),
        suggested="look.camera" if anomaly.mmsi is not None else "check.station",
        position=anomaly.place,
        sensors=(anomaly.receiver_id,),
        observed_at=anomaly.last_at,
    )


def ais_alerts(
    anomalies: Iterable[Anomaly], limits: Thresholds = DEFAULT
) -> list[Alert]:
    """An alert for each finding."""
    return [ais_anomaly(anomaly, limits) for anomaly in anomalies]
