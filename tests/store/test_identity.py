"""Media that do not agree with the database are found and kept apart (F14)."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from almenara.core.errors import StoreError
from almenara.core.time import ManualClock
from almenara.node.keeping import kept, take_in
from almenara.node.store.database import open_store
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.node.store.targets import SqlTargets
from almenara.recording.adopt import Adoption
from almenara.recording.check import Flaw, FlawKind, Level
from almenara.recording.files import Files
from almenara.recording.identity import Identity, Mismatch, read_identity
from almenara.recording.index import Origin, SegmentState
from tests.conftest import NOON
from tests.contracts.console_stores import entry
from tests.recording.films import STREAM
from tests.store.kept import OTHER, Watch

pytestmark = pytest.mark.slow


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """Beside a file; the rows are the same on a server, the folders too."""
    return Watch(tmp_path, tmp_path / "almenara.db")


def saved(watch: Watch, name: str) -> Path:
    """Copy the database by hand, as people do."""
    copy = watch.folder / name
    shutil.copy(watch.folder / "almenara.db", copy)
    return copy


def put_back(watch: Watch, copy: Path) -> None:
    for leftover in watch.folder.glob("almenara.db-*"):
        leftover.unlink()
    shutil.copy(copy, watch.folder / "almenara.db")


def adopted(watch: Watch, folder: Path, minutes: float = 60) -> Adoption:
    clock = ManualClock(NOON + timedelta(minutes=minutes))
    return take_in(watch.config, folder, clock, entry("media.adopt"))


def flaws(watch: Watch, level: Level = Level.HASH) -> list[Flaw]:
    clock = ManualClock(NOON + timedelta(days=400))  # every file is old enough
    with kept(watch.config, clock) as keeping:
        return list(keeping.flaws(level, lambda *_: None))


def why(watch: Watch) -> list[Mismatch]:
    with kept(watch.config, ManualClock(NOON)) as keeping:
        return [each.why for each in keeping.foreign]


def identity(folder: Path) -> Identity:
    found = read_identity(folder)
    assert found is not None
    return found


def test_every_start_is_a_generation_in_row_and_file(place, tmp_path: Path):
    watch = Watch(tmp_path / "node", place)
    watch.folder.mkdir()
    first = watch.run()
    second = watch.run(1)

    said = identity(watch.media)
    assert said.generation == 2
    assert first.main == second.main
    assert said.target_id == first.main.target_id
    assert not second.faults
    assert flaws(watch) == []


def test_yesterdays_database_with_todays_media(watch: Watch):
    watch.run()
    copy = saved(watch, "yesterday.db")
    watch.run(1)
    put_back(watch, copy)
    before = {path: path.read_bytes() for path in watch.files()}

    media = watch.run(2)

    assert [fault.place for fault in media.faults] == [str(watch.media)]
    assert media.main.path == watch.folder / "recordings-2"
    assert {path: path.read_bytes() for path in before} == before
    with open_store(watch.config.store_place) as store:
        index = SqlSegmentIndex(store)
        known = {s.segment_id for s in index.segments_in(list(SegmentState))}
    assert len(known) == 2  # the first and the third: nothing was merged
    assert FlawKind.FOREIGN in {flaw.kind for flaw in flaws(watch, Level.IDENTITY)}


def test_what_is_taken_in_has_its_rows_again_and_no_gap_over_it(watch: Watch):
    watch.run()
    copy = saved(watch, "yesterday.db")
    watch.run(1)
    put_back(watch, copy)
    watch.run(2)

    done = adopted(watch, watch.media)
    media = watch.run(3)

    assert (done.adopted, done.known, done.refused) == (1, 1, [])
    assert not media.faults
    assert media.main.path == watch.media
    with open_store(watch.config.store_place) as store:
        segments = SqlSegmentIndex(store).segments_in([SegmentState.SEALED])
    assert [s.origin for s in sorted(segments, key=lambda s: s.started_at)] == [
        Origin.LIVE,
        Origin.REBUILT,
        Origin.LIVE,
        Origin.LIVE,
    ]
    assert flaws(watch) == []


def test_yesterdays_media_with_todays_database(watch: Watch):
    watch.run()
    shutil.copytree(watch.media, watch.folder / "copy")
    watch.run(1)
    shutil.rmtree(watch.media)
    shutil.move(watch.folder / "copy", watch.media)

    assert why(watch) == [Mismatch.MEDIA_OLD]
    media = watch.run(2)
    assert media.main.path == watch.folder / "recordings-2"
    adopted(watch, watch.media)

    (flaw,) = flaws(watch)
    assert flaw.kind is FlawKind.MISSING
    assert flaw.start == NOON + timedelta(minutes=1)


def test_a_database_begun_anew_does_not_take_over_old_footage(watch: Watch):
    """Named after what happened to others: a wiped database, and cameras mixed up."""
    watch.run()
    (watch.folder / "almenara.db").unlink()

    media = watch.run(1)

    assert media.main.path == watch.folder / "recordings-2"
    assert why(watch) == [Mismatch.OTHER_STORE]
    done = adopted(watch, watch.media)
    assert done.adopted == 1
    assert flaws(watch) == []


def test_a_disk_that_is_not_mounted_is_not_written_to(watch: Watch):
    watch.run()
    shutil.move(watch.media, watch.folder / "unplugged")
    watch.media.mkdir()

    away = watch.run(1)
    assert away.main.path == watch.folder / "recordings-2"
    assert why(watch) == [Mismatch.MISSING]
    assert list(watch.media.iterdir()) == []

    watch.media.rmdir()
    shutil.move(watch.folder / "unplugged", watch.media)
    back = watch.run(2)
    assert back.main.path == watch.media
    assert not back.faults
    assert flaws(watch) == []


def test_a_copied_folder_is_not_taken_for_the_first(watch: Watch):
    watch.run()
    shutil.copytree(watch.media, watch.folder / "recordings-2")

    media = watch.run(1)

    assert media.main.path == watch.media
    assert why(watch) == [Mismatch.COPY]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sha256": 1}', "\x00" * 100])
def test_a_torn_identity_is_foreign_and_never_believed(watch: Watch, text: str):
    watch.run()
    (watch.media / "identity").write_text(text)

    assert watch.run(1).main.path == watch.folder / "recordings-2"
    assert why(watch) == [Mismatch.DAMAGED]


def test_an_edited_identity_is_foreign(watch: Watch):
    watch.run()
    path = watch.media / "identity"
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "generation": said["generation"] + 5}))

    watch.run(1)

    assert why(watch) == [Mismatch.DAMAGED]


class DiedError(Exception):
    """As if the power were cut here."""


@pytest.mark.parametrize("step", ["begin_boot", "add_target", "move_on", "confirm"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_start_that_dies_at_any_step_is_begun_again(
    watch: Watch,
    step: str,
    after: bool,  # noqa: FBT001  # a parameter of the test
    monkeypatch,
):
    plain = getattr(SqlTargets, step)

    def die(self, *words: object) -> None:
        if after:
            plain(self, *words)
        raise DiedError

    times = 1 if step == "add_target" else 3  # however often
    for _ in range(times):
        with monkeypatch.context() as patched:
            patched.setattr(SqlTargets, step, die)
            with pytest.raises(DiedError):
                watch.run()
    first = watch.run(1)
    if step != "add_target":  # there is nothing to add now
        for _ in range(3):
            with monkeypatch.context() as patched:
                patched.setattr(SqlTargets, step, die)
                with pytest.raises(DiedError):
                    watch.run(2)

    second = watch.run(3)

    assert first.main.path == second.main.path == watch.media
    assert not second.faults
    assert flaws(watch) == []


def test_a_store_from_before_folders_had_names_keeps_its_segments(watch: Watch):
    watch.run()
    with open_store(watch.config.store_place) as store:

        def undo(db: sa.Connection) -> None:
            db.exec_driver_sql("update segment set target_id = 'main'")
            db.exec_driver_sql("delete from target")

        store.submit(undo).result()
    (watch.media / "identity").unlink()

    media = watch.run(1)

    assert media.main.path == watch.media
    assert not media.faults
    assert flaws(watch) == []


def test_taking_in_needs_a_foreign_folder_and_a_stopped_node(watch: Watch):
    watch.run()

    with pytest.raises(StoreError, match="own"):
        adopted(watch, watch.media)
    with pytest.raises(StoreError, match="no foreign media folder"):
        adopted(watch, watch.folder / "elsewhere")
    with (
        open_store(watch.config.store_place, exclusive=True),
        pytest.raises(StoreError, match="another node"),
    ):
        adopted(watch, watch.media)


def test_a_damaged_file_is_not_taken_in_and_stays(watch: Watch):
    watch.run(streams=(STREAM, OTHER))
    (watch.folder / "almenara.db").unlink()
    watch.run(1)
    victim = next(p for p in watch.files() if p.parts[-3] == STREAM)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)

    done = adopted(watch, watch.media)

    assert done.adopted == 1
    assert [(path, "damaged" in reason) for path, reason in done.refused] == [
        (victim, True)
    ]
    assert victim.read_bytes() == data


def test_what_was_deleted_on_purpose_does_not_come_back(watch: Watch):
    media = watch.run()
    (file,) = watch.files()
    data = file.read_bytes()
    with open_store(watch.config.store_place) as store:
        index = SqlSegmentIndex(store)
        (segment,) = index.segments_in([SegmentState.SEALED])
        index.doom([segment.segment_id], "expired", NOON).result()
        Files(media.main.path).unlink(segment.place)
        index.bury(segment.segment_id).result()
    file.write_bytes(data)  # somebody copied it back
    (watch.media / "identity").unlink()
    watch.run(1)

    done = adopted(watch, watch.media)

    assert [reason for _, reason in done.refused] == ["deleted before"]
    assert FlawKind.UNDEAD in {flaw.kind for flaw in flaws(watch)}
