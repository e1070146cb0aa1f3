"""Every error Almenara raises on purpose.

* AlmenaraError
  * ConfigError                 the operator must change the configuration
  * StationError                one station is affected; the others keep watching
    + StationUnreachableError   worth retrying
    + StationRejectedError      retrying will not help: credentials, unsupported codec
    + AddressRefusedError       the address itself is not allowed; nothing was opened
  * MediaError                  bytes that are no picture: one stream is affected
  * RecordingError              one fragment could not be made durable
    + TargetFullError           no space left; worth retrying when space returns
  * ExportError                 an evidence package could not be made; nothing left
  * StoreError                  the store cannot be used
    + SchemaTooNewError         a newer Almenara wrote it
    + StoreAwayError            its server does not answer; worth retrying
    + CommitUnknownError        the answer to a commit was lost
    + StoreFullError            no space left for it; worth retrying when space returns
  * EvidenceError               the evidence log cannot be kept, or is not sound
    + KeyFileError              a private key is missing, or others could read it
    + TimeStampError            no time stamp, or one that proves nothing
  * CaseError                   one rescue case is affected; nothing was changed
    + CaseRefusedError          the rules of rescue do not allow the act
    + CaseVersionError          it changed since it was read: read it again
  * PortInUseError              another program listens there
  * EnvelopeRefusedError        bytes of a partner that are no envelope of ours

A caller decides by class, never by message. ``code`` is stable across releases and
languages: it is what the console translates and what the exchange sends.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing an operator has to change; never repeats a password."""

    place: str
    """File, line and key: ``almenara.toml:7: recording.keep_days``."""

    found: str
    expected: str
    cure: str
    """What to do about it, as a sentence."""

    def __str__(self) -> str:
        return (
            f"{self.place}: found {self.found}; expected {self.expected}. {self.cure}"
        )


class AlmenaraError(Exception):
    """Base of all deliberate errors; ``except AlmenaraError`` never hides a bug."""

    code: ClassVar[str] = "almenara"
    retryable: ClassVar[bool] = False


class ConfigError(AlmenaraError):
    """Something an operator wrote is wrong; every fault found is listed, not one.

    ``faults`` holds those with place and cure, ``problems`` each as a line.
    """

    code = "config"

    def __init__(self, problems: tuple[Fault | str, ...]) -> None:
        self.problems = tuple(map(str, problems))
        super().__init__("\n".join(self.problems))
        self.faults = tuple(p for p in problems if isinstance(p, Fault))


class StationError(AlmenaraError):
    """Something went wrong with one station."""

    code = "station"

    def __init__(self, station_id: str, detail: str) -> None:
        super().__init__(f"{station_id}: {detail}")
        self.station_id = station_id
        self.detail = detail


class StationUnreachableError(StationError):
    """The station does not answer."""

    code = "station.unreachable"
    retryable = True


class StationRejectedError(StationError):
    """The station answers, and refuses."""

    code = "station.rejected"


class AddressRefusedError(StationError):
    """The address is outside what this centre may connect to.

    ``reason`` is a stable key (``scheme``, ``credentials``, ``loopback``, …) and
    ``place`` the part of the address; the address itself may hold a password and is
    not repeated.
    """

    code = "station.address_refused"

    def __init__(self, station_id: str, reason: str, *, place: str = "url") -> None:
        super().__init__(station_id, f"address refused: {reason} in {place}")
        self.reason = reason
        self.place = place


class MediaError(AlmenaraError):
    """Bytes that cannot be read as a picture or a recording."""

    code = "media"


class RecordingError(AlmenaraError):
    """A fragment could not be written; nothing acknowledged is affected."""

    code = "recording"


class TargetFullError(RecordingError):
    """The recording's disk is full."""

    code = "recording.full"
    retryable = True


class ExportError(AlmenaraError):
    """An evidence package cannot be made as asked; the recordings are untouched."""

    code = "export"


class StoreError(AlmenaraError):
    """The store cannot be opened or used."""

    code = "store"


class SchemaTooNewError(StoreError):
    """The store was written by a newer Almenara; this one would damage it."""

    code = "store.too_new"


class StoreAwayError(StoreError):
    """The store's server does not answer; nothing was written."""

    code = "store.away"
    retryable = True


class CommitUnknownError(StoreError):
    """The connection broke in a commit: it may or may not have been written."""

    code = "store.unknown"


class StoreFullError(StoreError):
    """The store's disk is full; nothing was written."""

    code = "store.full"
    retryable = True


class EvidenceError(AlmenaraError):
    """The evidence log cannot be kept, or does not hold together."""

    code = "evidence"


class KeyFileError(EvidenceError):
    """A private key is missing, damaged, or open to others."""

    code = "evidence.key"


class TimeStampError(EvidenceError):
    """The time-stamp authority does not answer, or its answer proves nothing."""

    code = "evidence.time_stamp"


class CaseError(AlmenaraError):
    """An act on a rescue case did not happen."""

    code = "case"


class CaseRefusedError(CaseError):
    """The rules of rescue forbid the act; ``reason`` is a stable key that says which.

    Such as ``second_person``, ``reason_missing``, ``not_coordinator``.
    """

    code = "case.refused"

    def __init__(self, reason: str, cure: str) -> None:
        super().__init__(f"{reason}: {cure}")
        self.reason = reason
        self.cure = cure


class CaseVersionError(CaseError):
    """Somebody changed the case since this person read it."""

    code = "case.version"
    retryable = True


class PortInUseError(AlmenaraError):
    """Another program listens on the port that was asked for."""

    code = "port.in_use"
    retryable = True


class EnvelopeRefusedError(AlmenaraError):
    """Something that claims to come from a partner fails a check; nothing is applied.

    ``reason`` is a stable key: size, form, header, key, signature, claims, stream.
    """

    code = "exchange.envelope_refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"envelope refused: {reason}")
        self.reason = reason
