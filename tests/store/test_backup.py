"""A backup is whole, and what was put back is told from what ran on (F14)."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from almenara.core.errors import StoreError
from almenara.core.time import ManualClock
from almenara.node.backup import MANIFEST, back_up, foreign_after, read_backup, restore
from almenara.node.keeping import kept
from almenara.node.store import audit, transfer
from almenara.node.store.accounts import SqlAccounts
from almenara.node.store.audit import SqlAuditLog
from almenara.node.store.database import open_store
from almenara.node.store.place import Place
from almenara.recording.check import FlawKind, Level
from almenara.recording.identity import Mismatch
from tests.conftest import NOON
from tests.contracts.console_stores import entry
from tests.contracts.test_accounts import ANA, SESSION
from tests.store.kept import Watch

pytestmark = [pytest.mark.slow, pytest.mark.anyio]
GUIDE = Path(__file__).parents[2] / "docs/guide/keeping.md"


@pytest.fixture
def watch(place: Place, tmp_path: Path) -> Watch:
    made = Watch(tmp_path / "node", place)
    made.folder.mkdir()
    made.run()
    return made


def backed_up(watch: Watch, *, with_keys: bool = False) -> Path:
    clock = ManualClock(NOON + timedelta(minutes=30))
    folder = watch.folder / "backups"
    return back_up(watch.config, folder, clock, with_keys=with_keys)


def rows(place: Place) -> dict[str, list[tuple[object, ...]]]:
    """Everything in a store but what belongs to a database itself."""
    with open_store(place) as store:

        def work(db: sa.Connection) -> dict[str, list[tuple[object, ...]]]:
            found = sa.MetaData()
            found.reflect(db)
            return {
                table.name: sorted(
                    tuple(getattr(v, "tobytes", lambda v=v: v)() for v in row)
                    for row in db.execute(sa.select(table))
                )
                for table in found.sorted_tables
                if table.name not in ("alembic_version", "write_ticket", "audit")
                if table.name not in ("session", "target", "personal_text")
                if not table.name.startswith("log_")  # the restore adds to them
            }

        return store.read_now(work)


def test_a_backup_says_what_is_in_it_and_hides_what_is_not(watch: Watch):
    keys = watch.folder / "keys"
    keys.mkdir()
    (keys / "log.pem").write_text("private")

    plain = backed_up(watch)
    manifest = read_backup(plain)

    assert manifest.keys == (str(keys / "log.pem"),)
    assert sorted(manifest.files) == ["almenara.db"]
    assert not (plain / "keys").exists()
    assert oct(plain.stat().st_mode)[-3:] == "700"


def test_keys_are_copied_if_asked_for(watch: Watch):
    keys = watch.folder / "keys"
    keys.mkdir()
    (keys / "log.pem").write_text("private")

    whole = backed_up(watch, with_keys=True)

    assert (whole / "keys/log.pem").read_text() == "private"
    assert "keys/log.pem" in read_backup(whole).files


def test_taken_beside_a_running_node(watch: Watch):
    with open_store(watch.config.store_place, exclusive=True):
        made = backed_up(watch)

    assert read_backup(made).database_id


def test_a_node_that_writes_all_the_time_does_not_hold_a_backup_up(
    tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(transfer, "PAGES", 1)
    watch = Watch(tmp_path / "node", tmp_path)
    watch.folder.mkdir()
    watch.run()
    shares: list[float] = []
    with open_store(watch.config.store_place, exclusive=True) as store:

        def write(share: float) -> None:
            shares.append(share)
            line = entry(f"act.{len(shares)}")
            store.submit(lambda db: audit.append(db, (line,))).result()

        clock = ManualClock(NOON)
        made = back_up(watch.config, tmp_path, clock, progress=write)

    assert len(shares) > 20
    assert shares == sorted(shares)
    with open_store(made / "almenara.db") as copy:
        counted = sa.select(sa.func.count()).select_from(audit.audit)
        assert copy.read_now(lambda db: db.execute(counted).scalar()) == 0


async def test_what_is_put_back_is_what_was_saved(watch: Watch, tmp_path: Path):
    with open_store(watch.config.store_place) as store:
        accounts = SqlAccounts(store)
        await accounts.add(ANA, entry=entry("account.add"))
        await accounts.open_session(SESSION, entry=entry("open"))
    before = rows(watch.config.store_place)
    made = backed_up(watch)
    other = Watch(tmp_path / "other", tmp_path)  # a file, whatever it was
    other.folder.mkdir()

    restore(other.config, made, entry("store.restore"))

    assert rows(other.config.store_place) == before
    with open_store(other.config.store_place) as store:
        assert await SqlAccounts(store).session(SESSION.token_hash) is None
        newest = await SqlAuditLog(store).read(limit=1, before_seq=None)
    assert newest[0].entry.act == "store.restore"


async def test_from_a_file_into_a_server(tmp_path: Path, server):
    watch = Watch(tmp_path / "node", tmp_path)
    watch.folder.mkdir()
    watch.run()
    before = rows(watch.config.store_place)
    made = backed_up(watch)
    other = Watch(tmp_path / "other", server)

    restore(other.config, made, entry("store.restore"))

    assert rows(server) == before
    with pytest.raises(StoreError, match="holds rows already"):
        restore(other.config, made, entry("store.restore"))


def test_what_ran_on_is_foreign_after_a_restore(watch: Watch):
    made = backed_up(watch)
    watch.run(60)
    if not isinstance(watch.place, Path):
        pytest.skip("a server's database is replaced by hand")
    clock = ManualClock(NOON)

    (expected,) = foreign_after(watch.config, read_backup(made))
    aside = restore(watch.config, made, entry("store.restore"), replace=True)
    with kept(watch.config, clock) as keeping:
        (foreign,) = keeping.foreign
        kinds = {f.kind for f in keeping.flaws(Level.IDENTITY, lambda *_: None)}

    assert expected == foreign
    assert foreign.why is Mismatch.DATABASE_OLD
    assert FlawKind.FOREIGN in kinds
    assert aside is not None
    assert aside.exists()


def test_a_backup_put_back_at_once_is_told_from_the_store(watch: Watch):
    """No start lies between: the backup itself moved the folder on."""
    made = backed_up(watch)

    (foreign,) = foreign_after(watch.config, read_backup(made))

    assert foreign.why is Mismatch.DATABASE_OLD


def test_a_store_is_not_overwritten_unasked_nor_under_a_node(tmp_path: Path):
    watch = Watch(tmp_path / "node", tmp_path)
    watch.folder.mkdir()
    watch.run()
    made = backed_up(watch)

    with pytest.raises(StoreError, match="--replace"):
        restore(watch.config, made, entry())
    with (
        open_store(watch.config.store_place, exclusive=True),
        pytest.raises(StoreError, match="another node"),
    ):
        restore(watch.config, made, entry(), replace=True)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("almenara.db", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        (MANIFEST, lambda data: data[: len(data) // 2]),
        (MANIFEST, lambda _: b"[]"),
        (MANIFEST, lambda data: data.replace(b"almenara.db", b"../../x.db")),
        (
            MANIFEST,
            lambda data: re.sub(rb'"revision": "\d+"', b'"revision": "9"', data),
        ),
    ],
    ids=["bit", "torn", "list", "elsewhere", "newer"],
)
def test_a_damaged_backup_is_refused(tmp_path: Path, name: str, change):
    watch = Watch(tmp_path / "node", tmp_path)
    watch.folder.mkdir()
    watch.run()
    made = backed_up(watch)
    path = made / name
    path.write_bytes(change(path.read_bytes()))

    with pytest.raises(StoreError, match=str(made)):
        read_backup(made)


def test_a_backup_that_fails_leaves_nothing_half(tmp_path: Path):
    watch = Watch(tmp_path / "node", tmp_path)
    watch.folder.mkdir()

    with pytest.raises(StoreError, match="no store yet"):
        backed_up(watch)

    assert list((watch.folder / "backups").iterdir()) == []


def run(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "almenara.node.cli", *shlex.split(line)],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_command_of_the_guide_does_what_it_says(tmp_path: Path):
    lines = re.findall(r"^    almenara (.+)$", GUIDE.read_text("utf-8"), re.MULTILINE)
    watch = Watch(tmp_path / "data", tmp_path)
    watch.folder.mkdir()
    (tmp_path / "almenara.toml").write_text("")
    watch.run()
    said = {}
    made = ""
    for written in lines:
        line = re.sub(r"backups/\S+", made, written)
        if line.startswith("backup") and made:
            shutil.move(tmp_path / made, tmp_path / "earlier")  # within one second
        if line.startswith("restore"):
            watch.run(60)
        done = run(tmp_path, line)
        assert "Traceback" not in done.stderr
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        said[line.split()[0]] = done.stdout + done.stderr
        if line.startswith("backup"):
            made = done.stdout.strip()

    assert "1 files taken in, 1 known" in said["store"]
    assert run(tmp_path, "store check --level hash").returncode == 0
    assert watch.run(120).faults == ()


def test_the_check_speaks_by_its_exit_status(tmp_path: Path):
    assert run(tmp_path, "store check").returncode == 2

    watch = Watch(tmp_path / "data", tmp_path)
    watch.folder.mkdir()
    watch.run()
    assert run(tmp_path, "store check --level hash").returncode == 0

    (path,) = watch.files()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    plain = run(tmp_path, "store check --level hash")
    machine = run(tmp_path, "store check --level hash --json")

    assert (plain.returncode, machine.returncode) == (1, 1)
    (flaw,) = json.loads(machine.stdout)
    assert flaw["kind"] == "fragment damaged"
    for part in (path.name, f"fragment {flaw['fragment']}", flaw["start"]):
        assert part in plain.stdout
