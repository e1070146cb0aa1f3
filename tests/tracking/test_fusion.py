from datetime import timedelta

import numpy as np
import pytest

from almenara.core.values import Position
from almenara.geo.geodesy import LocalPlane, inverse
from almenara.tracking.fusion import Fusion
from almenara.tracking.observations import AisObservation
from almenara.tracking.picture import SystemTrack, TrackState
from tests.tracking.coast import NOON, Boat, Watcher, broadcast, camera

CIRES = Position(latitude_deg=35.915, longitude_deg=-5.48)


def after(t_s: float):
    return NOON + timedelta(seconds=t_s)


def watcher(seed: int = 1, **kwargs) -> Watcher:
    return Watcher(camera=camera(**kwargs), rng=np.random.default_rng(seed))


def error_m(track: SystemTrack, truth: Position) -> float:
    return inverse(track.position, truth)[0]


def test_one_boat_becomes_one_confirmed_track_near_the_truth():
    eye, boat = watcher(), Boat(east_m=500, north_m=-8000, east_mps=2.0, north_mps=1.0)
    fusion = Fusion([eye.camera])

    for t in range(120):
        fusion.observe([eye.see(boat.place(t), "1", t)], after(t))

    picture = fusion.picture(after(119))
    assert [t.state for t in picture.tracks] == [TrackState.CONFIRMED]
    assert picture.rays == ()
    track = picture.tracks[0]
    assert error_m(track, boat.place(119)) < 150.0
    assert track.velocity_mps == pytest.approx((2.0, 1.0), abs=0.6)
    assert track.object_class == "small_craft"


def test_two_looks_are_not_a_contact():
    eye, boat = watcher(), Boat(east_m=0, north_m=-5000)
    fusion = Fusion([eye.camera])
    for t in range(2):
        fusion.observe([eye.see(boat.place(t), "1", t)], after(t))

    assert fusion.picture(after(2)).tracks == ()


def test_a_boat_seen_by_day_thermal_another_station_and_ais_is_one_contact():
    eyes = [
        watcher(1, name="tarifa-day"),
        watcher(2, name="tarifa-thermal"),
        watcher(3, name="cires-day", at=CIRES),
    ]
    boat = Boat(east_m=4000, north_m=-6000, east_mps=-2.0, north_mps=2.0)
    course = float(np.rad2deg(np.arctan2(-2.0, 2.0))) % 360
    fusion = Fusion([e.camera for e in eyes])

    for t in range(60):
        looks = [e.see(boat.place(t), "7", t + 0.1 * i) for i, e in enumerate(eyes)]
        said = [broadcast(boat.place(t), t, speed_mps=8**0.5, course_deg=course)]
        fusion.observe([*looks, *(said if t % 5 == 0 else [])], after(t + 0.5))

    tracks = fusion.picture(after(60)).tracks
    assert len(tracks) == 1
    assert {look.sensor_id for look in tracks[0].looks} == {
        "tarifa-day",
        "tarifa-thermal",
        "cires-day",
        "ais-1",
    }
    assert tracks[0].mmsi == 224000001
    assert error_m(tracks[0], boat.place(60)) < 30.0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_two_boats_that_cross_keep_their_tracks(seed: int):
    """Seen from two stations; their needles overlap for minutes."""
    eyes = [
        watcher(seed, name="tarifa-day"),
        watcher(seed + 50, name="cires-day", at=CIRES),
    ]
    boats = [
        Boat(east_m=3000, north_m=-7000, east_mps=4.0),
        Boat(east_m=3500, north_m=-7150, east_mps=-4.0),
    ]
    fusion = Fusion([e.camera for e in eyes])
    owners = []
    for t in range(125):
        fusion.observe(
            [
                e.see(boat.place(t), str(i), t)
                for e in eyes
                for i, boat in enumerate(boats)
            ],
            after(t),
        )
        if t in (20, 124):
            picture = fusion.picture(after(t))
            owners.append(
                [
                    min(picture.tracks, key=lambda k: error_m(k, b.place(t))).track_id
                    for b in boats
                ]
            )
    assert len(fusion.picture(after(124)).tracks) == 2
    assert owners[0] == owners[1]
    assert len(set(owners[0])) == 2


