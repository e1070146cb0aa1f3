"""The alarm life cycle: what an event makes of an alarm's state. A table, nothing more.

Source: IMO MSC.302(87), IEC 62923-1; docs/design/alarms.md, "Life cycle".
"""

from enum import StrEnum
from types import MappingProxyType

from almenara.incidents.alarm import AlarmState


class Event(StrEnum):
    """Everything that can happen to an alarm."""

    RAISED = "raised"
    """The condition is true; said again at every judgement."""

    ENDED = "ended"
    """The condition is true no more."""

    GRAVER = "graver"
    """A higher priority, or the first rescue reason, joined."""

    SILENCED = "silenced"
    SOUND_RETURNED = "sound_returned"
    """Thirty seconds of silence are over."""

    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"
    """By a named person: the only end of a rescue."""

    TRANSFERRED = "transferred"
    """Another position or centre took responsibility."""

    RETURNED = "returned"
    """It refused, or stayed mute."""


_N, _V, _S, _A, _O, _U = (
    AlarmState.NORMAL,
    AlarmState.UNACKNOWLEDGED,
    AlarmState.SILENCED,
    AlarmState.ACKNOWLEDGED,
    AlarmState.TRANSFERRED,
    AlarmState.RECTIFIED,
)

TABLE = MappingProxyType(
    {
        (_N, Event.RAISED): _V,
        (_N, Event.GRAVER): _V,
        (_V, Event.ENDED): _U,
        (_V, Event.SILENCED): _S,
        (_V, Event.ACKNOWLEDGED): _A,
        (_V, Event.TRANSFERRED): _O,
        (_V, Event.CLOSED): _N,
        (_S, Event.ENDED): _U,
        (_S, Event.GRAVER): _V,
        (_S, Event.SOUND_RETURNED): _V,
        (_S, Event.ACKNOWLEDGED): _A,
        (_S, Event.CLOSED): _N,
        (_A, Event.ENDED): _N,
        (_A, Event.GRAVER): _V,
        (_A, Event.TRANSFERRED): _O,
        (_A, Event.CLOSED): _N,
        (_O, Event.ENDED): _N,
        (_O, Event.GRAVER): _V,
        (_O, Event.RETURNED): _V,
        (_O, Event.CLOSED): _N,
        # The same situation again, before anybody looked: it rang already.
        (_U, Event.RAISED): _V,
        (_U, Event.GRAVER): _V,
        (_U, Event.ACKNOWLEDGED): _N,
        (_U, Event.CLOSED): _N,
    }
)
"""What is not here changes nothing."""


def after(state: AlarmState, event: Event, *, is_rescue: bool = False) -> AlarmState:
    """The state that follows.

    A rescue that somebody acknowledged or took over does not end by itself, whatever
    the picture says: only a person closes it. One that nobody saw yet waits as
    rectified, and acknowledging it then takes it on.
    """
    if is_rescue and event is Event.ENDED and state in (_A, _O):
        return state
    if is_rescue and event is Event.ACKNOWLEDGED and state is _U:
        return _A
    return TABLE.get((state, event), state)
