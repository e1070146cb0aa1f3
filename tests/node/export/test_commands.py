"""``almenara export`` from request to verdict: two persons, audit, exit status."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from typer.testing import CliRunner, Result

from almenara.console.accounts import Account
from almenara.core.ids import PersonId
from almenara.core.labels import Purpose
from almenara.evidence.access import Role
from almenara.evidence.audit import (
    AuditAction,
    AuditActor,
    AuditEntry,
    AuditObject,
    RecordedEntry,
)
from almenara.evidence.leaves import Approval as LeafApproval
from almenara.evidence.leaves import Kind, decode
from almenara.node.cli import app
from almenara.node.export.create import Exporter
from almenara.node.export.folder import PackageFolder
from almenara.node.store import evidence_log
from almenara.node.store.accounts import SqlAccounts
from almenara.node.store.audit import SqlAuditLog
from almenara.node.store.database import open_store
from almenara.node.store.stations import SqlStationRegistry
from tests.conftest import NOON
from tests.node.export.packages import STATION, centre

pytestmark = pytest.mark.slow
PASSWORD = "correct-horse-battery"  # noqa: S105  # of nobody
HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
PEOPLE = {
    "ana": Role.EVIDENCE_OFFICER,
    "driss": Role.WATCH_OFFICER,
    "leila": Role.EVIDENCE_OFFICER,
    "omar": Role.OPERATOR,
}
WORDS = {
    "--camera": "tarifa-day",
    "--from": "2026-03-01T12:00:00Z",
    "--to": "2026-03-01T12:00:02Z",
    "--case": "7/2026",
    "--recipient": "Juzgado 2",
    "--legal-basis": "LECrim 588",
    "--reason": "asked by the court",
    "--as": "ana",
}
Run = Callable[..., Result]


def entry(kind: str, subject: str) -> AuditEntry:
    return AuditEntry(
        entry_id="test",
        at=NOON,
        actor=AuditActor(person_id=PersonId("service/test"), name="service/test"),
        action=AuditAction.ALTERATION,
        act="test",
        object=AuditObject(kind=kind, id=subject),
    )


async def settle(accounts: SqlAccounts, registry: SqlStationRegistry) -> None:
    for name, role in PEOPLE.items():
        account = Account(
            person_id=PersonId(name),
            name=name,
            roles=frozenset({role}),
            purpose=Purpose.BORDER,
            password_hash=HASH,
        )
        await accounts.add(account, entry=entry("account", name))
    await registry.save([STATION], reason="test", entry=entry("stations", "all"))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A centre's folder as a stopped node leaves it."""
    folder = tmp_path_factory.mktemp("house")
    with centre(folder, "almenara.db") as tarifa:
        accounts = SqlAccounts(tarifa.store)
        asyncio.run(settle(accounts, SqlStationRegistry(tarifa.store)))
    (folder / "almenara.toml").write_text(
        '[centre]\nid = "tarifa"\nname = "Tarifa"\n'
        f'[store]\ndirectory = "{folder}"\n'
        f'[recording]\ndirectory = "{folder}/media"\n'
    )
    return folder


@pytest.fixture
def run(house: Path) -> Run:
    def run_(*words: str, password: str = PASSWORD) -> Result:
        config = [] if words[1] == "verify" else ["--config", f"{house}/almenara.toml"]
        return CliRunner().invoke(app, [*words, *config], input=f"{password}\n")

    return run_


def create(run: Run, out: Path, password: str = PASSWORD, **changes: str) -> Result:
    words = {**WORDS, **{f"--{key.replace('_', '-')}": v for key, v in changes.items()}}
    flat = [word for pair in words.items() for word in pair]
    return run("export", "create", *flat, "--out", str(out), password=password)


def requested(result: Result) -> str:
    line = next(
        x for x in result.output.splitlines() if x.startswith("almenara export")
    )
    return line.split()[3]


def approve(run: Run, digest: str, who: str = "driss") -> Result:
    return run("export", "approve", digest, "--as", who, "--yes")


