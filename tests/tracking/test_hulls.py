import numpy as np

from almenara.tracking.hulls import part_of

HULL = (300.0, 300.0, 326.0, 308.0)


def is_part(box, hull=HULL, *, speeds=(5.0, 5.0), across_m=0.5) -> bool:
    """Whether the thing in ``box`` is part of the hull, and the hull never of it."""
    parts = part_of(
        np.array([box, hull]),
        np.array(speeds),
        np.full(2, 0.01),
        np.full(2, across_m),
    )
    assert not parts[1, 0]
    return bool(parts[0, 1])


def test_a_wheelhouse_on_its_hull_is_part_of_it():
    assert is_part((305.0, 296.0, 312.0, 303.0))


def test_a_boat_farther_off_in_line_is_another_boat():
    assert not is_part((308.0, 282.0, 320.0, 286.0))


def test_a_mast_that_stands_clear_of_a_ship_is_part_of_her():
    ship = (300.0, 300.0, 420.0, 312.0)
    assert is_part((340.0, 270.0, 344.0, 280.0), ship, across_m=1.0)


def test_what_passes_behind_a_hull_is_not_part_of_it():
    assert not is_part((305.0, 296.0, 312.0, 303.0), speeds=(-10.0, 5.0))


def test_a_boat_before_a_ship_is_no_hull_to_it():
    ship = (260.0, 280.0, 420.0, 300.0)
    assert not is_part((330.0, 306.0, 342.0, 310.0), ship)


def test_what_stands_higher_than_ships_do_is_behind():
    assert not is_part((305.0, 200.0, 312.0, 210.0), across_m=3.0)


def test_beside_the_hull_is_not_on_it():
    assert not is_part((345.0, 300.0, 352.0, 307.0))


def test_of_two_on_one_row_the_narrower_is_part_of_the_wider():
    assert is_part((306.0, 301.0, 312.0, 308.0))