def test_what_has_no_range_is_a_ray_and_never_a_point():
    eye = watcher(height_m=20.0)
    far = Boat(east_m=0, north_m=-19_000)
    fusion = Fusion([eye.camera])
    for t in range(20):
        fusion.observe([eye.see(far.place(t), "1", t)], after(t))

    picture = fusion.picture(after(20))
    assert picture.tracks == ()
    assert len(picture.rays) == 1
    assert picture.rays[0].azimuth_deg == pytest.approx(180.0, abs=0.05)


def test_two_rays_from_two_stations_become_one_track():
    eyes = [
        watcher(1, name="tarifa-day", height_m=15.0),
        watcher(2, name="cires-day", height_m=15.0, at=CIRES),
    ]
    boat = Boat(east_m=-6000, north_m=-14_500, east_mps=1.0)
    fusion = Fusion([e.camera for e in eyes])
    for t in range(30):
        fusion.observe([e.see(boat.place(t), "1", t) for e in eyes], after(t))

    picture = fusion.picture(after(29))
    assert picture.rays == ()
    assert len(picture.tracks) == 1
    assert error_m(picture.tracks[0], boat.place(29)) < 60.0


def test_ghosts_of_two_boats_at_the_horizon_stay_rays():
    """Two bearings by two bearings: the false crossings must not become contacts."""
    eyes = [
        watcher(1, name="tarifa-day", height_m=15.0),
        watcher(2, name="cires-day", height_m=15.0, at=CIRES),
    ]
    boats = [Boat(east_m=-6000, north_m=-14_500), Boat(east_m=-7500, north_m=-14_900)]
    fusion = Fusion([e.camera for e in eyes])
    for t in range(30):
        fusion.observe(
            [
                e.see(b.place(t), str(i), t)
                for e, order in zip(eyes, (boats, boats[::-1]), strict=True)
                for i, b in enumerate(order)
            ],
            after(t),
        )

    for track in fusion.picture(after(29)).tracks:
        assert min(error_m(track, b.place(29)) for b in boats) < 200.0


def test_a_hundred_looks_do_not_make_a_pose_any_truer():
    """The place stays as doubtful as the camera, whatever the pixels say."""
    eye, boat = watcher(), Boat(east_m=0, north_m=-8000)
    fusion = Fusion([eye.camera])
    for t in range(300):
        fusion.observe([eye.see(boat.place(t), "1", t)], after(t))

    east, north, _ = fusion.picture(after(299)).tracks[0].position_cov_m2
    assert east**0.5 > 0.9 * 8000 * np.deg2rad(0.02)
    assert north**0.5 > 40.0


@pytest.mark.slow
def test_errors_are_as_large_as_they_say_with_the_pose_wrong_once_per_run():
    """Mean NEES of position over runs, each with its own constant pose error."""
    boat = Boat(east_m=1000, north_m=-7000, east_mps=1.0, north_mps=1.5)
    values = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        model = camera()
        watch = Watcher(
            camera=model,
            rng=rng,
            azimuth_off_deg=float(rng.normal(0, 0.02)),
            # tilt, sea level and refraction at this range, as the budget has them
            elevation_off_deg=float(rng.normal(0, 0.0062)),
        )
        fusion = Fusion([model])
        for t in range(0, 60, 2):
            fusion.observe([watch.see(boat.place(t), "1", t)], after(t))
        track = fusion.picture(after(58)).tracks[0]
        plane = LocalPlane.at(boat.place(58))
        off = plane.to_plane(track.position.latitude_deg, track.position.longitude_deg)
        e, n, en = track.position_cov_m2
        values.append(off[0] @ np.linalg.solve([[e, en], [en, n]], off[0]))

    # 150 runs of two degrees of freedom: 95 % of such means lie in 1.69 to 2.33.
    assert 1.5 < np.mean(values) < 2.4


