"""A rule asked again about tracks that were kept: what it would have told, and when.

Nothing is raised and nothing is changed: the answer is a list. What the kept points do
not hold counts as unknown, so a rule may tell of a ship here that it passed over live.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from almenara.incidents.alarm import Alert
from almenara.incidents.rules import CONTACT_RULES, LOST_RULES, Rule, judge
from almenara.incidents.situation import Chronicle, Surroundings
from almenara.incidents.thresholds import DEFAULT, Thresholds
from almenara.tracking.picture import Picture


def rule_names() -> tuple[str, ...]:
    """The rules that can be asked again."""
    return tuple(rule.__name__ for rule in (*CONTACT_RULES, *LOST_RULES))


def rule_of(name: str) -> Rule:
    """The rule of a name.

    Raises:
        KeyError: There is none.
    """
    return {rule.__name__: rule for rule in (*CONTACT_RULES, *LOST_RULES)}[name]


@dataclass(slots=True)
class _Standing:
    """What holds now, and since when."""

    since: dict[str, tuple[datetime, Alert]] = field(default_factory=dict)


def replay(
    pictures: Iterable[Picture],
    rules: Iterable[Rule],
    around: Surroundings,
    *,
    limits: Thresholds = DEFAULT,
) -> Iterator[Mapping[str, Any]]:
    """Each time that a rule begins to tell of a contact, and when it stops.

    Args:
        pictures: In order of time.
        rules: Which to ask.
        around: Zones, shore, lines and havens as they are today.
        limits: Figures to ask with.
    """
    asked = tuple(rules)
    chronicle, standing = Chronicle(thresholds=limits), _Standing()
    last: datetime | None = None
    for picture in pictures:
        chronicle, situations = chronicle.read(
            picture,
            around.zones,
            around.shore,
            lines=around.lines,
            havens=around.havens,
            watched_by=around.watched_by,
        )
        live = [s for s in situations if not s.is_lost]
        lost = [s for s in situations if s.is_lost]
        found = judge(live, limits=limits, rules=asked)
        found += [a for s in lost for rule in asked if (a := rule(s, limits))]
        yield from _changes(standing, found, picture.at)
        last = picture.at
    if last is not None:
        yield from _changes(standing, [], last)


def _changes(
    standing: _Standing, found: list[Alert], at: datetime
) -> Iterator[Mapping[str, Any]]:
    now = {f"{alert.rule} {alert.subject.id}": alert for alert in found}
    for name in [name for name in standing.since if name not in now]:
        since, alert = standing.since.pop(name)
        yield _told(alert, since, at)
    for name, alert in now.items():
        standing.since.setdefault(name, (at, alert))


def _told(alert: Alert, since: datetime, until: datetime) -> Mapping[str, Any]:
    return {
        "rule": alert.rule,
        "contact": alert.subject.id,
        "from": since.isoformat(timespec="seconds"),
        "to": until.isoformat(timespec="seconds"),
        "priority": alert.priority.name.lower(),
        "rescue": "yes" if alert.is_rescue else "no",
        "reasons": ", ".join(reason.key for reason in alert.because),
    }
