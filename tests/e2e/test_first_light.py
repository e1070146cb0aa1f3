"""One boat from camera to operator, in a real browser."""

import re
import time

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import console
from tests.running import RunningNode, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PATIENCE_MS = 90_000
ROW = "section[aria-label='Alarm queue'] button.row"


def row_of_a_contact(page: Page):
    return page.locator(ROW).filter(has_text=re.compile("zone", re.IGNORECASE)).first


def test_an_alarm_appears_and_one_console_acknowledges_for_all(
    browser: Browser, node: RunningNode, visitor: Visitor
):
    with (
        console(browser, node, visitor) as first,
        console(browser, node, visitor) as second,
    ):
        here, there = first.new_page(), second.new_page()
        here.goto("/")
        there.goto("/")
        for page in (here, there):
            expect(row_of_a_contact(page)).to_contain_text(
                "unacknowledged", timeout=PATIENCE_MS
            )
        row_of_a_contact(there).click()
        there.keyboard.press("a")

        seen = here.locator(ROW).filter(has_text=re.compile(r"(?<!un)acknowledged ·"))
        expect(seen.first).to_be_visible(timeout=PATIENCE_MS)
        alarms = visitor.get("/alarms")["items"]
        assert any(alarm["acknowledged_by"] for alarm in alarms)


def test_the_selected_alarm_explains_itself_and_shows_moving_pictures(page: Page):
    page.goto("/")
    row = row_of_a_contact(page)
    expect(row).to_be_visible(timeout=PATIENCE_MS)
    row.click()

    card = page.locator("#card")
    expect(card).to_contain_text(re.compile("zone", re.IGNORECASE))
    video = card.locator("video").first
    expect(video).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_function(
        "() => document.querySelector('#card video')?.currentTime > 0.5",
        timeout=PATIENCE_MS,
    )


@pytest.mark.parametrize("language", ["ar", "es", "fr", "en"])
def test_every_language_fits_and_arabic_runs_from_right_to_left(
    page: Page, language: str
):
    page.goto("/")
    page.locator("select").first.select_option(language)

    html = page.locator("html")
    expect(html).to_have_attribute("lang", re.compile(f"^{language}"))
    expect(html).to_have_attribute("dir", "rtl" if language == "ar" else "ltr")
    wide = page.evaluate(
        "() => document.documentElement.scrollWidth - window.innerWidth"
    )
    assert wide <= 0
    mixed = page.locator("bdi[dir]:not([dir=ltr]):not([dir=auto])").count()
    assert mixed == 0


def test_nothing_is_reported_to_the_browsers_console(page: Page):
    said: list[str] = []
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto("/")
    expect(page.locator(ROW).first).to_be_visible(timeout=PATIENCE_MS)

    assert said == []


def test_a_stranger_sees_the_sign_in_and_nothing_else(
    browser: Browser, node: RunningNode
):
    page = browser.new_page()
    page.goto(node.address)
    expect(page.locator("input[type=password]")).to_be_visible()
    assert page.locator(ROW).count() == 0
    page.close()


def test_recorded_video_asks_for_a_reason_and_leaves_a_line_in_the_audit(
    visitor: Visitor,
):
    until = time.monotonic() + PATIENCE_MS / 1000
    while (
        not (held := visitor.get("/health")["cameras"][0]["recorded_until"])
        and time.monotonic() < until
    ):
        continue
    camera = visitor.get("/health")["cameras"][0]["camera_id"]
    span = {"start": held[:10] + "T00:00:00.000000Z", "end": held}
    assert visitor.post(f"/cameras/{camera}/viewings", span).status_code == 422

    entries = {row["act"] for row in visitor.get("/audit")["items"]}
    assert "session.enter" in entries
