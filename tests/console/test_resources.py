"""What each resource does beyond letting in and keeping out."""

from dataclasses import replace
from datetime import timedelta

import pytest

from almenara.console.accounts import hash_token
from almenara.evidence.access import Role
from almenara.incidents.alarm import AlarmState
from tests.conftest import NOON
from tests.console.browser import URL, application, browser, signed_in
from tests.console.fakes import Centre, alarm, track

pytestmark = pytest.mark.anyio
SPAN = {"start": "2026-03-01T11:00:00Z", "end": "2026-03-01T11:30:00Z"}
HOSTILE = [
    "file:///etc/passwd",
    "concat:a|b",
    "subfile,,start,0,:x",
    "data:,x",
    "pipe:0",
    "crypto:x",
    "http://10.0.0.1/",
    "gopher://10.0.0.1/",
    "tcp://10.0.0.1:22",
    "unix:/run/x",
    "exec:id",
    "echo:x",
    "expr:1",
    "@file",
    "-rtsp://10.0.0.1/",
    "|id",
    "rtsp\n://10.0.0.1/",
    "rtsp://127.0.0.1/x",
    "rtsp://169.254.169.254/",
    "rtsp://[::1]/",
    "rtsp://2130706433/",
    "RTSP://%31%32%37.0.0.1/",
]


@pytest.fixture
def centre() -> Centre:
    return Centre()


@pytest.fixture
async def page(centre, clock):
    token = signed_in(centre, *Role, at=NOON)
    async with browser(application(centre, clock), token) as opened:
        yield opened


async def test_an_acknowledgement_counts_for_what_was_on_the_screen(centre, page):
    centre.desk.put(alarm(version=2))

    stale = await page.post("/alarms/alarm-1/acknowledge", json={"version": 1})
    seen = await page.post("/alarms/alarm-1/acknowledge", json={"version": 2})

    assert (stale.status_code, stale.json()["code"]) == (409, "alarm.version")
    assert seen.json()["acknowledged_by"] == "person-0"
    assert seen.json()["acknowledged_at"] == "2026-03-01T12:00:00.000000Z"
    acts = [entry.act for entry in centre.audit.entries]
    assert acts == ["alarm.acknowledge"]


async def test_silencing_is_not_acknowledging(page):
    sent = (await page.post("/alarms/alarm-1/silence")).json()

    assert sent["state"] == AlarmState.SILENCED
    assert sent["acknowledged_by"] is None


async def test_an_alarm_has_every_key_and_says_null_for_unknown(page):
    (shown,) = (await page.get("/alarms")).json()["items"]

    assert set(shown) == {
        *("alarm_id", "subject", "state", "priority", "is_rescue", "version"),
        *("raised_at", "changed_at", "acknowledged_by", "acknowledged_at", "alerts"),
        *("position", "position_std_m", "simulated", "exercise"),
    }
    assert shown["priority"] == "warning"
    assert shown["acknowledged_by"] is None
    assert shown["alerts"][0]["because"][0]["values"]["speed_mps"] == 2.0


async def test_the_picture_has_an_ellipse_and_no_course_for_what_does_not_move(
    centre, page
):
    still = track("t2", velocity_mps=(0.1, 0.0), velocity_cov=(1.0, 1.0, 0.0))
    picture = centre.picture.latest()
    centre.picture.publish(replace(picture, tracks=(*picture.tracks, still)))

    moving, drifting = (await page.get("/picture")).json()["tracks"]

    assert moving["course_deg"] == 0.0
    assert moving["ellipse"]["orientation_deg"] == 0.0
    assert moving["ellipse"]["major_m"] == pytest.approx(20 * 5.991464547**0.5)
    assert moving["people"] == {"at_least": 3, "at_most": None}
    assert drifting["course_deg"] is None
    assert drifting["mmsi"] is None


async def test_a_number_nobody_knows_is_null(page):
    cameras = (await page.get("/health")).json()["cameras"]

    assert cameras[0]["measured_fps"] is None


async def test_recorded_video_wants_a_reason(centre, page):
    for reason in ("", " \n", None):
        sent = await page.post(
            "/cameras/cam-1/viewings", json={**SPAN, "reason": reason}
        )
        assert sent.status_code == 422
    assert centre.audit.entries == []

    granted = await page.post(
        "/cameras/cam-1/viewings", json={**SPAN, "reason": "case"}
    )
    clip = await page.get(URL + granted.json()["url"])

    assert clip.content == b"ftypmoof"
    asked, told = centre.audit.entries
    assert (asked.justification, asked.object.id) == ("case", "cam-1")
    assert (asked.object.start, asked.object.end) == (
        told.object.start,
        told.object.end,
    )
    assert told.act == "video.clip"


async def test_a_viewing_is_worth_nothing_in_another_session_or_later(
    centre, page, clock
):
    granted = await page.post(
        "/cameras/cam-1/viewings", json={**SPAN, "reason": "case"}
    )
    url = URL + granted.json()["url"]
    other = signed_in(centre, Role.OPERATOR, at=NOON)

    async with browser(application(centre, clock), other) as elsewhere:
        assert (await elsewhere.get(url)).status_code == 404
    clock.advance(timedelta(minutes=10))
    assert (await page.get(url)).status_code == 404


