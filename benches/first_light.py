"""The figures of first light, measured on a real node with the simulated coast.

    python benches/first_light.py first-alarm | twenty | latency | worker-kill |
    node-kill

Each prints one JSON object; docs/figures/first-light.md holds the tables and the dates.
Everything runs on loopback, in processes of its own, in a folder that is removed.
"""

import json
import os
import platform
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.chromium import CHROMIUM, FLAGS
from tests.running import RunningNode, Visitor, running_node

CACHE = Path(
    os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "almenara", "clips"
)
TICKS = os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, object]:
    """What it was measured on."""
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text("utf-8"))
    return {
        "cores": os.cpu_count(),
        "cpu": model[1] if model else platform.processor(),
        "python": platform.python_version(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def cpu_s(pid: int) -> float:
    """User and system time of a process without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def thread_cpu_s(pid: int) -> Counter[str]:
    """CPU seconds of a process by thread name."""
    spent: Counter[str] = Counter()
    for task in Path(f"/proc/{pid}/task").iterdir():
        head, _, rest = (task / "stat").read_text("utf-8").rpartition(")")
        fields = rest.split()
        spent[head.partition("(")[2]] += (int(fields[11]) + int(fields[12])) / TICKS
    return spent


def children(pid: int) -> list[tuple[int, str]]:
    """Child processes and their command lines."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text("utf-8").rpartition(")")[2].split()[1]) == pid:
                command = (stat.parent / "cmdline").read_bytes().replace(b"\0", b" ")
                found.append((int(stat.parent.name), command.decode()))
        except (OSError, IndexError):
            continue
    return found


def workers(node: RunningNode) -> list[int]:
    """Process numbers of the watch workers, the spare included."""
    return [p for p, command in children(node.process.pid) if "watch.worker" in command]


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def alarms(messages: Iterator[dict]) -> Iterator[dict]:
    """Alarms as the console's socket shows them."""
    for message in messages:
        rows = message.get("alarms") or []
        yield from rows if isinstance(rows, list) else rows["changed"]


def first_alarm() -> dict[str, object]:
    """Server up → first true alarm on the socket that feeds the screen."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        words = ("demo", "--directory", folder, "--port", "0")
        with running_node(Path(folder), *words) as node:
            up = time.monotonic()
            visitor = node.enter()
            for alarm in alarms(visitor.picture()):
                if alarm["subject"]["kind"] == "contact":
                    break
            shown = time.monotonic()
            return {
                "start_s": round(up - began, 1),
                "first_alarm_s": round(shown - up, 1),
                "rule": alarm["alerts"][0]["rule"],
            }


def twenty(minutes: float = 10.0) -> dict[str, object]:
    """Forty streams recorded; the recorder's and everybody's share of the cores."""
    with tempfile.TemporaryDirectory() as folder:
        words = ("demo", "--stations", "20", "--directory", folder, "--port", "0")
        with running_node(Path(folder), *words, wait_s=900) as node:
            visitor = node.enter()
            _wait_for(visitor, 40)
            began, before = time.monotonic(), _spent(node)
            start = datetime.now(UTC)
            looks = []
            while time.monotonic() - began < minutes * 60:
                time.sleep(10)
                visitor.get("/stations")  # an act: only watching on ends a session
                looks.append(visitor.get("/health"))
            end = datetime.now(UTC)
            spent_s, after = time.monotonic() - began, _spent(node)
            time.sleep(8)
            return {
                "minutes": minutes,
                "cores": {
                    name: round((after[name] - before[name]) / spent_s, 3)
                    for name in sorted(after)
                },
                "recorded": _recorded(visitor, start, end),
                "looks_per_s": _looks(looks),
            }


def _wait_for(visitor: Visitor, cameras: int, patience_s: float = 900) -> None:
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        visitor.get("/stations")
        states = Counter(c["state"] for c in visitor.get("/health")["cameras"])
        if states["live"] >= cameras:
            return
        time.sleep(2)
    raise AssertionError(f"not all live: {states}")


def _spent(node: RunningNode) -> Counter[str]:
    pid = node.process.pid
    spent = Counter({f"node/{n}": s for n, s in thread_cpu_s(pid).items()})
    spent["node"] = cpu_s(pid)
    for child, command in children(pid):
        kind = "simulation" if "simulation" in command else "watch"
        spent[kind] += cpu_s(child)
    return spent


def _recorded(visitor: Visitor, start: datetime, end: datetime) -> dict[str, object]:
    query = f"?start={start:%FT%T.%fZ}&end={end:%FT%T.%fZ}"
    gaps, short_s = 0, []
    for camera in visitor.get("/health")["cameras"]:
        line = visitor.get(f"/cameras/{camera['camera_id']}/timeline{query}")
        gaps += len(line["gaps"])
        held = sum(
            (_time(span["end"]) - _time(span["start"])).total_seconds()
            for span in line["spans"]
        )
        short_s.append((end - start).total_seconds() - held)
    return {
        "streams": len(short_s),
        "gaps": gaps,
        "missing_s_max": round(max(short_s), 3),
    }


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _looks(sheets: list[dict]) -> dict[str, object]:
    rows = [c for sheet in sheets for c in sheet["cameras"] if c["looks_per_s"]]
    values = [c["looks_per_s"] for c in rows]
    return {
        "wanted": rows[0]["wanted_looks_per_s"],
        "mean": round(sum(values) / len(values), 2),
        "min": round(min(values), 2),
        "dropped": sum(c["dropped_looks"] for c in sheets[-1]["cameras"]),
    }


ON_SCREEN = """
window.rows = [];
const seen = new Set();
const look = () => document.querySelectorAll("[data-alarm]").forEach((row) => {
  const id = row.dataset.alarm;
  if (seen.has(id)) return;
  seen.add(id);
  requestAnimationFrame(() => window.rows.push([id, Date.now()]));
});
look();
new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
"""
"""Notes when the row of an alarm is about to be painted for the first time."""


def latency(minutes: float = 10.0) -> dict[str, object]:
    """Capture time of the picture that raised an alarm → its row in a real browser."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        words = ("demo", "--directory", folder, "--port", "0")
        browser = play.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        with running_node(Path(folder), *words) as node:
            page = browser.new_page(viewport={"width": 1920, "height": 1080})
            page.goto(f"{node.address}/#enter={node.token}")
            page.locator("section").first.wait_for()
            page.evaluate(ON_SCREEN)
            began = time.time()
            page.wait_for_timeout(minutes * 60e3)
            shown = {name: at_ms / 1000 for name, at_ms in page.evaluate("window.rows")}
            found = page.evaluate(
                "fetch('/api/v1/alarms?limit=1000').then((answer) => answer.json())"
            )["items"]
        browser.close()
    waits = [
        shown[alarm["alarm_id"]] - _time(alarm["alerts"][0]["observed_at"]).timestamp()
        for alarm in found
        if alarm["alerts"][0]["observed_at"]
        and _time(alarm["raised_at"]).timestamp() > began
        and len(alarm["alerts"]) == 1
        and alarm["alarm_id"] in shown
    ]
    return {
        "alarms": len(waits),
        "p50_s": round(percentile(waits, 0.5), 3),
        "p95_s": round(percentile(waits, 0.95), 3),
    }


def worker_kill(kills: int = 4) -> dict[str, object]:
    """A watch worker is killed: how long its cameras go unwatched."""
    waits: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        words = ("demo", "--directory", folder, "--port", "0")
        with running_node(Path(folder), *words) as node:
            visitor = node.enter()
            _wait_for(visitor, 12)
            time.sleep(5)
            start = datetime.now(UTC)
            for _ in range(kills):
                sheet = visitor.get("/health")
                victim = sheet["workers"][0]
                pid = victim["process_id"]
                cameras = set(victim["cameras"])
                os.kill(pid, signal.SIGKILL)
                killed = time.monotonic()
                waiting = set(cameras)
                at = datetime.now(UTC)
                while waiting and time.monotonic() - killed < 30:
                    for row in visitor.get("/health")["cameras"]:
                        last = row.get("last_look_at")
                        if last and _time(last) > at:
                            waiting.discard(row["camera_id"])
                    time.sleep(0.05)
                waits.append(time.monotonic() - killed)
                time.sleep(12)  # a watch is not killed twice in ten seconds
            end = datetime.now(UTC)
            time.sleep(8)
            recorded = _recorded(visitor, start, end)
    return {
        "kills": kills,
        "watched_again_max_s": round(max(waits), 2),
        "watched_again_p50_s": round(percentile(waits, 0.5), 2),
        "recorded": recorded,
    }


def node_kill(kills: int = 5) -> dict[str, object]:
    """The node is killed: what was acknowledged, before and after."""
    lost_alarms, back_s, lost_video = 0, [], 0
    with tempfile.TemporaryDirectory() as folder:
        words = ("demo", "--directory", folder, "--port", "0")
        held: dict[str, str] = {}
        known: set[str] = set()
        for kill in range(kills + 1):
            began = time.monotonic()
            with running_node(Path(folder), *words) as node:
                visitor = node.enter()
                if kill:
                    back_s.append(_until_recording(visitor, began))
                    listed = {a["alarm_id"] for a in visitor.get("/alarms")["items"]}
                    lost_alarms += len(known - listed)
                    lost_video += _shorter(visitor, held)
                time.sleep(12)
                sheet = visitor.get("/health")["cameras"]
                held = {c["camera_id"]: c["recorded_until"] for c in sheet}
                known = {a["alarm_id"] for a in visitor.get("/alarms")["items"]}
                node.kill()
    return {
        "kills": kills,
        "alarms_lost": lost_alarms,
        "streams_shorter_than_acknowledged": lost_video,
        "recording_again_max_s": round(max(back_s), 2),
    }


def _until_recording(visitor: Visitor, began: float) -> float:
    fresh = datetime.now(UTC)
    while time.monotonic() - began < 60:
        rows = visitor.get("/health")["cameras"]
        until = [r["recorded_until"] for r in rows]
        if rows and any(u and _time(u) > fresh for u in until):
            return time.monotonic() - began
        time.sleep(0.1)
    raise AssertionError("does not record again")


def _shorter(visitor: Visitor, held: dict[str, str]) -> int:
    shorter = 0
    for camera_id, until in held.items():
        if until is None:
            continue
        end = _time(until)
        start = end - timedelta(seconds=4)
        query = f"?start={start:%FT%T.%fZ}&end={end:%FT%T.%fZ}"
        line = visitor.get(f"/cameras/{camera_id}/timeline{query}")
        ends = [_time(span["end"]) for span in line["spans"]]
        shorter += not ends or max(ends) < end - timedelta(milliseconds=1)
    return shorter


def frames_in(path: Path) -> int:
    """Coded pictures of an MP4."""
    with av.open(str(path)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


RUNS = {
    "first-alarm": first_alarm,
    "twenty": twenty,
    "latency": latency,
    "worker-kill": worker_kill,
    "node-kill": node_kill,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or RUNS:
        print(json.dumps({"bench": name, **machine(), **RUNS[name]()}))
