from datetime import timedelta

from almenara.core.ais import AisReport
from almenara.core.ids import ReceiverId
from almenara.core.values import Position
from almenara.geo.geodesy import destination
from almenara.tracking import ais
from almenara.tracking.ais import AisSense
from almenara.tracking.integrity import AisIntegrity, AnomalyKind
from tests.tracking.coast import NOON

RADIO = ReceiverId("ais-1")
HERE = Position(latitude_deg=36.0, longitude_deg=-5.6)
AFRICA = destination(HERE, 180.0, 400_000.0)


class Radio:
    """A receiver, the sense and the integrity behind it."""

    def __init__(self) -> None:
        self.sense = AisSense()
        self.integrity = AisIntegrity(self.sense)
        self.integrity.watch({RADIO: HERE})

    def hear(self, mmsi: int, t_s: float, place: Position, speed_mps: float = 5.0):
        report = AisReport(
            receiver_id=RADIO,
            received_at=NOON + timedelta(seconds=t_s),
            mmsi=mmsi,
            message_type=1,
            position=place,
            speed_mps=speed_mps,
        )
        self.sense.observe(report)
        self.integrity.hear(report)

    def found(self, t_s: float):
        return self.integrity.anomalies(NOON + timedelta(seconds=t_s))

    def kinds(self, t_s: float) -> list[AnomalyKind]:
        return [anomaly.kind for anomaly in self.found(t_s)]


def at(number: int, t_s: float = 0.0) -> Position:
    """A fleet in one cell, all under way to the east."""
    return destination(destination(HERE, 0.0, 300.0 * number), 90.0, 5.0 * t_s)


def test_two_hulls_on_one_number_are_one_standing_finding_with_both_places():
    radio = Radio()
    there = destination(HERE, 90.0, 40_000.0)
    for t in range(0, 60, 10):
        radio.hear(224000001, t, HERE)
        radio.hear(224000001, t + 5, there)
    (found,) = radio.found(60)

    assert found.kind is AnomalyKind.DUPLICATE
    assert {found.place, found.other_place} == {HERE, there}
    assert radio.kinds(60 + 700) == []


def test_one_leap_is_set_aside_counted_and_told():
    radio = Radio()
    radio.hear(224000001, 0, HERE)
    radio.hear(224000001, 10, AFRICA)
    radio.hear(224000001, 20, HERE)
    (found,) = radio.found(20)

    assert (found.kind, found.mmsi, found.seconds) == (
        AnomalyKind.TELEPORT,
        224000001,
        10.0,
    )
    assert radio.sense.set_aside == 1


def test_many_ships_that_leap_together_are_one_jammed_area():
    radio = Radio()
    for ship in range(8):
        radio.hear(224000001 + ship, ship, at(ship))
    for ship in range(8):
        radio.hear(224000001 + ship, 30 + ship, AFRICA)
    (found,) = radio.found(40)

    assert (found.kind, found.ships, found.mmsi) == (AnomalyKind.JAMMED, 8, None)


def test_four_ships_that_leap_are_not_yet_an_area():
    radio = Radio()
    for ship in range(4):
        radio.hear(224000001 + ship, ship, at(ship))
        radio.hear(224000001 + ship, 30 + ship, AFRICA)

    assert radio.kinds(40) == [AnomalyKind.TELEPORT] * 4


def fleet(radio: Radio, ships: range, times: range) -> None:
    for t in times:
        for ship in ships:
            radio.hear(224000001 + ship, t + ship / 10, at(ship, t))


def test_a_ship_that_falls_silent_among_others_is_told():
    radio = Radio()
    fleet(radio, range(4), range(0, 120, 10))
    fleet(radio, range(1, 4), range(120, 600, 10))

    assert radio.kinds(400) == []
    (found,) = radio.found(600)
    assert (found.kind, found.mmsi) == (AnomalyKind.SILENT, 224000001)
    assert found.seconds == 490.0
    radio.hear(224000001, 610, at(0, 610))
    assert radio.kinds(611) == []


def test_when_nobody_is_heard_the_silence_is_our_own():
    radio = Radio()
    fleet(radio, range(4), range(0, 120, 10))

    assert radio.kinds(900) == []


def test_a_ship_at_rest_may_switch_off():
    radio = Radio()
    for t in range(0, 120, 10):
        radio.hear(224000001, t, HERE, speed_mps=0.0)
    fleet(radio, range(1, 4), range(0, 900, 10))

    assert radio.kinds(900) == []


def test_a_voice_from_farther_than_any_radio_reaches_is_remote():
    radio = Radio()
    radio.hear(366000001, 0, destination(HERE, 270.0, 2_000_000.0))

    assert radio.kinds(1) == [AnomalyKind.REMOTE]


def test_ordinary_traffic_adds_up():
    radio = Radio()
    fleet(radio, range(10), range(0, 600, 10))

    assert radio.kinds(600) == []


def test_a_flood_of_numbers_costs_the_oldest_and_no_more(monkeypatch):
    monkeypatch.setattr(ais, "MAX_SHIPS", 50)
    radio = Radio()
    for ship in range(200):
        radio.hear(224000001 + ship, ship, at(ship % 20))

    assert len(radio.sense._hulls) <= 50  # noqa: SLF001 -- the bound is the promise