async def test_an_empty_span_is_said_to_be_empty(centre, page):
    centre.recordings.pieces = []
    granted = await page.post(
        "/cameras/cam-1/viewings", json={**SPAN, "reason": "case"}
    )

    sent = await page.get(URL + granted.json()["url"])

    assert (sent.status_code, sent.json()["code"]) == (404, "clip.empty")


@pytest.mark.parametrize(
    "span",
    [
        {"start": SPAN["end"], "end": SPAN["start"]},
        {"start": SPAN["start"], "end": SPAN["start"]},
        {"start": "0001-01-01T00:00:00Z", "end": "9999-12-31T23:59:59Z"},
        {"start": "2026-03-01T11:00:00", "end": "2026-03-01T11:30:00"},
        {"start": "2026-01-01T00:00:00Z", "end": "2026-03-01T00:00:00Z"},
    ],
)
async def test_an_impossible_span_is_refused(page, span: dict[str, str]):
    timeline = await page.get("/cameras/cam-1/timeline", params=span)
    viewing = await page.post("/cameras/cam-1/viewings", json={**span, "reason": "x"})

    assert timeline.status_code == viewing.status_code == 422


async def test_stills_are_one_consultation_a_quarter_of_an_hour(centre, page, clock):
    for _ in range(10):
        still = await page.get("/cameras/cam-1/still.jpg")
        assert still.headers["content-type"] == "image/jpeg"
        assert still.headers["x-captured-at"] == "2026-03-01T12:00:00.000000Z"
    assert len(centre.audit.entries) == 1
    for _ in range(2):  # somebody is still there
        clock.advance(timedelta(minutes=8))
        await page.get("/session")
    await page.get("/cameras/cam-1/still.jpg")

    assert len(centre.audit.entries) == 2


async def test_a_camera_that_has_shown_nothing_yet_has_no_still(centre, page):
    centre.recordings.still = None

    assert (await page.get("/cameras/cam-1/still.jpg")).status_code == 204
    assert centre.audit.entries == []


async def test_without_an_audit_nothing_is_shown_and_nothing_is_done(centre, page):
    centre.audit.fails = True

    still = await page.get("/cameras/cam-1/still.jpg")
    again = await page.get("/cameras/cam-1/still.jpg")
    viewing = await page.post("/cameras/cam-1/viewings", json={**SPAN, "reason": "x"})
    seen = await page.post("/alarms/alarm-1/acknowledge", json={"version": 1})

    codes = [
        still.status_code,
        again.status_code,
        viewing.status_code,
        seen.status_code,
    ]
    assert codes == [500] * 4
    assert centre.desk.alarms["alarm-1"].acknowledged_by is None


@pytest.mark.parametrize("url", HOSTILE)
async def test_a_hostile_address_is_refused_before_anything_is_opened(
    centre, page, url: str
):
    camera = {"url": url, "height_m": 9, "azimuth_deg": 1, "hfov_deg": 40}

    probed = await page.post("/stations/probe", json={"url": url})
    added = await page.post("/stations/s1/cameras", json=camera)

    assert probed.status_code == added.status_code == 422
    assert probed.json()["code"] == "station.address_refused"
    assert centre.stations.opened == []
    assert url not in probed.text + added.text


async def test_a_camera_is_added_where_its_station_stands_and_removed(page):
    camera = {
        "camera_id": "cam-3",
        "url": "rtsp://10.0.0.9/a",
        "height_m": 9,
        "azimuth_deg": 1,
        "hfov_deg": 40,
    }
    added = await page.post("/stations/s1/cameras", json=camera)
    twice = await page.post("/stations/s1/cameras", json=camera)
    nowhere = await page.post("/stations/s9/cameras", json=camera)
    removed = await page.delete("/cameras/cam-3")
    gone = await page.delete("/cameras/cam-3")

    assert added.json()["position"] == {"latitude_deg": 35.9, "longitude_deg": -5.3}
    assert "url" not in added.json()
    codes = [sent.status_code for sent in (added, twice, nowhere, removed, gone)]
    assert codes == [201, 409, 404, 204, 404]


async def test_names_come_back_as_text_whatever_they_hold(page):
    zones = await page.get("/zones")

    assert zones.headers["content-type"] == "application/json"
    assert zones.headers["x-content-type-options"] == "nosniff"
    assert zones.json()["items"][0]["name"] == "<b>North</b>"


@pytest.mark.parametrize("path", ["/alarms?limit=1001", "/audit?limit=0"])
async def test_pages_are_bounded(page, path: str):
    assert (await page.get(path)).status_code == 422


async def test_reading_the_audit_is_in_the_audit(page):
    await page.get("/audit")
    (first,) = (await page.get("/audit")).json()["items"][1:]

    assert (first["act"], first["seq"]) == ("audit.read", 1)
    assert first["actor"]["name"] == "Somebody person-0"


async def test_a_liaison_sees_the_mission_until_it_ends(centre, clock):
    missions = {"indalo": NOON + timedelta(minutes=5)}
    token = signed_in(centre, Role.LIAISON, at=NOON, missions=missions)
    async with browser(application(centre, clock), token) as page:
        assert (await page.get("/alarms")).json()["items"] == []
    assert hash_token(token) in centre.accounts.sessions
