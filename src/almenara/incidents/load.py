"""How much the alarms ask of one position: the figures of ISA-18.2.

Windows without alarms count like any other, and positions are never averaged.

Source: ANSI/ISA-18.2-2016, IEC 62682, EEMUA 191; docs/design/alarms.md, "Load".
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from statistics import median

from almenara.incidents.alarm import Priority

WINDOW = timedelta(minutes=10)
FLOOD = 10
CHATTER_WITHIN = timedelta(minutes=1)
CHATTER_TIMES = 3
FLEETING = timedelta(seconds=10)
STALE = timedelta(hours=24)
TOP = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """One time that an alarm rang."""

    alarm_id: str
    source: str
    """Rule and subject: what would have to be mended."""

    priority: Priority
    at: datetime
    acknowledged_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmLoad:
    """What the standard asks for."""

    begin: datetime
    end: datetime
    announcements: int
    per_day: float
    per_hour: float
    per_10_min: float
    most_in_10_min: int
    flood_share: float
    """Of ten-minute windows with more than ten."""

    top_sources: tuple[tuple[str, int], ...]
    top_share: float
    chattering: int
    """Sources that rang three times within a minute."""

    fleeting: int
    """That ended within seconds, before anybody could look."""

    stale: int
    """Unacknowledged for a day."""

    by_priority: tuple[tuple[str, int], ...]
    acknowledged_median_s: float | None
    acknowledged_p95_s: float | None


def alarm_load(
    announcements: Iterable[Announcement], *, begin: datetime, end: datetime
) -> AlarmLoad:
    """The figures of one position over a span.

    Raises:
        ValueError: If the span is empty.
    """
    if end <= begin:
        raise ValueError("an empty span has no load")
    rang = sorted((a for a in announcements if begin <= a.at < end), key=lambda a: a.at)
    hours = (end - begin) / timedelta(hours=1)
    windows = Counter((a.at - begin) // WINDOW for a in rang)
    sources = Counter(a.source for a in rang)
    top = sources.most_common(TOP)
    waits = sorted(
        (a.acknowledged_at - a.at).total_seconds()
        for a in rang
        if a.acknowledged_at is not None and a.acknowledged_at >= a.at
    )
    split = Counter(a.priority.name.lower() for a in rang)
    return AlarmLoad(
        begin=begin,
        end=end,
        announcements=len(rang),
        per_day=len(rang) / hours * 24.0,
        per_hour=len(rang) / hours,
        per_10_min=len(rang) / hours / 6.0,
        most_in_10_min=max(windows.values(), default=0),
        flood_share=sum(n > FLOOD for n in windows.values())
        / ceil((end - begin) / WINDOW),
        top_sources=tuple(top),
        top_share=sum(n for _, n in top) / len(rang) if rang else 0.0,
        chattering=sum(_chatters(rang, source) for source in sources),
        fleeting=sum(
            a.ended_at is not None and a.ended_at - a.at <= FLEETING for a in rang
        ),
        stale=sum(a.acknowledged_at is None and end - a.at > STALE for a in rang),
        by_priority=tuple((p.name.lower(), split[p.name.lower()]) for p in Priority),
        acknowledged_median_s=median(waits) if waits else None,
        acknowledged_p95_s=waits[ceil(0.95 * len(waits)) - 1] if waits else None,
    )


def _chatters(rang: Sequence[Announcement], source: str) -> bool:
    times = [a.at for a in rang if a.source == source]
    return any(
        late - early <= CHATTER_WITHIN
        for early, late in zip(times, times[CHATTER_TIMES - 1 :], strict=False)
    )
