"""Rules about contacts together: who meets whom, who goes in a row.

One situation is told once: of the contact that is known longest.

Source: docs/design/alarms.md, "Contacts together".
"""

from almenara.incidents.alarm import Alert, Priority, Reason
from almenara.incidents.alerting import contact_alert, is_small, minutes
from almenara.incidents.situation import Situation
from almenara.incidents.thresholds import DEFAULT, Thresholds


def rendezvous(situation: Situation, limits: Thresholds = DEFAULT) -> Alert | None:
    """Two contacts lie alongside for minutes, away from any harbour."""
    lasting = [
        fact
        for fact in situation.meetings
        if fact.lasted >= limits.rendezvous_sustained
    ]
    if not lasting or situation.near_haven:
        return None
    reasons = tuple(
        Reason(
            "rendezvous.with",
            {
                "contact": fact.other,
                "distance_m": fact.distance_m,
                "minutes": minutes(fact.lasted),
            },
        )
        for fact in lasting
    )
    return contact_alert(
        "rendezvous",
        situation,
        limits,
        reasons,
        priority=Priority.WARNING,
        confidence=situation.existence,
        unknown=("purpose",) if situation.havens_known else ("purpose", "havens"),
    )


def convoy(situation: Situation, limits: Thresholds = DEFAULT) -> Alert | None:
    """Three or more keep course, speed and distance together."""
    fact = situation.convoy
    if fact is None or fact.lasted < limits.convoy_sustained:
        return None
    if situation.has_ais and not is_small(situation, limits):
        return None
    reasons = (
        Reason("convoy.members", {"contacts": ", ".join(fact.members)}),
        Reason("convoy.minutes", {"minutes": minutes(fact.lasted)}),
    )
    return contact_alert(
        "convoy",
        situation,
        limits,
        reasons,
        priority=Priority.WARNING,
        confidence=situation.existence,
    )