@pytest.fixture
def audit(house: Path) -> Callable[[], tuple[RecordedEntry, ...]]:
    def read() -> tuple[RecordedEntry, ...]:
        with open_store(house / "almenara.db") as store:
            log = SqlAuditLog(store)
            return asyncio.run(log.read(limit=20, before_seq=None))

    return read


def test_from_request_to_verdict(run: Run, tmp_path: Path, audit):
    out, trust = tmp_path / "p.zip", tmp_path / "trust"
    first = create(run, out, case="whole way")
    assert first.exit_code == 1
    assert not out.exists()

    assert approve(run, requested(first)[:16]).exit_code == 0
    second = create(run, out, case="whole way")
    assert second.exit_code == 0, second.output
    trust.write_text(run("export", "trust").stdout)
    verdict = run("export", "verify", str(out), "--trust", str(trust), "--json")

    assert verdict.exit_code == 5, verdict.output
    assert json.loads(verdict.stdout)["word"] == "not-anchored"
    acts_done = [line.entry.act for line in audit()]
    assert acts_done[:4] == [
        "export.finish",
        "export.create",
        "export.approve",
        "export.request",
    ]
    assert audit()[1].entry.action is AuditAction.DISCLOSURE
    assert audit()[0].entry.size_bytes


def test_an_approval_is_a_leaf_of_the_log(run: Run, house: Path, tmp_path: Path):
    digest = requested(create(run, tmp_path / "p", case="leaf"))
    approve(run, digest)

    with open_store(house / "almenara.db") as store:
        newest = store.read_now(evidence_log.newest)
        (kept,) = store.read_now(
            lambda db: evidence_log.LogReader(db, newest).find(Kind.APPROVAL, digest)
        )
        said = decode(kept.data)

    assert isinstance(said, LeafApproval)
    assert (said.requested_by, said.approved_by) == ("ana", "driss")


def test_the_package_says_who_asked_and_who_agreed(run: Run, tmp_path: Path):
    out = tmp_path / "p"
    approve(run, requested(create(run, out, case="says")))
    create(run, out, case="says")

    said = json.loads((out / "data/decisions.json").read_text("ascii"))
    looks = json.loads((out / "data/custody.json").read_text("ascii"))["entries"]

    assert said["request"]["requested_by"] == "ana"
    assert said["approval"]["approved_by"] == "driss"
    assert said["approval"]["request_sha256"] == said["request"]["sha256"]
    assert [look["act"] for look in looks] == [
        "export.request",
        "export.approve",
        "export.create",
    ]


def test_nobody_approves_their_own_request(run: Run, tmp_path: Path, audit):
    out = tmp_path / "p"
    digest = requested(create(run, out, case="own"))

    refused = approve(run, digest, "ana")

    assert refused.exit_code == 1
    assert "another one has to" in refused.output
    assert audit()[0].entry.result.value == "deny"
    assert create(run, out, case="own").exit_code == 1
    assert not out.exists()


def test_one_word_more_is_another_request(run: Run, tmp_path: Path):
    out = tmp_path / "p"
    approve(run, requested(create(run, out, case="word")))

    changed = create(run, out, case="word", recipient="Juzgado 3")

    assert changed.exit_code == 1
    assert "not approved" in changed.output


def test_an_approval_is_good_for_one_package(run: Run, tmp_path: Path):
    approve(run, requested(create(run, tmp_path / "p", case="once")))
    assert create(run, tmp_path / "p", case="once").exit_code == 0

    assert create(run, tmp_path / "again", case="once").exit_code == 1
    assert not (tmp_path / "again").exists()


def test_an_approval_is_good_for_one_destination(run: Run, tmp_path: Path, monkeypatch):
    """An interrupted package may lie elsewhere: a second one would be a second copy."""
    approve(run, requested(create(run, tmp_path / "p", case="elsewhere")))
    with monkeypatch.context() as broken:
        broken.setattr(Exporter, "write", None)
        create(run, tmp_path / "p", case="elsewhere")

    refused = create(run, tmp_path / "other", case="elsewhere")

    assert refused.exit_code == 1
    assert "another --out" in refused.output
    assert [p.name for p in tmp_path.iterdir()] == ["p.partial"]


