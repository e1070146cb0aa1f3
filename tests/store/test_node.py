"""A whole node over either engine, and what it says of media that are not its own."""

from pathlib import Path

import pytest

from almenara.node.assembly import assembled
from almenara.node.config import Config
from almenara.node.store.audit import SqlAuditLog
from almenara.node.store.database import open_store
from almenara.node.store.place import Place
from tests.store.kept import Watch

pytestmark = [pytest.mark.slow, pytest.mark.anyio]


@pytest.fixture
def watch(place: Place, tmp_path: Path) -> Watch:
    made = Watch(tmp_path / "node", place)
    made.folder.mkdir()
    return made


def config_of(watch: Watch) -> Config:
    watching = watch.config.watch.model_copy(update={"workers": 1})
    return watch.config.model_copy(update={"watch": watching})


async def test_a_node_runs_on_either_engine(watch: Watch):
    async with assembled(config_of(watch), (), scenario=None) as node:
        assert await node.accounts.need_setup()
        assert node.media.main.path == watch.media
        node.storage.look()
        node.media.look()

    assert (watch.media / "identity").exists()


async def test_a_foreign_folder_is_told_to_everybody(watch: Watch):
    watch.run()
    (watch.media / "identity").write_text("torn")

    async with assembled(config_of(watch), (), scenario=None) as node:
        (fault,) = node.faults
        assert fault.place == str(watch.media)
        assert "recordings-2" in fault.cure
        assert f"almenara store adopt {watch.media}" in fault.cure

    with open_store(watch.config.store_place) as store:
        newest = await SqlAuditLog(store).read(limit=1, before_seq=None)
    assert (newest[0].entry.act, newest[0].entry.object.id) == (
        "media.foreign",
        str(watch.media),
    )
