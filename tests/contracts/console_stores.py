"""What fulfils the console's ports: in memory and in a real store."""

from collections.abc import Iterator

import pytest

from almenara.console.accounts import Accounts
from almenara.console.gate import AuditLog
from almenara.core.ids import PersonId
from almenara.evidence.audit import (
    AuditAction,
    AuditActor,
    AuditEntry,
    AuditObject,
)
from almenara.node.store.accounts import SqlAccounts
from almenara.node.store.audit import SqlAuditLog
from almenara.node.store.database import open_store
from almenara.node.store.place import Place
from tests.console.fakes import NOON, FakeAccounts, FakeAudit

KINDS = ["fake", "sqlite", "postgresql"]


def stores(request: pytest.FixtureRequest) -> Iterator[tuple[Accounts, AuditLog]]:
    """In memory, in a file, on a server: the fixture's parameter says which."""
    if request.param == "fake":
        audit = FakeAudit()
        yield FakeAccounts(audit), audit
        return
    with open_store(_place(request)) as store:
        yield SqlAccounts(store), SqlAuditLog(store)


def _place(request: pytest.FixtureRequest) -> Place:
    if request.param == "sqlite":
        folder = request.getfixturevalue("tmp_path")
        return folder / "almenara.db"  # type: ignore[no-any-return]  # a path
    server: Place = request.getfixturevalue("server")
    return server


def entry(act: str = "test.act", **changes: object) -> AuditEntry:
    values: dict[str, object] = {
        "entry_id": "e1",
        "at": NOON,
        "actor": AuditActor(person_id=PersonId("p1"), name="Ana", roles=("operator",)),
        "action": AuditAction.SECURITY,
        "act": act,
        "object": AuditObject(kind="account", id="p1"),
    }
    return AuditEntry(**{**values, **changes})  # type: ignore[arg-type]  # by name
