"""One running node for the whole folder; who kills a node starts one of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import RunningNode, Visitor, running_node


def words(directory: Path) -> tuple[str, ...]:
    """The demo with its smallest coast, on a free port."""
    return (
        "demo",
        "--scenario",
        "one-boat",
        "--port",
        "0",
        "--directory",
        str(directory),
    )


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    directory = tmp_path_factory.mktemp("node")
    with running_node(directory, *words(directory)) as running:
        yield running


@pytest.fixture(scope="session")
def visitor(node: RunningNode) -> Iterator[Visitor]:
    entered = node.enter()
    yield entered
    entered.client.close()
