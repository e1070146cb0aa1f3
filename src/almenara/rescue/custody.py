"""Custody of coordination: exactly one centre coordinates a rescue at every instant.

Two centres each append to a stream of their own and apply the other's in order. Only an
``accept``, committed by the centre that was asked, moves custody; an offer, a timer, a
cut, a clock or a restart moves nothing. Every entry says how much of the other stream
its author had seen (``seen``), so both sides fold the two streams into one ledger and
get the same answer whatever the clocks say.

A centre restored from a backup has forgotten some of its own entries. It asks the
partner for them under a new *incarnation* before it says anything certain or writes
anything new; what its earlier incarnation still has under way is then refused.

Nothing here sends or waits: values in, values out.

Source: docs/design/rescue.md, "Custody"; vector clocks: C. Fidge (1988).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from almenara.core.errors import CaseRefusedError
from almenara.core.ids import CaseId, CentreId, PersonId

UNDELIVERED_AFTER = timedelta(seconds=60)
"""Without a receipt after this long: telephone now."""

UNANSWERED_EVERY = timedelta(minutes=5)
"""Without a person's answer: both shift leaders and the next contact, again and again.
The offer itself never lapses."""

SERVICE = PersonId("service/custody")
"""Answers a request to withdraw where no person has accepted yet."""


class Act(StrEnum):
    """What stands in the ledger."""

    OPENED = "opened"
    OFFER = "offer"
    ACCEPT = "accept"
    REFUSE = "refuse"
    WITHDRAW_REQUEST = "withdraw_request"
    WITHDRAWN = "withdrawn"
    """The addressee's answer to the request: the offer is over."""

    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger; immutable."""

    case_id: CaseId
    author: CentreId
    seq: int
    """From 1 within the author's stream of this case, without a hole."""

    act: Act
    epoch: int
    """Of custody, as its author knew it."""

    seen: int
    """How many entries of the other centre its author had applied."""

    at: datetime
    """The author's clock; nothing is ever decided by it."""

    by: PersonId
    addressee: CentreId | None = None
    """Of an offer."""

    offer: int | None = None
    """In an answer or a request to withdraw: ``seq`` of the offer it speaks of."""

    snapshot: str | None = None
    """Of an offer: the digest of everything known that went with it."""

    reason: str = ""


Copy = tuple[int, tuple[Entry, ...]]
"""A stream, after the incarnation it belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reign:
    """A stretch of time in which one centre coordinates; it begins with its entry."""

    epoch: int
    coordinator: CentreId
    begins: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a ledger says of one case."""

    reigns: tuple[Reign, ...] = ()
    offer: Entry | None = None
    """The open offer; there is at most one."""

    withdrawing: bool = False
    """Its offerer asked to withdraw it and has no answer yet."""

    closed: Entry | None = None
    notes: tuple[Entry, ...] = ()
    """Entries that changed nothing, such as a close that crossed an accept."""

    @property
    def coordinator(self) -> CentreId | None:
        """Who coordinates by this ledger; the last who did, once closed."""
        return self.reigns[-1].coordinator if self.reigns else None

    @property
    def epoch(self) -> int:
        """Counts accepts; -1 before the case was opened."""
        return len(self.reigns) - 1


def fold(mine: tuple[Entry, ...], theirs: tuple[Entry, ...]) -> Standing:
    """Both streams as one ledger; the same whichever is called mine."""
    standing = Standing()
    for entry in _in_order(mine, theirs):
        standing = _applied(standing, entry)
    return standing


def _in_order(mine: tuple[Entry, ...], theirs: tuple[Entry, ...]) -> Iterator[Entry]:
    """Every entry after all that its author had seen; a close after all it crossed."""
    streams = sorted((mine, theirs), key=lambda s: s[0].author if s else "")
    done = [0, 0]
    while True:
        ready = [
            (stream[done[i]].act is Act.CLOSED, stream[done[i]].epoch, i)
            for i, stream in enumerate(streams)
            if done[i] < len(stream) and stream[done[i]].seen <= done[1 - i]
        ]
        if not ready:
            return
        _, _, i = min(ready)
        yield streams[i][done[i]]
        done[i] += 1


def _applied(standing: Standing, entry: Entry) -> Standing:
    offer = standing.offer
    over = replace(standing, offer=None, withdrawing=False)
    match entry.act:
        case Act.OPENED if not standing.reigns:
            after = replace(standing, reigns=(_reign(standing, entry),))
        case Act.OFFER if offer is None and _coordinates(standing, entry):
            after = replace(standing, offer=entry)
        case Act.ACCEPT if offer is not None and _answers(offer, entry):
            after = replace(over, reigns=(*standing.reigns, _reign(standing, entry)))
        case Act.REFUSE | Act.WITHDRAWN if offer is not None and _ends(offer, entry):
            after = over
        case Act.WITHDRAW_REQUEST if offer is not None and offer.seq == entry.offer:
            after = replace(standing, withdrawing=True)
        case Act.CLOSED if _coordinates(standing, entry):
            after = replace(over, closed=entry)
        case _:
            after = replace(standing, notes=(*standing.notes, entry))
    return after