def test_a_track_unseen_coasts_then_is_lost_then_gone():
    eye, boat = watcher(), Boat(east_m=0, north_m=-5000)
    fusion = Fusion([eye.camera])
    for t in range(60):
        fusion.observe([eye.see(boat.place(t), "1", t)], after(t))

    def states(t_s: float):
        fusion.observe([], after(t_s))
        return [t.state for t in fusion.picture(after(t_s)).tracks]

    assert states(62) == [TrackState.CONFIRMED]
    assert states(80) == [TrackState.COASTING]
    assert states(200) == [TrackState.LOST]
    assert states(350) == []


def test_what_was_seen_for_seconds_is_not_foretold_for_minutes():
    eye, boat = watcher(), Boat(east_m=0, north_m=-5000)
    fusion = Fusion([eye.camera])
    for t in range(6):
        fusion.observe([eye.see(boat.place(t), "1", t)], after(t))

    def states(t_s: float):
        fusion.observe([], after(t_s))
        return [t.state for t in fusion.picture(after(t_s)).tracks]

    assert states(30) == [TrackState.COASTING]  # a swell hides it for as long as that
    assert states(40) == [TrackState.LOST]
    assert states(110) == []


def test_a_new_local_track_of_a_known_boat_joins_it():
    eye, boat = watcher(), Boat(east_m=0, north_m=-5000, east_mps=2.0)
    fusion = Fusion([eye.camera])
    for t in [*range(30), *range(36, 60)]:
        local = "1" if t < 30 else "2"
        fusion.observe([eye.see(boat.place(t), local, t)], after(t))

    assert len(fusion.picture(after(60)).tracks) == 1


def test_bearings_wrap_at_north():
    eye = watcher(azimuth_deg=0.0)
    boat = Boat(east_m=60, north_m=6000, east_mps=-3.0)
    fusion = Fusion([eye.camera])
    for t in range(60):
        fusion.observe([eye.see(boat.place(t), "1", t)], after(t))

    tracks = fusion.picture(after(59)).tracks
    assert len(tracks) == 1
    assert tracks[0].last_seen_at == after(59)
    assert error_m(tracks[0], boat.place(59)) < 120.0


def test_two_hulls_on_one_mmsi_stay_two_tracks():
    fusion = Fusion([camera()])
    here, there = Boat(east_m=0, north_m=-5000), Boat(east_m=9000, north_m=-9000)
    for t in range(0, 60, 10):
        fusion.observe(
            [broadcast(here.place(t), t), broadcast(there.place(t), t + 5)],
            after(t + 5),
        )

    tracks = fusion.picture(after(60)).tracks
    assert [t.mmsi for t in tracks] == [224000001, 224000001]


def test_a_late_look_does_not_bend_the_track_and_an_old_one_is_counted():
    eye, boat = watcher(), Boat(east_m=0, north_m=-5000, east_mps=10.0)
    fusion = Fusion([eye.camera])
    for t in range(40):
        fusion.observe([eye.see(boat.place(t), "1", t)], after(t))
    fusion.observe([eye.see(boat.place(36.5), "1", 36.5)], after(39.5))
    fusion.observe([eye.see(boat.place(5), "1", 5)], after(39.6))

    track = fusion.picture(after(40)).tracks[0]
    assert error_m(track, boat.place(40)) < 80.0
    assert fusion.left_out == 1


def test_a_contact_of_a_simulated_station_says_so():
    eye, boat = watcher(), Boat(east_m=0, north_m=-5000)
    fusion = Fusion([eye.camera], simulated={"tarifa"})
    for t in range(5):
        fusion.observe([eye.see(boat.place(t), "1", t)], after(t))

    assert fusion.picture(after(5)).tracks[0].simulated


