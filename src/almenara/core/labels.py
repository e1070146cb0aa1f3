"""What every record carries about itself, so that the gate can decide without guessing.

Source: docs/design/first-light.md, "Labels".
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from almenara.core.ids import CentreId


class Purpose(StrEnum):
    """Why a record is kept, and why somebody asks for it."""

    SAR = "sar"
    SAFETY = "safety"
    BORDER = "border"
    LAW_ENFORCEMENT = "law_enforcement"
    MAINTENANCE = "maintenance"
    AUDIT = "audit"


class Sensitivity(StrEnum):
    """How far a record may travel, from anywhere to nowhere."""

    WHITE = "white"
    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The label set of one record; the defaults are the strict ones."""

    purpose: Purpose = Purpose.BORDER
    sensitivity: Sensitivity = Sensitivity.AMBER
    personal_data: bool = True
    releasable_to: frozenset[CentreId] = frozenset()
    """Empty: nobody outside this centre."""

    exercise: bool = False
    simulated: bool = False

    def joined(self, other: "Labels") -> "Labels":
        """The label of something derived from both: the strictest of each.

        >>> real, drill = Labels(), Labels(exercise=True)
        >>> real.joined(drill).exercise
        True
        """
        order = list(Sensitivity)
        return replace(
            self,
            sensitivity=max(self.sensitivity, other.sensitivity, key=order.index),
            personal_data=self.personal_data or other.personal_data,
            releasable_to=self.releasable_to & other.releasable_to,
            exercise=self.exercise or other.exercise,
            simulated=self.simulated or other.simulated,
        )
