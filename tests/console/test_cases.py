"""What the cases do beyond letting in and keeping out."""

import json
import xml.etree.ElementTree as ET
from datetime import timedelta

import pytest

from almenara.console.sentences import LANGUAGES, catalogue, speaker
from almenara.console.sitrep_text import position_text, sitrep_text
from almenara.evidence.access import Role
from almenara.rescue import case as acts
from almenara.rescue.assessment import Factor
from almenara.rescue.phases import Phase
from almenara.rescue.sitrep import Letter
from tests.conftest import NOON
from tests.console.browser import application, browser, signed_in
from tests.console.fakes import Centre, rescue, track
from tools import catalogue as tool

pytestmark = pytest.mark.anyio
BOAT = {
    "name": "boat",
    "speed_mps": 8,
    "endurance_s": 14_400,
    "sweep_width_m": 900,
    "sweep_source": "crew's estimate",
}
CASE = "/cases/case-1"


@pytest.fixture
def centre() -> Centre:
    return Centre()


@pytest.fixture
async def page(centre, clock):
    token = signed_in(centre, Role.OPERATOR, at=NOON)
    async with browser(application(centre, clock), token) as opened:
        yield opened


@pytest.fixture
async def officer(centre, clock):
    token = signed_in(centre, Role.WATCH_OFFICER, at=NOON)
    async with browser(application(centre, clock), token) as opened:
        yield opened


async def there(page, path: str = CASE):
    return (await page.get(path)).json()


def finding(**changes):
    return {
        "factor": "load",
        "finding": "observed_adverse",
        "source": "seen",
        "source_time": "2026-03-01T11:59:00Z",
        **changes,
    }


# -- one act -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "known"),
    [
        ({"kind": "track", "id": "track-1"}, True),
        ({"kind": "alarm", "id": "alarm-1"}, True),
        ({"kind": "call"}, False),
        ({"kind": "point"}, False),
        ({"kind": "linked", "id": "tetouan-2026-0003"}, False),
    ],
)
async def test_anything_becomes_a_case_in_one_act(page, centre, origin, known):
    made = await page.post("/cases", json={"origin": origin, "phase": "distress"})

    body = made.json()
    assert (made.status_code, body["phase"]) == (201, "distress")
    assert body["custody"]["coordinator"] == "ceuta"
    assert (body["position"] is not None) == known
    assert body["case_id"] in centre.cases.kept
    assert centre.audit.entries[-1].act == "case.open"
    assert [s.key for s in centre.cases.told.values()] == [f"{body['case_id']}/1"]


async def test_a_point_of_the_map_brings_its_place_and_error(page):
    facts = {
        "position": {"latitude_deg": 35.8, "longitude_deg": -5.2},
        "position_std_m": 500,
        "craft": "inflatable",
        "persons": {"at_least": 40},
    }

    made = await page.post("/cases", json={"origin": {"kind": "point"}, "facts": facts})

    (shown,) = made.json()["facts"]
    assert shown["position_cov_m2"] == [250_000.0, 250_000.0, 0.0]
    assert shown["persons"] == {"at_least": 40, "at_most": None}


@pytest.mark.parametrize(
    "body",
    [
        {"origin": {"kind": "track"}},
        {"origin": {"kind": "call", "id": "x"}},
        {"origin": {"kind": "call"}, "phase": "panic"},
        {"origin": {"kind": "call"}, "facts": {"nationality": "x"}},
        {"origin": {"kind": "call"}, "facts": {"persons": {"at_least": -1}}},
        {
            "origin": {"kind": "call"},
            "facts": {"persons": {"at_least": 5, "at_most": 2}},
        },
    ],
)
async def test_what_cannot_be_a_case_is_refused_with_every_fault(page, body):
    assert (await page.post("/cases", json=body)).status_code == 422


async def test_a_simulated_contact_makes_a_simulated_case(page, centre):
    centre.picture.publish(
        type(centre.picture.latest())(at=NOON, tracks=(track(simulated=True),))
    )

    made = await page.post(
        "/cases",
        json={"origin": {"kind": "track", "id": "track-1"}, "exercise": True},
    )

    assert made.json()["simulated"] is made.json()["exercise"] is True


async def test_a_request_sent_twice_opens_one_case(page, centre):
    headers = {"Idempotency-Key": "key-0123456789"}
    body = {"origin": {"kind": "call"}}

    first = await page.post("/cases", json=body, headers=headers)
    again = await page.post("/cases", json=body, headers=headers)
    other = await page.post("/cases", json={**body, "phase": "alert"}, headers=headers)

    assert first.json() == again.json()
    assert len(centre.cases.kept) == 3
    assert (other.status_code, other.json()["code"]) == (409, "case.key_reused")


# -- judging -------------------------------------------------------------------------


async def test_an_assessment_proposes_with_reasons_and_decides_nothing(page):
    seen = await there(page)
    body = {
        "version": seen["version"],
        "judgements": [finding(), finding(factor="weather")],
    }

    after = (await page.post(f"{CASE}/assessment", json=body)).json()

    assert [row["factor"] for row in after["factors"]] == [f.value for f in Factor]
    assert after["proposal"]["phase"] == "distress"
    assert "factor.load" in [r["key"] for r in after["proposal"]["because"]]
    assert len(after["decisions"]) == len(seen["decisions"])
    stale = await page.post(f"{CASE}/assessment", json=body)
    assert (stale.status_code, stale.json()["code"]) == (409, "case.version")