def test_the_same_looks_give_the_same_picture():
    def told():
        eye, boat = watcher(), Boat(east_m=0, north_m=-5000, east_mps=1.0)
        fusion = Fusion([eye.camera])
        for t in range(20):
            fusion.observe([eye.see(boat.place(t), "1", t)], after(t))
        return fusion.picture(after(20))

    assert told() == told()


def test_a_camera_may_come_later_and_the_tracks_live_on():
    one, two = watcher(1), watcher(2, name="cires-day", at=CIRES)
    boat = Boat(east_m=3000, north_m=-6000)
    fusion = Fusion([one.camera])
    for t in range(40):
        if t == 20:
            fusion.watch([one.camera, two.camera])
        fusion.observe([e.see(boat.place(t), "1", t) for e in (one, two)], after(t))

    tracks = fusion.picture(after(40)).tracks
    assert [t.track_id for t in tracks] == ["T1"]
    assert len(tracks[0].looks) == 2


def test_a_second_boat_close_to_the_first_is_a_second_track():
    """Well inside the first one's needle; the camera tells them apart all the same."""
    eye = watcher()
    first, second = Boat(east_m=0, north_m=-9000), Boat(east_m=4, north_m=-9060)
    fusion = Fusion([eye.camera])
    for t in range(40):
        looks = [eye.see(first.place(t), "1", t)]
        if t >= 20:
            looks.append(eye.see(second.place(t), "2", t))
        fusion.observe(looks, after(t))

    assert len(fusion.picture(after(39)).tracks) == 2


def test_a_ship_that_begins_to_broadcast_merges_with_its_own_track():
    eye, boat = watcher(), Boat(east_m=1000, north_m=-6000, east_mps=3.0)
    fusion = Fusion([eye.camera])
    for t in range(90):
        fusion.observe([eye.see(boat.place(t), "1", t)], after(t))
        if t >= 30 and t % 5 == 0:
            said = broadcast(boat.place(t), t, speed_mps=3.0, course_deg=90.0)
            fusion.observe([said], after(t))

    tracks = fusion.picture(after(89)).tracks
    assert [t.track_id for t in tracks] == ["T1"]
    assert tracks[0].mmsi == 224000001
    assert fusion.survivors == {"T2": "T1"}


def test_two_ships_side_by_side_never_merge():
    fusion = Fusion([camera()])
    for t in range(0, 120, 5):
        said = [
            broadcast(
                Boat(east_m=4.0 * i, north_m=-5000, east_mps=4.0).place(t),
                t,
                mmsi=224000001 + i,
                speed_mps=4.0,
                course_deg=90.0,
            )
            for i in range(2)
        ]
        fusion.observe(said, after(t))

    assert len(fusion.picture(after(119)).tracks) == 2


def test_two_boats_seen_in_turns_stay_two():
    """The detector finds now the one, now the other: still two local tracks."""
    eye = watcher()
    boats = Boat(east_m=0, north_m=-9000), Boat(east_m=4, north_m=-9060)
    fusion = Fusion([eye.camera])
    for t in range(60):
        which = t % 2
        fusion.observe([eye.see(boats[which].place(t), str(which), t)], after(t))

    assert len(fusion.picture(after(59)).tracks) == 2


def ship(t_s: float, at: Boat) -> AisObservation:
    return broadcast(at.place(t_s), t_s, length_m=180.0)


def test_the_bridge_of_a_ship_that_says_who_she_is_is_no_contact():
    eye = watcher()
    hull = Boat(east_m=0, north_m=-5000)
    bridge = Boat(east_m=70, north_m=-5000)
    fusion = Fusion([eye.camera])
    for t in range(40):
        if t % 10 == 0:
            fusion.observe([ship(t, hull)], after(t))
        looks = [eye.see(hull.place(t), "1", t), eye.see(bridge.place(t), "2", t)]
        fusion.observe(looks, after(t))

    (track,) = fusion.picture(after(40)).tracks
    assert track.mmsi is not None


