"""The figures of keeping: power cuts, kills, failing steps, and what recording costs.

    python benches/faults.py power [CUTS] | kill [KILLS] | nth | recorder [SECONDS]

Each prints one JSON object; docs/figures/keeping-faults.md holds the tables and the
dates. ``power`` needs fuse3 and the right to mount; ``recorder`` compares with Debian's
ffmpeg and says so where that is absent. Everything lies in a folder that is removed.
"""

import json
import logging
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parents[1]))

import av
import structlog

from almenara.core.ids import StreamId
from almenara.core.media import Codec, Packet, StreamFormat, TimeSource
from almenara.node.clock import SystemClock
from almenara.node.store.database import open_store
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.recording.recorder import Recorder
from almenara.stations.bitstream import is_key, parameter_kind, split_annex_b
from benches.first_light import cpu_s, machine, percentile, thread_cpu_s
from tests.power.cuts import Said, Verdict, cut_off, judged, killed, why_not

SEED = 20261124
ROOT = Path(__file__).parents[1]
STREAMS = 40
FPS = 25
MBIT = 4
CLIP_S = 20


@contextmanager
def folder() -> Iterator[Path]:
    """On the disk that is measured, not in memory."""
    place = os.environ.get("ALMENARA_BENCH_DIR")
    with tempfile.TemporaryDirectory(dir=place) as name:
        yield Path(name)


