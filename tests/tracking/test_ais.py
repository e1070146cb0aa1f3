from datetime import timedelta

from almenara.core.ais import AisReport
from almenara.core.ids import ReceiverId
from almenara.core.values import Position
from almenara.geo.geodesy import destination
from almenara.tracking.ais import AisSense
from tests.tracking.coast import NOON

HERE = Position(latitude_deg=36.0, longitude_deg=-5.6)
THERE = destination(HERE, 90.0, 40_000.0)


def report(t_s: float, position: Position | None = HERE, **changes) -> AisReport:
    return AisReport(
        **{
            "receiver_id": ReceiverId("ais-1"),
            "received_at": NOON + timedelta(seconds=t_s),
            "mmsi": 224000001,
            "message_type": 1,
            "position": position,
            **changes,
        }
    )


def test_a_position_becomes_an_observation_with_its_error():
    sense = AisSense()
    coarse = sense.observe(report(0, speed_mps=3.0, course_deg=10.0))
    fine = sense.observe(report(10, accurate=True))

    assert coarse is not None
    assert (coarse.position_std_m, coarse.speed_mps) == (30.0, 3.0)
    assert fine is not None
    assert fine.position_std_m == 5.0


def test_name_and_length_are_remembered_from_messages_without_a_place():
    sense = AisSense()
    static = report(0, None, message_type=5, ship_name="ALBORAN", length_m=120.0)

    assert sense.observe(static) is None
    said = sense.observe(report(1))
    assert said is not None
    assert (said.ship_name, said.length_m) == ("ALBORAN", 120.0)


def test_one_jump_is_set_aside_and_the_ship_goes_on():
    sense = AisSense()
    answers = [
        sense.observe(report(0)),
        sense.observe(report(10, THERE)),
        sense.observe(report(20)),
    ]

    assert [a is not None for a in answers] == [True, False, True]
    assert sense.set_aside == 1
    assert sense.duplicates() == frozenset()


def test_a_jump_that_lasts_is_a_second_hull():
    sense = AisSense()
    there = []
    for t in range(0, 60, 10):
        assert sense.observe(report(t)) is not None
        there.append(sense.observe(report(t + 5, THERE)) is not None)

    assert there == [False, False, True, True, True, True]
    assert sense.duplicates() == {224000001}


def test_sixty_knots_are_believed():
    sense = AisSense()
    for t in range(0, 600, 10):
        place = destination(HERE, 0.0, 30.8 * t)
        assert sense.observe(report(t, place)) is not None


def test_a_long_range_message_has_a_coarse_place_and_no_velocity():
    said = AisSense().observe(report(0, message_type=27, speed_mps=5.0, course_deg=1.0))

    assert said is not None
    assert said.position_std_m == 83.0
    assert said.speed_mps is None


def test_a_distress_device_is_never_doubted():
    sense = AisSense()
    sense.observe(report(0, mmsi=970111222))

    assert sense.observe(report(1, THERE, mmsi=970111222)) is not None