def test_who_approved_must_have_the_right_still(run: Run, house: Path, tmp_path: Path):
    """The second person is shut out between the approval and the package."""
    approve(run, requested(create(run, tmp_path / "p", case="left")), "leila")
    with open_store(house / "almenara.db") as store:
        accounts = SqlAccounts(store)
        gone = entry("account", "leila")
        asyncio.run(accounts.disable(PersonId("leila"), at=NOON, entry=gone))

    refused = create(run, tmp_path / "p", case="left")

    assert refused.exit_code == 1
    assert "works here no more" in refused.output
    assert not (tmp_path / "p").exists()


def test_a_wrong_password_leaves_a_line_in_the_audit(run: Run, tmp_path: Path, audit):
    create(run, tmp_path / "p", password="x")  # noqa: S106  # a wrong one

    line = audit()[0].entry
    assert (line.act, line.result.value, line.object.id) == (
        "export.identify",
        "deny",
        "ana",
    )


@pytest.mark.parametrize("who", ["omar", "driss"])
def test_who_may_not_export_does_not_and_it_is_noted(
    run: Run, tmp_path: Path, audit, who: str
):
    done = create(run, tmp_path / "p", **{"as": who})

    assert done.exit_code == 1
    assert "no right" in done.output
    assert (audit()[0].entry.act, audit()[0].entry.result.value) == (
        "export.create",
        "deny",
    )


def test_an_operator_cannot_be_the_second_person(run: Run, tmp_path: Path):
    digest = requested(create(run, tmp_path / "p", case="op"))

    assert "no right" in approve(run, digest, "omar").output


def test_a_wrong_password_and_a_wrong_name_read_the_same(run: Run, tmp_path: Path):
    wrong = create(run, tmp_path / "p", password="x")  # noqa: S106  # a wrong one
    nobody = create(run, tmp_path / "p", **{"as": "nobody"})

    assert wrong.exit_code == nobody.exit_code == 1
    assert wrong.output.replace("ana", "nobody") == nobody.output


def test_the_disclosure_is_in_the_audit_before_the_first_byte(
    run: Run, tmp_path: Path, audit, monkeypatch
):
    out = tmp_path / "p"
    approve(run, requested(create(run, out, case="before")))
    seen: list[str] = []

    def stopped(*_: object, **__: object) -> None:
        seen.append(audit()[0].entry.act)
        seen.extend(str(p) for p in (tmp_path / "p.partial/bag").rglob("*"))
        raise KeyboardInterrupt

    monkeypatch.setattr(Exporter, "write", stopped)
    create(run, out, case="before")

    assert seen == ["export.create"]


def test_an_interrupted_export_goes_on_with_the_same_words(
    run: Run, tmp_path: Path, monkeypatch
):
    out = tmp_path / "p"
    approve(run, requested(create(run, out, case="goes on")))
    with monkeypatch.context() as broken:
        broken.setattr(PackageFolder, "finish", None)
        create(run, out, case="goes on")
    assert not out.exists()

    assert create(run, out, case="goes on").exit_code == 0


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"camera": "nowhere"}, "nowhere"),
        ({"to": "2026-03-03T12:00:00Z"}, "span"),
        ({"from": "2026-03-01T12:00:05Z"}, "span"),
        ({"reason": " "}, "each text"),
        ({"from": "2025-03-01T12:00:00Z", "to": "2025-03-01T13:00:00Z"}, "recorded"),
        ({"from": "yesterday"}, "no time"),
        ({"from": "2026-03-01T12:00:00"}, "no zone"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_line(
    run: Run, tmp_path: Path, changes: dict[str, str], word: str
):
    done = create(run, tmp_path / "p", **changes)

    assert done.exit_code in (1, 2)
    assert word in done.output
    assert not list(tmp_path.iterdir())


def test_a_request_that_nobody_made_is_not_approved(run: Run):
    assert approve(run, "0" * 64).exit_code == 1
    assert approve(run, "").exit_code == 1
