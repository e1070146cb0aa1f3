"""Rules about the way a contact goes: where it crosses, how fast, whither, and no more.

Source: docs/design/alarms.md, "Rules".
"""

from almenara.incidents.alarm import Alert, Priority, Reason
from almenara.incidents.alerting import contact_alert, instant, is_small, minutes
from almenara.incidents.situation import Situation
from almenara.incidents.thresholds import DEFAULT, Thresholds

SLOWEST_MPS = 0.2
"""For times to shore: a boat that does not move would never arrive."""


def line_crossed(situation: Situation, limits: Thresholds = DEFAULT) -> Alert | None:
    """A contact was surely on one side of a line, and is surely on the other."""
    lately = [
        fact for fact in situation.crossed if situation.at - fact.at <= limits.line_told
    ]
    if not lately:
        return None
    reasons = tuple(
        Reason(
            "line.crossed",
            {
                "line": fact.name,
                "direction": fact.direction.value,
                "at": instant(fact.at),
            },
        )
        for fact in lately
    )
    return contact_alert(
        "line_crossed",
        situation,
        limits,
        reasons,
        priority=Priority.WARNING,
        confidence=situation.existence,
    )


def fast_boat(situation: Situation, limits: Thresholds = DEFAULT) -> Alert | None:
    """Small, or of unknown size, and faster than boats are, over several looks."""
    if situation.fast_looks < limits.fast_looks or not is_small(situation, limits):
        return None
    reasons = [
        Reason(
            "fast.speed",
            {
                "speed_mps": situation.speed_mps,
                "speed_std_mps": situation.speed_std_mps,
                "probability": situation.fast_probability,
            },
        )
    ]
    if situation.shore is not None:
        way_m, std = situation.shore.distance_m, situation.speed_std_mps
        fastest = situation.speed_mps + 1.28 * std
        slowest = max(situation.speed_mps - 1.28 * std, SLOWEST_MPS)
        reasons.append(
            Reason(
                "fast.to_shore",
                {
                    "minutes_low": way_m / max(fastest, SLOWEST_MPS) / 60.0,
                    "minutes_high": way_m / slowest / 60.0,
                },
            )
        )
    return contact_alert(
        "fast_boat",
        situation,
        limits,
        tuple(reasons),
        priority=Priority.WARNING,
        confidence=min(situation.fast_probability, situation.existence),
        unknown=() if situation.shore is not None else ("shore",),
    )


def loitering(situation: Situation, limits: Thresholds = DEFAULT) -> Alert | None:
    """Much way and little progress, away from where that is ordinary."""
    fact = situation.loiter
    large_and_known = situation.has_ais and not is_small(situation, limits)
    if fact is None or fact.in_haven or large_and_known:
        return None
    if fact.lasted < limits.loiter_window or fact.path_m < limits.loiter_least_m:
        return None
    if fact.net_m >= limits.loiter_progress * fact.path_m:
        return None
    reasons = (
        Reason("loiter.path", {"path_m": fact.path_m, "net_m": fact.net_m}),
        Reason("loiter.minutes", {"minutes": minutes(fact.lasted)}),
    )
    return contact_alert(
        "loitering",
        situation,
        limits,
        reasons,
        priority=Priority.CAUTION,
        confidence=situation.existence,
        unknown=() if fact.havens_known else ("havens",),
    )


def landing(situation: Situation, limits: Thresholds = DEFAULT) -> Alert | None:
    """A contact came from the sea and met the shore outside a harbour."""
    fact = situation.landed
    if fact is None or situation.at - fact.at > limits.landing_told:
        return None
    reasons = (
        Reason("landing.at", {"at": instant(fact.at), "distance_m": fact.distance_m}),
        Reason("landing.from", {"distance_m": fact.farthest_m}),
    )
    return contact_alert(
        "landing",
        situation,
        limits,
        reasons,
        priority=Priority.ALARM,
        confidence=situation.existence,
        unknown=() if fact.havens_known else ("havens",),
    )


def launch(situation: Situation, limits: Thresholds = DEFAULT) -> Alert | None:
    """A small craft started from the shore outside a harbour."""
    fact = situation.launched
    if fact is None or situation.at - fact.at > limits.launch_told:
        return None
    if situation.has_ais or not is_small(situation, limits):
        return None
    reasons = (
        Reason("launch.at", {"at": instant(fact.at)}),
        Reason("launch.distance", {"distance_m": fact.farthest_m}),
    )
    return contact_alert(
        "launch",
        situation,
        limits,
        reasons,
        priority=Priority.WARNING,
        confidence=situation.existence,
        unknown=() if fact.havens_known else ("havens",),
    )


def predicted_landfall(
    situation: Situation, limits: Thresholds = DEFAULT
) -> Alert | None:
    """Most of what a small craft may do from here ends on a coast, and soon."""
    fact = situation.landfall
    if fact is None or situation.has_ais or not is_small(situation, limits):
        return None
    if situation.closing_for < limits.closing_sustained:
        return None  # any turn may point at some shore
    if fact.probability < limits.landfall_sure:
        return None
    reasons = [
        Reason(
            "landfall.when",
            {"earliest": instant(fact.earliest), "latest": instant(fact.latest)},
        ),
        Reason(
            "landfall.probability",
            {
                "probability": fact.probability,
                "hours": minutes(fact.horizon) / 60.0,
            },
        ),
    ]
    if fact.stretch_m is not None and fact.begins is not None:
        reasons.append(
            Reason(
                "landfall.stretch",
                {
                    "stretch_m": fact.stretch_m,
                    "latitude_deg": fact.begins.latitude_deg,
                    "longitude_deg": fact.begins.longitude_deg,
                },
            )
        )
    return contact_alert(
        "predicted_landfall",
        situation,
        limits,
        tuple(reasons),
        priority=Priority.WARNING,
        confidence=min(fact.probability, situation.existence),
        unknown=("course_kept",),
    )


def vanished(situation: Situation, limits: Thresholds = DEFAULT) -> Alert | None:
    """A small craft is seen no more where working cameras look: doubt is a rescue."""
    fact = situation.vanished
    if fact is None or fact.looks < 3:
        return None
    reasons = (
        Reason("vanished.last_seen", {"at": instant(fact.last_seen_at)}),
        Reason(
            "vanished.looks",
            {"count": float(fact.looks), "cameras": ", ".join(fact.watched_by)},
        ),
        Reason("vanished.known", {"minutes": minutes(fact.known_for)}),
    )
    return contact_alert(
        "vanished",
        situation,
        limits,
        reasons,
        priority=Priority.ALARM,
        confidence=situation.existence,
        is_rescue=True,
        unknown=("sea_state", "water_temperature"),
    )


def overdue(situation: Situation, limits: Thresholds = DEFAULT) -> Alert | None:
    """The latest time of arrival is over, and nobody saw an arrival."""
    fact = situation.expected
    if fact is None:
        return None
    late = situation.at - fact.latest
    if not limits.overdue_grace <= late <= limits.overdue_told:
        return None
    reasons = (
        Reason(
            "overdue.expected",
            {"latest": instant(fact.latest), "minutes": minutes(late)},
        ),
        Reason("overdue.last_seen", {"at": instant(fact.last_seen_at)}),
    )
    return contact_alert(
        "overdue",
        situation,
        limits,
        reasons,
        priority=Priority.ALARM,
        confidence=fact.probability,
        is_rescue=True,
        unknown=("course_kept",),
    )