def _reign(standing: Standing, entry: Entry) -> Reign:
    return Reign(epoch=standing.epoch + 1, coordinator=entry.author, begins=entry)


def _coordinates(standing: Standing, entry: Entry) -> bool:
    return standing.closed is None and entry.author == standing.coordinator


def _answers(offer: Entry, entry: Entry) -> bool:
    return (entry.author, entry.offer) == (offer.addressee, offer.seq)


def _ends(offer: Entry, entry: Entry) -> bool:
    """Whether an offer is over by this; never by its offerer's word alone."""
    return _answers(offer, entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """One centre's durable knowledge of one case's custody."""

    case_id: CaseId
    own: CentreId
    partner: CentreId
    mine: tuple[Entry, ...] = ()
    theirs: tuple[Entry, ...] = ()
    incarnation: int = 0
    """Of this centre; larger after each restore from a backup."""

    partner_incarnation: int = 0
    """The partner's newest that we heard of."""

    mine_of: int = 0
    """The incarnation whose stream ``mine`` is; a backup may hold an abandoned one."""

    theirs_of: int = 0
    """As ``mine_of``, of the partner's."""

    confirmed: int = 0
    """How many entries of ours the partner had applied when we last heard all of
    theirs: the delivery receipt."""

    is_level: bool = True
    """False after a restore until the partner answered what we ever said; until then
    this centre is certain of nothing and writes nothing."""

    @property
    def standing(self) -> Standing:
        """What this centre's copy says; certain only if :attr:`is_level`."""
        return fold(self.mine, self.theirs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one centre tells the other of a case; safe to lose, repeat and reorder."""

    case_id: CaseId
    author: CentreId
    incarnation: int
    start: int
    """How many entries of the author come before ``entries``."""

    entries: tuple[Entry, ...]
    length: int
    """How many entries the author has."""

    have: int
    """How many of the recipient's entries the author has applied…"""

    have_of: int
    """… and of which of its incarnations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelQuestion:
    """A restored centre asks what it ever said."""

    case_id: CaseId
    author: CentreId
    incarnation: int
    """The one that began with the restore."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelAnswer:
    """The partner's copy of both streams, or a word that the number was used before."""

    case_id: CaseId
    author: CentreId
    asked: int
    """The incarnation that asked."""

    granted: bool
    known_incarnation: int
    """The asker's newest, as its partner knows it."""

    incarnation: int
    """The partner's own."""

    yours: tuple[Entry, ...] = ()
    yours_of: int = 0
    mine: tuple[Entry, ...] = ()
    mine_of: int = 0


def believed(ledger: Ledger) -> CentreId | None:
    """Whom this centre takes for the coordinator now.

    Returns:
        None where it is not certain, knows of no such case, or the case is closed. A
        close stays the coordinator's burden until the partner that was asked has
        applied it: it may have accepted meanwhile.
    """
    if not ledger.is_level:
        return None
    standing = ledger.standing
    if standing.closed is None:
        return standing.coordinator
    return ledger.own if _is_closing(ledger, standing.closed) else None


def _is_closing(ledger: Ledger, closed: Entry) -> bool:
    if closed.author != ledger.own or ledger.confirmed >= closed.seq:
        return False
    before = fold(ledger.mine[: closed.seq - 1], ledger.theirs)
    return before.offer is not None


# -- acts of people ----------------------------------------------------------------


def opened(ledger: Ledger, *, at: datetime, by: PersonId) -> Ledger:
    """Open the case: this centre coordinates, epoch 0."""
    _require(not ledger.mine and not ledger.theirs, "opened_already", "use that case")
    return _said(ledger, Act.OPENED, at=at, by=by)


def offered(ledger: Ledger, *, at: datetime, by: PersonId, snapshot: str) -> Ledger:
    """Offer coordination to the partner; this centre goes on coordinating.

    Raises:
        CaseRefusedError: It does not coordinate, or an offer is open already.
    """
    standing = _coordinating(ledger)
    _require(standing.offer is None, "offer_open", "await or withdraw the open offer")
    return _said(
        ledger, Act.OFFER, at=at, by=by, addressee=ledger.partner, snapshot=snapshot
    )


def accepted(ledger: Ledger, *, at: datetime, by: PersonId) -> Ledger:
    """Take coordination over: the only act that moves it.

    Raises:
        CaseRefusedError: No offer to this centre is open.
    """
    offer = _offer_to_us(ledger)
    return _said(ledger, Act.ACCEPT, at=at, by=by, offer=offer.seq)


def refused(ledger: Ledger, *, at: datetime, by: PersonId, reason: str) -> Ledger:
    """Decline the partner's offer, with a reason.

    Raises:
        CaseRefusedError: No offer to this centre is open.
    """
    offer = _offer_to_us(ledger)
    return _said(ledger, Act.REFUSE, at=at, by=by, offer=offer.seq, reason=reason)


def withdrawal_requested(ledger: Ledger, *, at: datetime, by: PersonId) -> Ledger:
    """Ask the partner to let go of the offer; until its answer the offer stands.

    Raises:
        CaseRefusedError: This centre has no open offer, or asked already.
    """
    standing = _coordinating(ledger)
    offer = standing.offer
    if offer is None:
        raise CaseRefusedError("no_offer", "there is nothing to withdraw")
    _require(not standing.withdrawing, "asked_already", "await the answer")
    return _said(ledger, Act.WITHDRAW_REQUEST, at=at, by=by, offer=offer.seq)


def closed(ledger: Ledger, *, at: datetime, by: PersonId, reason: str) -> Ledger:
    """Close the case; a close that crosses an accept becomes a note.

    Raises:
        CaseRefusedError: This centre does not coordinate.
    """
    _coordinating(ledger)
    return _said(ledger, Act.CLOSED, at=at, by=by, reason=reason)


def _coordinating(ledger: Ledger) -> Standing:
    _require(ledger.is_level, "not_level", "await the partner's copy of the ledger")
    standing = ledger.standing
    _require(standing.closed is None, "case_closed", "open a new case")
    _require(
        standing.coordinator == ledger.own, "not_coordinator", "ask who coordinates"
    )
    return standing


def _offer_to_us(ledger: Ledger) -> Entry:
    _require(ledger.is_level, "not_level", "await the partner's copy of the ledger")
    offer = ledger.standing.offer
    if offer is None or offer.addressee != ledger.own:
        raise CaseRefusedError("no_offer", "no offer to this centre is open")
    return offer


def _require(holds: bool, reason: str, cure: str) -> None:  # noqa: FBT001 - a condition
    if not holds:
        raise CaseRefusedError(reason, cure)


def _said(ledger: Ledger, act: Act, **more: object) -> Ledger:
    entry = Entry(
        case_id=ledger.case_id,
        author=ledger.own,
        seq=len(ledger.mine) + 1,
        act=act,
        epoch=max(0, ledger.standing.epoch),
        seen=len(ledger.theirs),
        **more,  # type: ignore[arg-type]  # fields by name
    )
    return replace(ledger, mine=(*ledger.mine, entry))


# -- between the centres -----------------------------------------------------------


def to_tell(ledger: Ledger) -> Message | LevelQuestion:
    """What to send now, and again now and then until nothing is unconfirmed."""
    if not ledger.is_level:
        return LevelQuestion(
            case_id=ledger.case_id,
            author=ledger.own,
            incarnation=ledger.incarnation,
        )
    return Message(
        case_id=ledger.case_id,
        author=ledger.own,
        incarnation=ledger.incarnation,
        start=ledger.confirmed,
        entries=ledger.mine[ledger.confirmed :],
        length=len(ledger.mine),
        have=len(ledger.theirs),
        have_of=ledger.theirs_of,
    )


def heard(ledger: Ledger, message: Message, *, at: datetime) -> Ledger:
    """Apply what the partner told; the caller commits the result, then answers.

    A request to withdraw is answered in the same step: nobody here has accepted yet.
    """
    if not ledger.is_level or message.incarnation != ledger.partner_incarnation:
        return ledger
    if ledger.theirs_of != message.incarnation:
        # A new incarnation begins with all it has; our copy may be of an abandoned one.
        if message.start > 0:
            return ledger
        ledger = replace(ledger, theirs=(), theirs_of=message.incarnation)
    known = len(ledger.theirs)
    if message.start <= known:
        new = message.entries[known - message.start :]
        ledger = replace(ledger, theirs=(*ledger.theirs, *new))
    if len(ledger.theirs) >= message.length and message.have_of == ledger.mine_of:
        # Theirs is complete up to the moment of this receipt, so no accept hides.
        ledger = replace(ledger, confirmed=max(ledger.confirmed, message.have))
    return _letting_go(ledger, at)


def _letting_go(ledger: Ledger, at: datetime) -> Ledger:
    standing = ledger.standing
    offer = standing.offer
    if offer is None or offer.addressee != ledger.own or not standing.withdrawing:
        return ledger
    return _said(ledger, Act.WITHDRAWN, at=at, by=SERVICE, offer=offer.seq)


def restored(ledger: Ledger, *, incarnation: int) -> Ledger:
    """The ledger of a backup that was just put back: certain of nothing.

    Args:
        ledger: As the backup held it; empty where it held no such case.
        incarnation: Larger than any this centre ever used. It is counted outside of
            what is backed up; where the partner remembers a larger one, ours follows.
    """
    number = max(incarnation, ledger.incarnation + 1)
    return replace(ledger, incarnation=number, is_level=False, confirmed=0)


def questioned(ledger: Ledger, question: LevelQuestion) -> tuple[Ledger, LevelAnswer]:
    """Answer a restored partner; commit the ledger before the answer leaves.

    A centre that is not level itself answers too, or two restored ones would wait for
    each other for ever.
    """
    granted = question.incarnation >= ledger.partner_incarnation
    if granted:
        ledger = replace(ledger, partner_incarnation=question.incarnation)
    return ledger, LevelAnswer(
        case_id=ledger.case_id,
        author=ledger.own,
        asked=question.incarnation,
        granted=granted,
        known_incarnation=ledger.partner_incarnation,
        incarnation=ledger.incarnation,
        yours=ledger.theirs if granted else (),
        yours_of=ledger.theirs_of,
        mine=ledger.mine if granted else (),
        mine_of=ledger.mine_of,
    )


def answered(ledger: Ledger, answer: LevelAnswer, *, at: datetime) -> Ledger:
    """Take the partner's copy in.

    An answer to another question, or from before the partner's own latest restore,
    changes nothing: it may hold what the partner has forgotten since.
    """
    if ledger.is_level or answer.asked != ledger.incarnation:
        return ledger
    if answer.incarnation < ledger.partner_incarnation:
        return ledger
    if not answer.granted:
        return replace(ledger, incarnation=answer.known_incarnation + 1)
    _, mine = _newer((ledger.mine_of, ledger.mine), (answer.yours_of, answer.yours))
    theirs_of, theirs = _newer(
        (ledger.theirs_of, ledger.theirs), (answer.mine_of, answer.mine)
    )
    level = replace(
        ledger,
        mine=mine,
        mine_of=ledger.incarnation,
        theirs=theirs,
        theirs_of=theirs_of,
        partner_incarnation=answer.incarnation,
        is_level=True,
    )
    return _letting_go(level, at)


def _newer(kept: Copy, told: Copy) -> Copy:
    """Of two copies of one stream that of the later incarnation, then the longer."""
    return max(kept, told, key=lambda copy: (copy[0], len(copy[1])))


# -- timers ------------------------------------------------------------------------


class NoticeKind(StrEnum):
    """What a person has to be told about an open offer."""

    UNDELIVERED = "custody.undelivered"
    """Not delivered: telephone now."""

    UNANSWERED = "custody.unanswered"
    """To both shift leaders and the next contact of the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to tell people; it moves nothing."""

    kind: NoticeKind
    offer: int
    nth: int
    """Of its kind, from 1; for *unanswered* also the place in the list of contacts."""


def notices(
    ledger: Ledger, now: datetime, told: frozenset[Notice] = frozenset()
) -> tuple[Notice, ...]:
    """What is due now and was not told yet.

    After a long pause only the newest *unanswered* is due: one call, not a hundred. A
    clock that went back tells nothing twice.
    """
    offer = ledger.standing.offer
    if offer is None:
        return ()
    waited = now - offer.at
    due: list[Notice] = []
    ours = offer.author == ledger.own
    if ours and ledger.confirmed < offer.seq and waited >= UNDELIVERED_AFTER:
        due.append(Notice(kind=NoticeKind.UNDELIVERED, offer=offer.seq, nth=1))
    if (nth := waited // UNANSWERED_EVERY) >= 1:
        due.append(Notice(kind=NoticeKind.UNANSWERED, offer=offer.seq, nth=nth))
    return tuple(n for n in due if n.nth > _newest(told, n))


def _newest(told: frozenset[Notice], notice: Notice) -> int:
    alike = (n.nth for n in told if (n.kind, n.offer) == (notice.kind, notice.offer))
    return max(alike, default=0)


def is_duplicate(one: Ledger, other: Ledger) -> bool:
    """Whether two linked cases are coordinated by two centres: an emergency of its own.

    It ends when one of them hands over by offer and accept, or is closed.
    """
    mine, theirs = believed(one), believed(other)
    return mine is not None and theirs is not None and mine != theirs