async def test_children_aboard_are_never_taken_from_a_picture(page):
    seen = await there(page)
    body = {
        "version": seen["version"],
        "judgements": [finding(factor="vulnerable", source="seen")],
    }

    answer = await page.post(f"{CASE}/assessment", json=body)

    assert answer.status_code == 409
    assert answer.json()["code"] == "case.vulnerable.reported_only"


async def test_one_person_cannot_lower_a_phase(page):
    down = await page.post(f"{CASE}/phase", json={"phase": "alert"})

    assert (down.status_code, down.json()["code"]) == (409, "case.second_person")
    assert (await there(page))["phase"] == "distress"


async def test_two_persons_lower_a_phase(page, officer):
    seen = await there(page)
    asked = await page.post(
        f"{CASE}/lowering",
        json={"version": seen["version"], "phase": "alert", "reason": "towed"},
    )
    digest = asked.json()["requests"][-1]["digest"]

    own = await page.post(f"{CASE}/lowering/{digest}/agree")
    second = await officer.post(f"{CASE}/lowering/{digest}/agree")

    assert own.status_code == 403
    assert second.json()["phase"] == "alert"
    last = second.json()["decisions"][-1]
    assert (last["by"], last["agreed_by"]) == ("person-0", "person-1")
    assert (await there(page))["phase"] == "alert"


async def test_an_officer_does_not_agree_with_themselves(officer):
    seen = await there(officer)
    asked = await officer.post(
        f"{CASE}/lowering",
        json={"version": seen["version"], "closes": True, "reason": "safe"},
    )
    digest = asked.json()["requests"][-1]["digest"]

    answer = await officer.post(f"{CASE}/lowering/{digest}/agree")

    assert (answer.status_code, answer.json()["code"]) == (409, "case.second_person")


async def test_facts_that_are_not_mentioned_stay(page):
    seen = await there(page)

    after = await page.post(
        f"{CASE}/facts",
        json={"version": seen["version"], "facts": {"mmsi": 224000000}},
    )

    old, new = after.json()["facts"]
    assert (new["mmsi"], new["craft"]) == (224000000, "inflatable")
    assert old["mmsi"] is None


# -- custody -------------------------------------------------------------------------


async def test_a_reminder_of_an_open_offer_stands_in_the_case(page, centre):
    seen = await there(page)
    offer = {"version": seen["version"], "act": "offer"}
    await page.post(f"{CASE}/custody", json=offer)
    kept = centre.cases.kept["case-1"]
    change, due = acts.remind(kept, NOON + timedelta(minutes=11))
    centre.cases.kept["case-1"] = change.case

    after = (await there(page))["custody"]

    assert len(due) == 2
    assert [(n["kind"], n["nth"]) for n in after["notices"]] == [
        ("custody.unanswered", 2),
        ("custody.undelivered", 1),
    ]


async def test_an_offer_leaves_coordination_where_it_is(page):
    seen = await there(page)
    offer = {"version": seen["version"], "act": "offer"}

    after = (await page.post(f"{CASE}/custody", json=offer)).json()["custody"]

    assert (after["coordinator"], after["offered_to"]) == ("ceuta", "tetouan")
    assert not after["delivered"]
    again = {"version": seen["version"] + 1, "act": "offer"}
    refused = await page.post(f"{CASE}/custody", json=again)
    assert refused.json()["code"] == "case.offer_open"
    nothing = {"version": seen["version"] + 1, "act": "accept"}
    refused = await page.post(f"{CASE}/custody", json=nothing)
    assert refused.json()["code"] == "case.no_offer"


# -- reports -------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_full_report_has_every_letter_in_every_language(page, language):
    words = {"E": {"text": "remolque y médico", "language": "es"}}
    made = await page.post(
        f"{CASE}/sitreps", json={"to": ["mrcc"], "full": True, "words": words}
    )

    read = await page.get(
        f"{CASE}/sitreps/{made.json()['number']}", params={"language": language}
    )

    text = read.json()["text"]
    lines = text.splitlines()[3:]
    assert [line[0] for line in lines] == [letter.value for letter in Letter]
    assert speaker(language)("sitrep", "unknown") in text
    assert "remolque y médico" in text
    assert "{" not in text


async def test_a_correction_is_a_new_number(page):
    body = {"to": ["mrcc"], "corrects": 1}
    made = (await page.post(f"{CASE}/sitreps", json=body)).json()

    assert (made["number"], made["corrects"]) == (2, 1)
    assert (await page.get(f"{CASE}/sitreps/9")).status_code == 404
    gone = await page.post(f"{CASE}/sitreps", json={"to": ["m"], "corrects": 9})
    assert gone.json()["code"] == "case.report_unknown"


