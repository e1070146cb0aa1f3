"""The ten factors of an assessment, and the phase they propose.

Each factor is a finding with its source, its time and who entered it. *Unknown* stands
between good and adverse and never counts as safe: with one factor unknown the proposal
is at least uncertainty. The proposal is a table: what a factor reaches alone, and what
the points of all together reach. The table is monotone, and the tests go through all
4¹⁰ vectors. A person decides; nothing here changes a case.

Source: Regulation (EU) No 656/2014, article 9(2)(f); the figures of the table are a
choice of ours; docs/design/rescue.md, "Assessment".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Self

import numpy as np
import numpy.typing as npt

from almenara.core.errors import CaseRefusedError
from almenara.core.ids import PersonId
from almenara.incidents.alarm import Reason
from almenara.rescue.phases import Phase

Bytes = npt.NDArray[np.int8]


class Factor(StrEnum):
    """The ten factors, in the order of the article."""

    REQUEST = "request"
    """A request for assistance; never required."""

    SEAWORTHINESS = "seaworthiness"
    """… and the likelihood of not arriving."""

    LOAD = "load"
    """Persons aboard against type and condition of the craft."""

    SUPPLIES = "supplies"
    """Fuel, water, food."""

    CREW = "crew"
    """Qualified crew and command."""

    EQUIPMENT = "equipment"
    """Safety, navigation and communication equipment."""

    MEDICAL = "medical"
    """Persons in urgent need of medical assistance."""

    DECEASED = "deceased"
    VULNERABLE = "vulnerable"
    """Pregnant women or children: only as a person reported it, never from pictures."""

    WEATHER = "weather"
    """Weather and sea, now and forecast."""


class Finding(IntEnum):
    """What is known of a factor, in the order of what it costs."""

    OBSERVED_GOOD = 0
    UNKNOWN = 1
    LIKELY_ADVERSE = 2
    OBSERVED_ADVERSE = 3


class SourceKind(StrEnum):
    """Where a finding comes from."""

    REPORTED = "reported"
    """A person on scene, aboard or calling said so."""

    SEEN = "seen"
    """Somebody of the watch saw it, in a picture or with their own eyes."""

    MEASURED = "measured"
    """A sensor or a forecast."""

    DERIVED = "derived"
    """The software concluded it from the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One finding on one factor."""

    factor: Factor
    finding: Finding
    source: SourceKind
    source_time: datetime
    """When it was so, not when it was typed."""

    who: PersonId
    """Who entered it, or the service that did."""

    evidence: str | None = None
    """A link: a segment, a picture, a message, a call in the log."""

    correction: str | None = None
    """Why an earlier adverse finding was a mistake."""

    def __post_init__(self) -> None:
        if self.factor is not Factor.VULNERABLE or self.finding is Finding.UNKNOWN:
            return
        if self.finding is not Finding.OBSERVED_ADVERSE:
            raise CaseRefusedError(
                "vulnerable.yes_or_unknown", "enter reported, or leave it unknown"
            )
        if self.source is not SourceKind.REPORTED:
            raise CaseRefusedError(
                "vulnerable.reported_only", "only a person's report may say this"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """One version of what is known; a later version leaves this one as it was."""

    version: int
    at: datetime
    by: PersonId
    judgements: tuple[Judgement, ...] = ()
    """At most one of each factor; what is missing is unknown."""

    def of(self, factor: Factor) -> Finding:
        """What is known of one factor."""
        found = next((j for j in self.judgements if j.factor is factor), None)
        return Finding.UNKNOWN if found is None else found.finding

    def vector(self) -> Bytes:
        """All findings in the order of :class:`Factor`, shape (10,)."""
        return np.array([self.of(factor) for factor in Factor], dtype=np.int8)

    def revised(
        self, judgements: Iterable[Judgement], *, at: datetime, by: PersonId
    ) -> Self:
        """The next version.

        Raises:
            CaseRefusedError: Not knowing does not undo an adverse finding: that takes
                an observation, or a correction with its reason; and an older source
                does not overwrite a newer one without one.
        """
        kept = {j.factor: j for j in self.judgements}
        for new in judgements:
            if (old := kept.get(new.factor)) is not None:
                _may_replace(old, new)
            kept[new.factor] = new
        ordered = tuple(kept[factor] for factor in Factor if factor in kept)
        return type(self)(version=self.version + 1, at=at, by=by, judgements=ordered)


def _may_replace(old: Judgement, new: Judgement) -> None:
    if new.correction:
        return
    adverse = old.finding >= Finding.LIKELY_ADVERSE
    if adverse and new.finding is Finding.UNKNOWN:
        raise CaseRefusedError(
            "unknown_undoes_nothing", "observe it, or say why it was a mistake"
        )
    if new.source_time < old.source_time:
        raise CaseRefusedError(
            "older_source", "a newer finding stands; say why it was a mistake"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one factor's findings are worth: (good, unknown, likely, observed)."""

    alone: tuple[Phase, Phase, Phase, Phase]
    points: tuple[int, int, int, int] = (0, 0, 1, 2)


