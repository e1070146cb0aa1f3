"""The committed console is what its sources make: seen without Node, by hashes."""

import hashlib
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
STATIC = ROOT / "src/almenara/console/static"
SOURCES = re.compile(r"const SOURCES = \[(.*?)\]", re.DOTALL)
MOST_SCRIPT_BYTES = 1_000_000
"""Uncompressed; the budget of 300 kB compressed is near a third of this."""


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hash_of_sources() -> str:
    listed = SOURCES.search((WEB / "vite.config.ts").read_text(encoding="utf-8"))
    assert listed, "web/vite.config.ts no longer says what the bundle is made of"
    roots = [WEB / name for name in re.findall(r'"([^"]+)"', listed[1])]
    files = [
        file
        for root in roots
        for file in ([root] if root.is_file() else root.rglob("*"))
        if file.is_file()
    ]
    lines = sorted(f"{f.relative_to(WEB).as_posix()} {sha256(f)}\n" for f in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def manifest() -> dict[str, object]:
    kept: dict[str, object] = json.loads(
        (STATIC / "manifest.json").read_text(encoding="utf-8")
    )
    return kept


def test_the_committed_console_was_built_from_these_sources():
    assert manifest()["sources"] == hash_of_sources(), (
        "the bundle is stale: run `npm ci && npm run build` in web/ and commit"
    )


def test_the_committed_console_is_complete_and_untouched():
    present = {
        file.relative_to(STATIC).as_posix(): sha256(file)
        for file in STATIC.rglob("*")
        if file.is_file() and file.name != "manifest.json"
    }
    assert manifest()["files"] == present


def test_the_page_asks_nobody_else_for_anything():
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert "//" not in page.replace("<!doctype html>", "")
    assert "<style" not in page
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))


def test_the_script_stays_within_its_budget():
    size = sum(file.stat().st_size for file in STATIC.rglob("*.js"))
    assert size <= MOST_SCRIPT_BYTES


def test_the_coast_is_the_one_that_was_reviewed():
    coast = ROOT / "src/almenara/node/coast"
    stated, name = (coast / "strait.geojson.sha256").read_text().split()
    assert sha256(coast / name) == stated
