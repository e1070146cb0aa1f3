"""One contract for the audit, in memory and in the store."""

from datetime import timedelta

import pytest

from almenara.evidence.audit import AuditAction, AuditObject, AuditResult
from tests.console.fakes import NOON
from tests.contracts.console_stores import KINDS, entry, stores

pytestmark = pytest.mark.anyio


@pytest.fixture(params=KINDS)
def audit(request):
    for _, audit in stores(request):
        yield audit


async def test_an_entry_comes_back_whole(audit):
    span = AuditObject(kind="camera", id="c", start=NOON, end=NOON + timedelta(hours=1))
    whole = entry(
        object=span,
        action=AuditAction.DISCLOSURE,
        result=AuditResult.DENY,
        justification="<script>'; drop table audit; --",
        size_bytes=2**40,
    )

    await audit.record(whole)

    (kept,) = await audit.read(limit=10, before_seq=None)
    assert kept.entry == whole
    assert kept.seq == 1


async def test_the_newest_come_first_and_pages_join(audit):
    for number in range(5):
        await audit.record(entry(f"act.{number}"))

    first = await audit.read(limit=2, before_seq=None)
    second = await audit.read(limit=2, before_seq=first[-1].seq)

    assert [r.seq for r in (*first, *second)] == [5, 4, 3, 2]
