"""One running node with the small simulated coast, and a browser to look at it."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.chromium import CHROMIUM, FLAGS
from tests.running import RunningNode, Visitor, running_node


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    folder = tmp_path_factory.mktemp("node")
    words = ("demo", "--scenario", "one-boat", "--port", "0", "--directory")
    with running_node(folder, *words, str(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def visitor(node: RunningNode) -> Iterator[Visitor]:
    entered = node.enter()
    yield entered
    entered.client.close()


@pytest.fixture(scope="module")  # its event loop must be gone before other tests
def browser() -> Iterator[Browser]:
    if shutil.which(CHROMIUM) is None:
        pytest.skip("needs chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, node: RunningNode, visitor: Visitor) -> Iterator[Page]:
    with console(browser, node, visitor) as context:
        yield context.new_page()


class console:  # noqa: N801 - reads as a verb: with console(...)
    """A browser of its own, signed in as the visitor is."""

    def __init__(self, browser: Browser, node: RunningNode, visitor: Visitor) -> None:
        self._context: BrowserContext = browser.new_context(
            viewport={"width": 1920, "height": 1080}, base_url=node.address
        )
        self._context.add_cookies(
            [
                {"name": name, "value": value, "url": node.address}
                for name, value in visitor.client.cookies.items()
            ]
        )

    def __enter__(self) -> BrowserContext:
        return self._context

    def __exit__(self, *_: object) -> None:
        self._context.close()
