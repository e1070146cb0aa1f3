from hypothesis import given
from hypothesis import strategies as st

from almenara.node.watch.queue import LookQueue
from tests.packets import packet


@given(
    keys=st.lists(st.booleans(), max_size=60),
    takes=st.lists(st.booleans(), max_size=60),
    limit=st.integers(1, 8),
)
def test_what_comes_out_can_be_decoded_and_what_does_not_is_counted(
    keys: list[bool], takes: list[bool], limit: int
):
    """Order is kept; whatever follows a hole is a key picture and says so."""
    queue = LookQueue(limit)
    taken = []
    for n, key in enumerate(keys):
        queue.put(packet(n, key=key))
        assert len(queue) <= limit
        if n < len(takes) and takes[n] and (got := queue.take()):
            taken.append(got)
    while got := queue.take():
        taken.append(got)

    numbers = [got.packet.pts_90k for got in taken]
    assert numbers == sorted(numbers)
    assert len(taken) + queue.dropped == len(keys)
    previous = None
    for got in taken:
        whole = previous is not None and got.packet.pts_90k == previous + 1
        assert whole or (got.restart and got.packet.is_key)
        previous = got.packet.pts_90k


def test_an_interruption_starts_afresh_at_a_key_picture():
    queue = LookQueue(8)
    queue.put(packet(0, key=True))
    queue.interrupt()
    queue.put(packet(1))
    queue.put(packet(2, key=True))

    got = queue.take()
    assert got is not None
    assert (got.packet.pts_90k, got.restart) == (2, True)
    assert queue.dropped == 2


def test_a_new_worker_begins_at_the_next_key_picture_that_waits():
    queue = LookQueue(20)
    for n in range(8):
        queue.put(packet(n, key=n in (0, 5)))
    queue.take()
    queue.begin_anew()

    first = queue.take()
    assert first is not None
    assert (first.packet.pts_90k, first.restart) == (5, True)
    assert (len(queue), queue.dropped) == (2, 4)


def test_a_new_worker_waits_for_a_key_picture_where_none_is_there():
    queue = LookQueue(20)
    queue.put(packet(0, key=True))
    queue.put(packet(1))
    queue.take()
    queue.begin_anew()
    queue.put(packet(2))

    assert queue.take() is None
    assert queue.dropped == 2
