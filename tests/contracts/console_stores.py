"""What fulfils the console's ports: in memory and in a real store."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

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
from tests.console.fakes import NOON, FakeAccounts, FakeAudit

Kind = Literal["fake", "sql"]


def stores(kind: Kind, folder: Path) -> Iterator[tuple[Accounts, AuditLog]]:
    if kind == "fake":
        audit = FakeAudit()
        yield FakeAccounts(audit), audit
        return
    with open_store(folder / "almenara.db") as store:
        yield SqlAccounts(store), SqlAuditLog(store)


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
