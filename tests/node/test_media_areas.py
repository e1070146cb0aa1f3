"""Media folders as areas: whose they are decides what may happen in them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from almenara.core.errors import RecordingError
from almenara.core.time import ManualClock
from almenara.incidents.stores import StoreFacts
from almenara.node.config.sections import AreaConfig
from almenara.node.keeping import kept
from almenara.node.media import MediaFolders, areas_beside
from almenara.node.storage import Storage, reserve_in
from almenara.node.store.database import Store, open_store
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.recording.index import SegmentState
from almenara.recording.janitor import Janitor
from almenara.recording.playback import Playback
from almenara.recording.reconcile import reconcile
from almenara.recording.recorder import Recorder
from tests.conftest import NOON
from tests.recording.films import STREAM
from tests.store.kept import Watch

LATER = NOON + timedelta(days=40)


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    made = Watch(tmp_path / "node", tmp_path / "node" / "almenara.db")
    made.folder.mkdir()
    made.run()
    return made


@pytest.fixture
def store(watch: Watch) -> Iterator[Store]:
    with open_store(watch.config.store_place) as opened:
        yield opened


def opened(watch: Watch, store: Store) -> MediaFolders:
    clock = ManualClock(NOON + timedelta(minutes=5))
    return MediaFolders(watch.config.recording, store, clock, beside=watch.folder)


def emptied(media: MediaFolders, store: Store) -> int:
    """How many segments go when all are far too old."""
    janitor = Janitor(media.areas, SqlSegmentIndex(store), ManualClock(LATER))
    return janitor.tidy(keep_for=timedelta(days=1), keep_free_bytes=2**60).deleted


def test_the_main_area_bears_the_uuid_of_its_folder(watch: Watch, store: Store):
    media = opened(watch, store)

    (state,) = media.areas.states()
    assert state.area.area_id == media.main.target_id
    assert state.area.title == "main"
    (segment,) = SqlSegmentIndex(store).segments_in([SegmentState.SEALED])
    assert segment.target_id == media.main.target_id


def test_a_foreign_folder_is_read_and_never_changed(watch: Watch, store: Store):
    (watch.media / "identity").write_text("torn")
    before = watch.files()
    media = opened(watch, store)
    index = SqlSegmentIndex(store)
    (segment,) = index.segments_in([SegmentState.SEALED])

    assert media.main.path.name == "recordings-2"
    assert Playback(media.areas, index).init(segment)
    assert media.areas.choose()[0] == media.main.target_id
    assert emptied(media, store) == 0
    assert watch.files() == before
    with pytest.raises(RecordingError, match="store adopt"):
        media.areas.own(segment.target_id)
    with pytest.raises(RecordingError, match="store adopt"):
        media.areas.take_back(segment.target_id)
    assert [s.area.title for s in media.areas.states()] == ["main"]


def test_an_older_folder_of_ours_is_still_tidied(watch: Watch, store: Store):
    (watch.media / "identity").rename(watch.folder / "kept")
    opened(watch, store)
    (watch.folder / "kept").rename(watch.media / "identity")
    media = opened(watch, store)

    recorded = [s.area.is_recorded for s in media.areas.states()]
    assert recorded == [True, False]
    assert media.areas.tidied_in_order()[-1] == media.main.target_id
    assert emptied(media, store) == 1
    assert watch.files() == []


def test_a_segment_of_a_folder_nobody_knows_costs_nothing_else(
    watch: Watch, store: Store
):
    media, index = opened(watch, store), SqlSegmentIndex(store)
    (segment,) = index.segments_in([SegmentState.SEALED])
    lost = replace(segment, target_id=str(uuid4()))

    with pytest.raises(FileNotFoundError, match="not configured"):
        Playback(media.areas, index).init(lost)
    assert not media.areas.owns(lost.target_id)
    elsewhere = opened(Watch(watch.folder / "other", watch.place), store)
    assert emptied(elsewhere, store) <= 1
    reconcile(elsewhere.areas, index, ManualClock(LATER))


def test_a_command_sees_the_folders_as_the_node_does(watch: Watch, store: Store):
    (watch.media / "identity").write_text("torn")
    media = opened(watch, store)
    beside = areas_beside(watch.config.recording, store, watch.folder)

    assert [each.area for each in beside.kept] == [e.area for e in media.areas.kept]


def test_what_fails_is_remembered_under_the_name_people_use(watch: Watch, store: Store):
    media = opened(watch, store)
    media.areas.failed("main", OSError(5, "Input/output error"))

    assert (watch.folder / "failing-areas" / "main").exists()
    media.areas.take_back("main")
    assert not media.areas.is_failing(media.main.target_id)
    with Recorder(media.areas, SqlSegmentIndex(store), ManualClock(LATER)) as recorder:
        recorder.expect(STREAM)


def test_nothing_is_said_of_room_before_anybody_looked(watch: Watch, store: Store):
    media, reserve = opened(watch, store), reserve_in(watch.folder)
    storage = Storage(
        media.areas,
        SqlSegmentIndex(store),
        ManualClock(LATER),
        reserve=reserve,
        keep_for=timedelta(days=30),
        written_bytes=lambda: 0,
    )

    assert storage.facts() == (StoreFacts(store_id="store"),)
    storage.look()
    names = [facts.store_id for facts in storage.facts()]
    assert names == ["main", "store"]


def test_a_check_looks_into_every_configured_area(watch: Watch):
    config = watch.config
    second = AreaConfig(directory=watch.folder / "second")
    recording = config.recording.model_copy(update={"areas": {"second": second}})
    config = config.model_copy(update={"recording": recording})

    with kept(config, ManualClock(LATER)) as keeping:
        paths = [target.path for target in keeping.ours]

    assert paths == [watch.media, watch.folder / "second"]
