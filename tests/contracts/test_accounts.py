"""One contract for people, sessions and links, in memory and in the store."""

from dataclasses import replace
from datetime import timedelta

import pytest

from almenara.console.accounts import Account, Accounts, Link, Session
from almenara.console.gate import AuditLog
from almenara.core.ids import PersonId, StationId
from almenara.core.labels import Purpose
from almenara.evidence.access import Role
from tests.console.fakes import NOON
from tests.contracts.console_stores import KINDS, entry, stores

pytestmark = pytest.mark.anyio
ANA = Account(
    person_id=PersonId("p1"),
    name="Ana",
    roles=frozenset({Role.OPERATOR, Role.AUDITOR}),
    purpose=Purpose.SAR,
    stations=frozenset({StationId("s1")}),
    missions={"m": NOON},
)
SESSION = Session(
    token_hash="a" * 64,
    person_id=ANA.person_id,
    purpose=Purpose.SAR,
    by="password",
    opened_at=NOON,
    seen_at=NOON,
)
LINK = Link(token_hash="b" * 64, person_id=ANA.person_id, expires_at=NOON)


@pytest.fixture(params=KINDS)
def both(request):
    yield from stores(request)


@pytest.fixture
async def accounts(both: tuple[Accounts, AuditLog]) -> Accounts:
    await both[0].add(ANA, entry=entry("account.add"))
    return both[0]


async def acts(both: tuple[Accounts, AuditLog]) -> list[str]:
    return [r.entry.act for r in await both[1].read(limit=100, before_seq=None)][::-1]


async def test_a_person_comes_back_whole_and_by_any_case(accounts: Accounts):
    assert await accounts.find("aNA") == ANA
    assert await accounts.find("Anna") is None


async def test_a_name_is_taken_once_and_the_refusal_leaves_no_entry(both, accounts):
    twin = replace(ANA, person_id=PersonId("p2"), name="ANA")

    assert not await accounts.add(twin, entry=entry("account.add"))
    assert await acts(both) == ["account.add"]


async def test_nobody_is_set_up_before_there_is_a_password(accounts: Accounts):
    assert await accounts.need_setup()

    await accounts.set_password(ANA.person_id, "hash", session=None, entry=entry())

    assert not await accounts.need_setup()


async def test_a_session_lasts_until_it_is_ended(both, accounts):
    await accounts.open_session(SESSION, entry=entry("open"))
    assert await accounts.session(SESSION.token_hash) == (SESSION, ANA)

    await accounts.end_session(SESSION.token_hash, entry=entry("end"))

    assert await accounts.session(SESSION.token_hash) is None
    assert await acts(both) == ["account.add", "open", "end"]


async def test_touching_never_moves_backwards(accounts: Accounts):
    await accounts.open_session(SESSION, entry=entry())
    later = NOON + timedelta(minutes=5)

    await accounts.touch(SESSION.token_hash, at=later)
    await accounts.touch(SESSION.token_hash, at=NOON)

    kept = await accounts.session(SESSION.token_hash)
    assert kept is not None
    assert kept[0].seen_at == later


async def test_a_new_password_ends_every_session_but_the_one_it_opens(accounts):
    fresh = replace(SESSION, token_hash="c" * 64)
    await accounts.open_session(SESSION, entry=entry())
    await accounts.issue_link(LINK, entry=entry())

    await accounts.set_password(ANA.person_id, "hash", session=fresh, entry=entry())

    assert await accounts.session(SESSION.token_hash) is None
    assert await accounts.link(LINK.token_hash) is None
    assert await accounts.session(fresh.token_hash) is not None


async def test_who_is_disabled_is_out_at_once(accounts: Accounts):
    await accounts.open_session(SESSION, entry=entry())
    await accounts.issue_link(LINK, entry=entry())

    await accounts.disable(ANA.person_id, at=NOON, entry=entry())

    assert await accounts.session(SESSION.token_hash) is None
    assert await accounts.link(LINK.token_hash) is None
    found = await accounts.find("Ana")
    assert found is not None
    assert found.disabled_at == NOON


async def test_a_link_works_once(both, accounts):
    await accounts.issue_link(LINK, entry=entry("issue"))
    assert await accounts.link(LINK.token_hash) == (LINK, ANA)

    assert await accounts.redeem_link(LINK.token_hash, SESSION, entry=entry("enter"))
    other = replace(SESSION, token_hash="d" * 64)
    assert not await accounts.redeem_link(LINK.token_hash, other, entry=entry("enter"))

    assert await accounts.link(LINK.token_hash) is None
    assert await accounts.session(other.token_hash) is None
    assert await acts(both) == ["account.add", "issue", "enter"]


async def test_a_new_link_takes_the_place_of_the_old_one(accounts: Accounts):
    await accounts.issue_link(LINK, entry=entry())

    await accounts.issue_link(replace(LINK, token_hash="e" * 64), entry=entry())

    assert await accounts.link(LINK.token_hash) is None
