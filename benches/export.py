"""How long a package of ten minutes takes, and what verifying it costs.

    python benches/export.py [--minutes 10] [--mbit 4] [--zip]

One camera is recorded into a store by the recorder itself (random pictures of the given
rate, a key picture every two seconds), a log with a witness is kept, and the span is
exported. The verifier then runs as it would elsewhere: alone, isolated, in a process of
its own. Beside it, ``sha256sum`` reads the same files once: what any check must cost.
Each command runs three times on warm files; the median counts.
"""

import argparse
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import median

from almenara.core.media import Packet
from almenara.core.time import ManualClock
from almenara.node.export.create import Exporter
from almenara.node.export.folder import PackageFolder
from almenara.node.export.signing import export_key
from almenara.node.store.database import open_store
from almenara.node.store.recordings import SqlSegmentIndex
from almenara.recording.playback import Playback
from almenara.recording.recorder import Recorder
from tests.conftest import NOON
from tests.node.export.log import NaiveLog
from tests.node.export.packages import CENTRE, approval, gathered, request
from tests.recording.films import STREAM, film

FPS = 25
GOP = 50
CAMERA = "tarifa-day"


def pictures(minutes: float, mbit: float) -> Iterator[Packet]:
    """Random bytes behind true headers; a key picture weighs as much as five others."""
    model = film(1)[0]
    usual = int(mbit * 1e6 / 8 / FPS * GOP / (GOP + 4))
    noise = secrets.token_bytes(usual * 8)
    for n in range(int(minutes * 60 * FPS)):
        is_key = n % GOP == 0
        size = usual * (5 if is_key else 1)
        start = n * 7919 % (len(noise) - size)
        at = NOON + timedelta(seconds=n / FPS)
        yield replace(
            model,
            nal_units=(b"\x65" if is_key else b"\x41", noise[start : start + size]),
            is_key=is_key,
            pts_90k=n * 3600,
            dts_90k=n * 3600,
            captured_at=at,
            received_at=at,
            received_monotonic_s=n / FPS,
        )


def follows(recorder: Recorder, packet: Packet) -> bool:
    """Whether the disk is not too far behind: nothing may be lost to back-pressure."""
    durable = recorder.durable_until(STREAM) or NOON
    return packet.captured_at - durable < timedelta(seconds=8)


def median_s(command: list[str], cwd: Path, expect: int = 0) -> float:
    times = []
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run(command, cwd=cwd, capture_output=True, check=False)
        times.append(time.perf_counter() - started)
        assert done.returncode == expect, (done.returncode, done.stdout, done.stderr)
    return median(times)


def measure(folder: Path, minutes: float, mbit: float, *, as_zip: bool) -> None:
    media = folder / "media"
    media.mkdir()
    with open_store(folder / "store.db") as store:
        index = SqlSegmentIndex(store)
        with Recorder(media, index, ManualClock(NOON)) as recorder:
            recorder.expect(STREAM)
            for packet in pictures(minutes, mbit):
                while not follows(recorder, packet):
                    time.sleep(0.005)
                recorder.put(packet)
        index.settle()
        log, out = NaiveLog(index), folder / ("p.zip" if as_zip else "p")
        asked = request(minutes * 60, start=NOON, camera_ids=(CAMERA,))
        key = export_key(folder / "keys", centre_id=CENTRE, now=NOON)
        exporter = Exporter(
            playback=Playback(media, index),
            index=index,
            proofs=log,
            key=key,
            centre="Tarifa",
            software="bench",
            local_zone="UTC",
        )
        started = time.perf_counter()
        plan = exporter.prepare(asked, {CAMERA: STREAM}, out)
        package = PackageFolder(out, asked.digest)
        package.take_up()
        made = exporter.write(
            plan,
            asked,
            approval(asked),
            gathered(),
            folder=package,
            made_at=NOON,
            progress=lambda _, __: None,
        )
        took_s = time.perf_counter() - started
    (folder / "trust").write_text(f"{log.trust()}export\n{key.pem}")
    report(folder, out, took_s, made.size_bytes)


def report(folder: Path, out: Path, took_s: float, size_bytes: int) -> None:
    if out.is_dir():
        shutil.copy(out / "verify.py", folder / "verify.py")
        files = [str(path) for path in sorted(out.rglob("*")) if path.is_file()]
    else:
        unpack = ["unzip", "-q", "-o", "-j", str(out), "verify.py"]
        subprocess.run(unpack, cwd=folder, check=True)
        files = [str(out)]
    verify = [sys.executable, "-I", "-S", "verify.py", str(out), "--trust", "trust"]
    verify_s = median_s(verify, folder)
    sum_s = median_s(["sha256sum", *files], folder)
    mb = size_bytes / 1e6
    print(f"package          {mb:8.1f} MB")
    print(f"exported in      {took_s:8.1f} s   {mb / took_s:6.0f} MB/s")
    print(f"verified in      {verify_s:8.2f} s   {mb / verify_s:6.0f} MB/s")
    print(f"sha256sum        {sum_s:8.2f} s   {mb / sum_s:6.0f} MB/s")
    print(f"ratio            {verify_s / sum_s:8.2f}")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--minutes", type=float, default=10)
    asked.add_argument("--mbit", type=float, default=4)
    asked.add_argument("--zip", action="store_true")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), given.minutes, given.mbit, as_zip=given.zip)


if __name__ == "__main__":
    main()