def test_a_boat_well_clear_of_a_ship_is_a_contact():
    eye = watcher()
    hull, boat = Boat(east_m=0, north_m=-5000), Boat(east_m=500, north_m=-4500)
    fusion = Fusion([eye.camera])
    for t in range(40):
        if t % 10 == 0:
            fusion.observe([ship(t, hull)], after(t))
        looks = [eye.see(hull.place(t), "1", t), eye.see(boat.place(t), "2", t)]
        fusion.observe(looks, after(t))

    assert len(fusion.picture(after(40)).tracks) == 2


def test_a_wrong_guess_of_a_place_is_given_up_when_its_camera_sees_better():
    eye = watcher()
    mast, hull = Boat(east_m=0, north_m=-9000), Boat(east_m=0, north_m=-5000)
    fusion = Fusion([eye.camera])
    for t in range(10):
        fusion.observe([eye.see(mast.place(t), "1", t)], after(t))
    (guess,) = fusion.picture(after(10)).tracks
    for t in range(10, 30):
        fusion.observe([eye.see(hull.place(t), "1", t)], after(t))

    (track,) = fusion.picture(after(30)).tracks
    assert error_m(track, hull.place(30)) < 300.0
    assert fusion.survivors == {guess.track_id: track.track_id}


def test_what_a_camera_sees_on_land_has_a_bearing_and_no_place():
    eye, thing = watcher(), Boat(east_m=0, north_m=-5000)
    coast = thing.place(0).latitude_deg + 0.01
    fusion = Fusion([eye.camera], is_sea=lambda p: p.latitude_deg > coast)
    for t in range(20):
        fusion.observe([eye.see(thing.place(t), "1", t)], after(t))

    picture = fusion.picture(after(20))
    assert picture.tracks == ()
    assert [ray.local_track_id for ray in picture.rays] == ["tarifa-day/1"]


def test_a_boat_on_the_beach_line_is_not_lost_to_an_uncertain_range():
    eye, boat = watcher(), Boat(east_m=0, north_m=-5000)
    coast = boat.place(0).latitude_deg + 0.0002
    fusion = Fusion([eye.camera], is_sea=lambda p: p.latitude_deg > coast)
    for t in range(20):
        fusion.observe([eye.see(boat.place(t), "1", t)], after(t))

    assert len(fusion.picture(after(20)).tracks) == 1


def test_no_contact_is_faster_than_a_boat_can_be():
    eye = watcher()
    fusion = Fusion([eye.camera])
    for t in range(20):
        fusion.observe(
            [eye.see(Boat(east_m=0, north_m=-5000).place(t), "1", t)], after(t)
        )
    runaway = Boat(east_m=0, north_m=-5000, east_mps=60.0)
    for t in range(20, 40):
        fusion.observe([eye.see(runaway.place(t - 20), "1", t)], after(t))
        for track in fusion.picture(after(t)).tracks:
            assert np.hypot(*track.velocity_mps) <= 31.0


def test_a_simulated_world_that_begins_anew_takes_its_contacts_along():
    eye, real = watcher(), watcher(2, name="malabata-day")
    boat = Boat(east_m=0, north_m=-5000)
    other = Boat(east_m=2500, north_m=-6000)
    fusion = Fusion(
        [eye.camera, real.camera], simulated={eye.camera.camera_id, "ais-1"}
    )
    for t in range(20):
        fusion.observe([eye.see(boat.place(t), "1", t)], after(t))
        fusion.observe([real.see(other.place(t), "1", t)], after(t))
    assert len(fusion.picture(after(20)).tracks) == 2

    (gone,) = fusion.forget_simulated()

    (left,) = fusion.picture(after(20)).tracks
    assert not left.simulated
    assert gone.track_id != left.track_id
    for t in range(20, 24):
        fusion.observe([eye.see(boat.place(0), "1", t)], after(t))
    assert len(fusion.picture(after(24)).tracks) == 2
