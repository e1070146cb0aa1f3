"""Knew-when: every datum, view, decision and message of a case in one line of time.

Built from what is kept anyway (the case, its custody, the audit, what was sent), so it
can be built again and says the same. It answers: when could this centre have known,
when did it, and what did it do then? A time that came from another clock is marked.

Source: docs/design/rescue.md, "Knew-when".
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from almenara.core.ids import CentreId
from almenara.evidence.audit import AuditAction, AuditResult, RecordedEntry
from almenara.rescue.case import Case


class RowKind(StrEnum):
    """What a row is about."""

    OBSERVED = "observed"
    """It was so at that time, by its source."""

    RECEIVED = "received"
    """It was entered, or arrived here."""

    SHOWN = "shown"
    DECIDED = "decided"
    SENT = "sent"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A notification on its way out, as the outbox keeps it."""

    key: str
    queued_at: datetime
    delivered_at: datetime | None
    """None: not yet."""

    receipt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnewRow:
    """One line."""

    at: datetime
    kind: RowKind
    centre: CentreId
    """Whose clock ``at`` is."""

    actor: str
    what: str
    """A stable key."""

    object: str
    source_time: datetime | None = None
    evidence: str | None = None


def knew_when(
    case: Case, entries: Iterable[RecordedEntry], sendings: Iterable[Sending]
) -> tuple[KnewRow, ...]:
    """All rows in order of time; rows of one instant in the order they were kept.

    Args:
        case: The newest version: all earlier ones are in it.
        entries: Of the audit, those about this case, oldest first.
        sendings: What was told to the rescue coordination centre.
    """
    own = case.ledger.own
    rows = [
        *_facts(case, own),
        *_factors(case, own),
        *_decisions(case, own),
        *_custody(case),
        *_reports(case, own),
        *_views(entries, own),
        *_sent(sendings, own),
    ]
    return tuple(sorted(rows, key=lambda row: row.at))


def _facts(case: Case, own: CentreId) -> Iterator[KnewRow]:
    for number, facts in enumerate(case.facts, 1):
        thing = f"facts/{number}"
        if facts.position_at is not None:
            yield KnewRow(
                at=facts.position_at,
                kind=RowKind.OBSERVED,
                centre=own,
                actor=facts.by,
                what="position",
                object=thing,
            )
        yield KnewRow(
            at=facts.at,
            kind=RowKind.RECEIVED,
            centre=own,
            actor=facts.by,
            what="facts",
            object=thing,
            source_time=facts.position_at,
        )


def _factors(case: Case, own: CentreId) -> Iterator[KnewRow]:
    seen: set[object] = set()
    for version in case.assessments:
        for judgement in version.judgements:
            if judgement in seen:
                continue
            seen.add(judgement)
            row = KnewRow(
                at=judgement.source_time,
                kind=RowKind.OBSERVED,
                centre=own,
                actor=judgement.who,
                what=f"factor.{judgement.factor}.{judgement.finding.name.lower()}",
                object=f"assessment/{version.version}",
                source_time=judgement.source_time,
                evidence=judgement.evidence,
            )
            yield row
            yield KnewRow(
                at=version.at,
                kind=RowKind.RECEIVED,
                centre=own,
                actor=version.by,
                what=row.what,
                object=row.object,
                source_time=judgement.source_time,
                evidence=judgement.evidence,
            )


def _decisions(case: Case, own: CentreId) -> Iterator[KnewRow]:
    for number, decision in enumerate(case.decisions, 1):
        people = (decision.by, decision.agreed_by)
        yield KnewRow(
            at=decision.at,
            kind=RowKind.DECIDED,
            centre=own,
            actor=", ".join(person for person in people if person),
            what=f"phase.{decision.phase.name.lower()}",
            object=f"decision/{number}",
        )


def _custody(case: Case) -> Iterator[KnewRow]:
    ledger = case.ledger
    for entry in (*ledger.mine, *ledger.theirs):
        yield KnewRow(
            at=entry.at,
            kind=RowKind.DECIDED,
            centre=entry.author,
            actor=entry.by,
            what=f"custody.{entry.act}",
            object=f"ledger/{entry.author}/{entry.seq}",
            evidence=entry.snapshot,
        )


def _reports(case: Case, own: CentreId) -> Iterator[KnewRow]:
    for made in case.reports:
        yield KnewRow(
            at=made.at,
            kind=RowKind.DECIDED,
            centre=own,
            actor=made.by,
            what="sitrep",
            object=f"sitrep/{made.number}",
        )


def _views(entries: Iterable[RecordedEntry], own: CentreId) -> Iterator[KnewRow]:
    for recorded in entries:
        entry = recorded.entry
        looked = entry.action in (AuditAction.CONSULTATION, AuditAction.DISCLOSURE)
        if looked and entry.result is AuditResult.ALLOW:
            yield KnewRow(
                at=entry.at,
                kind=RowKind.SHOWN,
                centre=own,
                actor=entry.actor.person_id,
                what=entry.act,
                object=f"audit/{recorded.seq}",
            )


def _sent(sendings: Iterable[Sending], own: CentreId) -> Iterator[KnewRow]:
    for sending in sendings:
        row = KnewRow(
            at=sending.queued_at,
            kind=RowKind.SENT,
            centre=own,
            actor="service/node",
            what="rcc.notification",
            object=sending.key,
        )
        yield row
        if sending.delivered_at is not None:
            yield KnewRow(
                at=sending.delivered_at,
                kind=RowKind.DELIVERED,
                centre=own,
                actor=row.actor,
                what=row.what,
                object=row.object,
                evidence=sending.receipt,
            )
