"""A case and its acts, ready for the tests."""

from dataclasses import replace
from datetime import datetime, timedelta

from almenara.core.ids import CaseId, CentreId, PersonId
from almenara.core.labels import Labels
from almenara.core.values import CountRange, Position
from almenara.rescue.assessment import Factor, Finding, Judgement, SourceKind
from almenara.rescue.case import Case, Facts, Origin, OriginKind, open_case
from almenara.rescue.phases import Phase
from tests.conftest import NOON

ANA, BEN = PersonId("ana"), PersonId("ben")
OWN, PARTNER = CentreId("ceuta"), CentreId("tetouan")
HERE = Position(latitude_deg=35.9, longitude_deg=-5.3)
SOON = NOON + timedelta(minutes=1)


def facts(at: datetime = NOON, **changes: object) -> Facts:
    made = Facts(
        at=at,
        by=ANA,
        position=HERE,
        position_cov_m2=(40_000.0, 10_000.0, 0.0),
        position_at=at - timedelta(minutes=5),
        craft="inflatable",
        persons=CountRange(at_least=30, at_most=50),
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # fields by name


def case(
    phase: Phase = Phase.UNCERTAINTY,
    *,
    labels: Labels | None = None,
    known: Facts | None = None,
) -> Case:
    return open_case(
        CaseId("ceuta-2026-0001"),
        origin=Origin(kind=OriginKind.TRACK, id="track-1"),
        own=OWN,
        partner=PARTNER,
        facts=known or facts(),
        labels=labels or Labels(),
        phase=phase,
    ).case


def all_good(at: datetime = SOON) -> list[Judgement]:
    """Nine good findings; the tenth can only be reported or unknown."""
    return [
        Judgement(
            factor=factor,
            finding=Finding.OBSERVED_GOOD,
            source=SourceKind.SEEN,
            source_time=at,
            who=ANA,
        )
        for factor in Factor
        if factor is not Factor.VULNERABLE
    ]