def power(cuts: int = 100) -> dict[str, object]:
    """Acknowledged and lost over power cuts, with the controls that must lose."""
    reason = why_not()
    if reason is not None:
        return {"skipped": reason}
    share = {"recorder": cuts, "full": cuts // 5, "unsynced": 10, "nameless": 10}
    return {
        kind: _cut_often(kind, count, cut_off, most=120)
        for kind, count in (share | {"normal": 20}).items()
    }


def kill(kills: int = 200) -> dict[str, object]:
    """Acknowledged and lost over kills of the recorder's process."""
    return {"recorder": _cut_often("recorder", kills, killed, most=120)}


def _cut_often(
    kind: str, count: int, end: Callable[..., Said], *, most: int
) -> dict[str, object]:
    chance = random.Random(f"{SEED} {kind}")  # noqa: S311 - moments from a seed
    total, with_loss, first_s = Verdict(), 0, []
    with folder() as place:
        for _ in range(count):
            said = end(kind, place, after=chance.randint(1, most))
            found = judged(said, place)
            with_loss += found.lost > 0
            total += found
            first_s.append(said.first_s)
    return {
        "times": count,
        "with_loss": with_loss,
        "fragments": total.fragments,
        "lost_fragments": total.lost_fragments,
        "audit": total.audit,
        "lost_audit": total.lost_audit,
        "rows": total.rows,
        "lost_rows": total.lost_rows,
        "first_acknowledgement_p50_s": round(percentile(first_s, 0.5), 2),
        "first_acknowledgement_max_s": round(max(first_s), 2),
    }


def nth() -> dict[str, object]:
    """Every step fails, once and for good, with three errors, on one disk and two."""
    words = ["-q", "tests/faults/test_nth_fault.py", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=ROOT,
        env={**os.environ, "ALMENARA_ALL_FAULTS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return {"passes": done.returncode == 0, "says": done.stdout.splitlines()[-1]}


def recorder(seconds: float = 120.0) -> dict[str, object]:
    """Forty streams of 4 Mbit/s through the recorder, then through ffmpeg."""
    if shutil.which("ffmpeg") is None:
        return {"skipped": "needs ffmpeg: apt-get install ffmpeg"}
    with folder() as place:
        clip = _clip(place / "clip.mp4")
        return {
            "streams": STREAMS,
            "mbit_per_s_each": round(clip.stat().st_size * 8 / CLIP_S / 1e6, 2),
            "seconds": seconds,
            "almenara": _recorded(clip, place / "ours", seconds),
            "ffmpeg": _copied(clip, place / "theirs", seconds),
        }


def _clip(path: Path) -> Path:
    """Noise at exactly the rate, so that nobody profits from an easy picture."""
    words = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i"]
    words += [f"testsrc2=s=1280x720:r={FPS},noise=alls=30:allf=t", "-t", str(CLIP_S)]
    rate = f"{MBIT}M"
    words += ["-c:v", "libx264", "-preset", "ultrafast", "-b:v", rate, "-minrate", rate]
    words += ["-maxrate", rate, "-bufsize", rate, "-g", str(2 * FPS), "-bf", "0"]
    words += ["-x264-params", "nal-hrd=cbr:scenecut=0", "-pix_fmt", "yuv420p"]
    subprocess.run([*words, str(path)], check=True)
    return path


def _recorded(clip: Path, place: Path, seconds: float) -> dict[str, object]:
    """Our own recorder in a process of its own, fed from memory in real time."""
    words = [sys.executable, __file__, "feed", str(clip), str(place), str(seconds)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()  # it has read the clip and begins
        used = _watched([child.pid], seconds)
        threads = thread_cpu_s(child.pid)
        said = json.loads(child.stdout.readline())
        child.wait()
    spent = sum(threads.values())
    return used | said | {"cpu_by_thread": _shares(dict(threads), spent)}


def _copied(clip: Path, place: Path, seconds: float) -> dict[str, object]:
    place.mkdir()
    words = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(clip)]
    words += ["-c", "copy", "-f", "segment", "-segment_time", "60"]
    children = []
    for number in range(STREAMS):
        out = place / str(number)
        out.mkdir()
        children.append(
            subprocess.Popen([*words, str(out / "%03d.mp4")], stdin=subprocess.DEVNULL)
        )
    try:
        time.sleep(5)
        used = _watched([child.pid for child in children], seconds)
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait()
    kept = sum(path.stat().st_size for path in place.rglob("*.mp4"))
    return used | {"written_mib": round(kept / 2**20)}


def _watched(pids: list[int], seconds: float) -> dict[str, object]:
    """Share of a core and proportional memory of some processes over a while."""
    before = sum(map(cpu_s, pids))
    began = time.monotonic()
    pss = []
    while time.monotonic() - began < seconds - 2:
        time.sleep(min(5.0, seconds / 4))
        pss.append(sum(map(_pss_mib, pids)))
    spent_s = time.monotonic() - began
    return {
        "cores": round((sum(map(cpu_s, pids)) - before) / spent_s, 3),
        "pss_mib_mean": round(sum(pss) / len(pss), 1),
        "pss_mib_max": round(max(pss), 1),
    }


def _pss_mib(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8")
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def _shares(spent: dict[str, float], total: float) -> dict[str, float]:
    return {name: round(s / total, 2) for name, s in spent.items() if s / total > 0.01}


def feed(clip: Path, place: Path, seconds: float) -> None:
    """Play the clip on forty streams, each begun at another instant."""
    clock, waits = SystemClock(), []
    pictures = _pictures(clip)
    place.mkdir()
    ended: dict[StreamId, float] = {}

    def acknowledged(stream_id: StreamId, _: object) -> None:
        waits.append(time.monotonic() - ended[stream_id])

    with open_store(place / "store.db", exclusive=True) as store:
        index = SqlSegmentIndex(store)
        with Recorder(
            place / "media", index, clock, on_durable=acknowledged
        ) as recorder:
            print("ready", flush=True)
            _play(pictures, recorder, ended, seconds + 5)
            print(
                json.dumps(
                    {
                        "fragments": len(waits),
                        "acknowledged_after_p50_ms": _ms(waits, 0.5),
                        "acknowledged_after_p99_ms": _ms(waits, 0.99),
                        "written_mib": round(recorder.written_bytes() / 2**20),
                        "refused_packets": sum(
                            state.refused_packets for state in recorder.states()
                        ),
                    }
                ),
                flush=True,
            )


def _ms(waits: list[float], share: float) -> float:
    return round(percentile(waits, share) * 1000, 1)


def _play(
    pictures: list[Packet],
    recorder: Recorder,
    ended: dict[StreamId, float],
    seconds: float,
) -> None:
    names = [StreamId(str(uuid4())) for _ in range(STREAMS)]
    films = [cycle(pictures) for _ in names]
    for number, film in enumerate(films):  # key pictures of all must not coincide
        for _ in range(number % 10 * 50):
            next(film)
    clock, began = SystemClock(), time.monotonic()
    ticks = 0
    while time.monotonic() - began < seconds:
        due = began + ticks / FPS
        time.sleep(max(0.0, due - time.monotonic()))
        for number, (name, film) in enumerate(zip(names, films, strict=True)):
            if ticks < number:  # nor their segments
                continue
            at, arrived = clock.now(), time.monotonic()
            picture = next(film)
            if picture.is_key:
                ended[name] = arrived  # what came before it is a whole fragment
            recorder.put(
                replace(
                    picture,
                    stream_id=name,
                    pts_90k=ticks * 90_000 // FPS,
                    dts_90k=ticks * 90_000 // FPS,
                    captured_at=at,
                    received_at=at,
                    received_monotonic_s=arrived,
                )
            )
        ticks += 1


def _pictures(clip: Path) -> list[Packet]:
    """The clip's coded pictures, cut into NAL units once."""
    found = []
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        context = av.BitStreamFilterContext("h264_mp4toannexb", stream)
        coded = [
            bytes(p)
            for packet in container.demux(stream)
            for p in context.filter(packet)
        ]
    units = [split_annex_b(data) for data in coded if data]
    form = StreamFormat(
        codec=Codec.H264,
        width_px=1280,
        height_px=720,
        parameter_sets=tuple(
            nal for nal in units[0] if parameter_kind(Codec.H264, nal) is not None
        ),
    )
    start = SystemClock().now()
    for number, nals in enumerate(units):
        at = start + timedelta(seconds=number / FPS)
        found.append(
            Packet(
                stream_id=StreamId(str(uuid4())),
                format=form,
                nal_units=nals,
                is_key=is_key(Codec.H264, nals),
                pts_90k=0,
                dts_90k=0,
                captured_at=at,
                captured_by=TimeSource.ARRIVAL,
                received_at=at,
                received_monotonic_s=0.0,
            )
        )
    return found


RUNS: dict[str, Callable[..., dict[str, object]]] = {
    "power": power,
    "kill": kill,
    "nth": nth,
    "recorder": recorder,
}

if __name__ == "__main__":
    name, *rest = sys.argv[1:] or ["power"]
    if name == "feed":
        feed(Path(rest[0]), Path(rest[1]), float(rest[2]))
    else:
        numbers = [float(n) if name == "recorder" else int(n) for n in rest]
        structlog.configure(  # a control loses on purpose: no need to hear of it
            wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
        )
        answer = RUNS[name](*numbers)
        print(json.dumps({"bench": name, "seed": SEED, **machine(), **answer}))