_N, _U, _A, _D = Phase.NONE, Phase.UNCERTAINTY, Phase.ALERT, Phase.DISTRESS

TABLE_VERSION = 1
TABLE = MappingProxyType(
    {
        # A request is positive information that assistance is wanted.
        Factor.REQUEST: Row(alone=(_N, _U, _A, _D)),
        # What cannot arrive, or carries too many, needs little more to be in distress.
        Factor.SEAWORTHINESS: Row(alone=(_N, _U, _A, _A), points=(0, 0, 2, 3)),
        Factor.LOAD: Row(alone=(_N, _U, _A, _A), points=(0, 0, 2, 3)),
        Factor.SUPPLIES: Row(alone=(_N, _U, _U, _A)),
        Factor.CREW: Row(alone=(_N, _U, _U, _A)),
        Factor.EQUIPMENT: Row(alone=(_N, _U, _U, _A)),
        Factor.MEDICAL: Row(alone=(_N, _U, _A, _D)),
        Factor.DECEASED: Row(alone=(_N, _U, _A, _D)),
        Factor.VULNERABLE: Row(alone=(_N, _U, _A, _A)),
        Factor.WEATHER: Row(alone=(_N, _U, _U, _A)),
    }
)
"""Choice, version 1: to be tuned with people of the rescue services."""

TOGETHER = ((_A, 3), (_D, 5))
"""Points of all factors that reach a phase: fair alone, grave together."""

_ALONE = np.array([TABLE[factor].alone for factor in Factor], dtype=np.int8)
_POINTS = np.array([TABLE[factor].points for factor in Factor], dtype=np.int8)


def phases_of(findings: Bytes) -> Bytes:
    """The phase that each vector of findings proposes.

    Args:
        findings: Values of :class:`Finding` in the order of :class:`Factor`, (n, 10).

    Returns:
        Values of :class:`Phase`, shape (n,).
    """
    which = np.arange(len(Factor))
    phase: Bytes = _ALONE[which, findings].max(axis=1)
    points = _POINTS[which, findings].sum(axis=1)
    for reached, needed in TOGETHER:
        phase = np.where(points >= needed, np.maximum(phase, reached), phase)
    return phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What the software would decide, and why; a person decides."""

    phase: Phase
    because: tuple[Reason, ...]
    unknown: tuple[str, ...]
    """Keys of the factors nobody knows; each is shown, none counts as safe."""

    table_version: int = TABLE_VERSION


def propose(assessment: Assessment) -> Proposal:
    """The phase that an assessment proposes, with a reason per factor."""
    vector = assessment.vector()
    unknown = tuple(f.value for f in Factor if assessment.of(f) is Finding.UNKNOWN)
    because = [
        Reason(f"factor.{factor.value}", {"finding": finding.name.lower()})
        for factor in Factor
        if (finding := assessment.of(factor)) >= Finding.LIKELY_ADVERSE
    ]
    alone = Phase(int(_ALONE[np.arange(len(Factor)), vector].max()))
    phase = Phase(int(phases_of(vector[None])[0]))
    if phase > alone:
        points = int(_POINTS[np.arange(len(Factor)), vector].sum())
        because.append(Reason("factors.together", {"points": float(points)}))
    if unknown:
        because.append(Reason("factors.unknown", {"many": float(len(unknown))}))
    return Proposal(phase=phase, because=tuple(because), unknown=unknown)