def test_arabic_isolates_what_runs_from_left_to_right():
    made = rescue().reports[0]

    text = sitrep_text(made, "ar")

    assert "\u206635°54.000\u2032N 005°18.000\u2032W\u2069" in text
    assert "\u2066" not in sitrep_text(made, "es")


@pytest.mark.parametrize(
    ("latitude", "longitude", "text"),
    [
        (35.9, -5.3, "35°54.000N 005°18.000W"),
        (-0.00000001, 179.9999999, "00°00.000S 180°00.000E"),
        (35.99999999, 0.0, "36°00.000N 000°00.000E"),
    ],
)
def test_a_position_is_written_in_degrees_and_minutes(latitude, longitude, text):
    assert position_text(latitude, longitude).replace("\u2032", "") == text


def test_the_servers_catalogue_is_what_the_tool_reads():
    for language in tool.LANGUAGES:
        kept = {
            (m.context or "", m.id): m.string
            for m in tool.read(language)
            if m.id and isinstance(m.id, str) and m.string
        }
        assert {k: catalogue(language)[k] for k in kept} == kept


def test_a_sentence_that_is_missing_is_said_in_english():
    assert speaker("es")("nowhere", "Something") == "Something"
    assert speaker("xx")("sitrep", "unknown") == "unknown"
    assert speaker("en")("sitrep", "unknown") == "unknown"


# -- drift and search ----------------------------------------------------------------


async def test_a_drift_without_wind_says_so_and_a_search_follows_it(page):
    drift = await page.post(
        f"{CASE}/drifts", json={"until": "2026-03-01T15:00:00Z", "particles": 500}
    )
    plan = await page.post(f"{CASE}/searches", json={"units": [BOAT]})

    assert drift.status_code == plan.status_code == 201
    assert drift.json()["unknown"] == ["wind", "current", "shore"]
    assert drift.json()["analogues"] == ["LIFE-RAFT-NB-1", "REFUGEE-RAFT-1"]
    assert [a["level"] for a in drift.json()["areas"]] == [0.5, 0.8, 0.95]
    (task,) = plan.json()["tasks"]
    assert task["pod"] > 0
    assert len(task["waypoints"]) >= 2


@pytest.mark.parametrize("pattern", ["creeping", "expanding_square", "sector"])
async def test_every_pattern_can_be_planned_and_taken_along(page, pattern):
    plan = await page.post(
        f"{CASE}/searches", json={"units": [BOAT], "pattern": pattern}
    )
    number = plan.json()["number"]

    for form in ("gpx", "rtz", "cot"):
        file = await page.get(f"{CASE}/searches/{number}/1/{form}")
        points = list(ET.fromstring(file.text).iter())  # noqa: S314 - our own words
        assert len(points) > len(plan.json()["tasks"][0]["waypoints"])


async def test_a_name_in_a_file_stays_a_name(page):
    file = await page.get(f"{CASE}/searches/1/1/gpx")

    assert "Guardamar &lt;&amp;&gt;" in file.text
    assert "attachment" in file.headers["Content-Disposition"]
    assert (await page.get(f"{CASE}/searches/1/2/gpx")).status_code == 404
    assert (await page.get(f"{CASE}/searches/7/1/gpx")).status_code == 404
    assert (await page.get(f"{CASE}/searches/1/1/exe")).status_code == 422


@pytest.mark.parametrize(
    ("until", "code"),
    [
        ("2026-03-01T11:00:00Z", "case.drift_time"),
        ("2026-03-09T11:00:00Z", "case.drift_time"),
    ],
)
async def test_a_drift_that_cannot_be_is_refused(page, until, code):
    answer = await page.post(f"{CASE}/drifts", json={"until": until})

    assert (answer.status_code, answer.json()["code"]) == (409, code)


async def test_without_a_position_there_is_no_drift_and_without_a_drift_no_search(
    page,
):
    made = await page.post("/cases", json={"origin": {"kind": "call"}})
    path = f"/cases/{made.json()['case_id']}"

    drift = await page.post(f"{path}/drifts", json={"until": "2026-03-01T15:00:00Z"})
    plan = await page.post(f"{path}/searches", json={"units": [BOAT]})

    assert drift.json()["code"] == "case.position_unknown"
    assert plan.json()["code"] == "case.no_drift"


# -- reading -------------------------------------------------------------------------


async def test_the_list_shows_only_what_somebody_may_know_of(page):
    shown = (await page.get("/cases")).json()["items"]

    assert [row["case_id"] for row in shown] == ["case-1"]
    assert shown[0]["phase"] == Phase.DISTRESS.name.lower()


async def test_knew_when_holds_who_looked_at_what(page, officer):
    await there(page)

    line = await there(officer, f"{CASE}/knew-when")

    assert {"observed", "decided", "shown"} <= {row["kind"] for row in line["items"]}
    assert any(
        (row["what"], row["actor"]) == ("case.read", "person-0")
        for row in line["items"]
    )
    assert [row["at"] for row in line["items"]] == sorted(
        row["at"] for row in line["items"]
    )


async def test_no_answer_of_a_case_speaks_of_persons_beyond_their_number(page):
    text = json.dumps(await there(page))

    for word in ("nationality", "gender", "name_of_person", "age_of"):
        assert word not in text
