"""What field units' clients get: the right errors, the right ends, no enmity."""

from datetime import timedelta
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from almenara.core.ids import CentreId
from almenara.core.values import Position
from almenara.exchange.cot import CotEvent, CotType, How, gone, sigma_m, to_xml
from tests.conftest import NOON


def event(**changes) -> CotEvent:
    values = {
        "centre_id": CentreId("es"),
        "kind": "contact",
        "id": "T7",
        "type": CotType.CONTACT,
        "how": How.FUSED,
        "at": NOON,
        "expected_every": timedelta(seconds=2),
        "position": Position(latitude_deg=36.0, longitude_deg=-5.6),
        "cov_m2": (400.0, 100.0, 0.0),
    }
    return CotEvent(**{**values, **changes})


def parsed(data: bytes) -> ET.Element:
    return ET.fromstring(data)  # noqa: S314 - our own bytes


def test_one_event_to_the_letter():
    assert to_xml(event(existence=0.9, speed_mps=3.0, course_deg=12.0)).decode() == (
        '<event version="2.0" uid="ALM.es.contact.T7" type="a-u-S" how="m-f" '
        'time="2026-03-01T12:00:00.000Z" start="2026-03-01T12:00:00.000Z" '
        'stale="2026-03-01T12:00:30.000Z">'
        '<point lat="36.0000000" lon="-5.6000000" hae="9999999.0" ce="20" '
        'le="9999999.0" />'
        '<detail><track speed="3.00" course="12.0" />'
        '<__almenara ee="400.0" nn="100.0" en="0.0" existence="0.900" /></detail>'
        "</event>"
    )


def test_what_is_expected_rarely_stays_longer():
    root = parsed(to_xml(event(expected_every=timedelta(minutes=3))))

    assert root.get("stale") == "2026-03-01T12:09:00.000Z"


def test_an_exercise_says_so_in_its_name_and_in_four_languages():
    root = parsed(to_xml(event(exercise=True)))

    assert (root.get("uid") or "").startswith("EX.ALM.")
    remarks = root.findtext("detail/remarks") or ""
    assert all(
        word in remarks for word in ("EXERCISE", "EJERCICIO", "EXERCICE", "تمرين")
    )


def test_what_is_gone_is_stale_at_once_and_then_removed():
    last, removal = map(parsed, gone(event(), NOON + timedelta(minutes=1)))

    assert last.get("stale") == last.get("start")
    assert removal.get("type") == "t-x-d-d"
    link = removal.find("detail/link")
    assert link is not None
    assert link.get("uid") == "ALM.es.contact.T7"


@given(
    st.floats(0.0, 1e6),
    st.floats(0.0, 1e6),
    st.floats(-1.0, 1.0),
)
def test_the_error_is_the_longest_axis_within_a_metre(
    east: float, north: float, correlation: float
):
    both = correlation * (east * north) ** 0.5
    largest = float(np.linalg.eigvalsh([[east, both], [both, north]])[1])

    assert 0.0 <= sigma_m((east, north, both)) - max(largest, 0.0) ** 0.5 + 1e-3 <= 1.01


@pytest.mark.parametrize(
    "cov", [(1.0, 1.0, 2.0), (-1.0, 1.0, 0.0), (float("nan"), 1.0, 0.0)]
)
def test_what_is_no_covariance_is_refused(cov: tuple[float, float, float]):
    with pytest.raises(ValueError, match="no covariance"):
        to_xml(event(cov_m2=cov))


def test_no_event_can_speak_of_enmity():
    assert not {
        kind for kind in CotType if kind[:4] in ("a-h-", "a-s-", "a-j-", "a-k-")
    }


def test_text_of_others_stays_text():
    root = parsed(to_xml(event(callsign='"><evil a="&')))

    contact = root.find("detail/contact")
    assert contact is not None
    assert contact.get("callsign") == '"><evil a="&'
