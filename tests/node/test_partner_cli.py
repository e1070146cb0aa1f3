"""``almenara partner`` as two people use it, each at their own centre."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

AGREEMENT = """
[agreement]
legal_basis = "agreement of 2026"
valid_from = 2026-01-01T00:00:00Z
valid_until = 2100-01-01T00:00:00Z
purposes = ["sar", "safety"]
[agreement.fields]
"rescue.case" = ["case", "version", "phase", "position", "people"]
"""


def almenara(
    folder: Path, *words: str, answer: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "almenara.node.cli", "partner", *words],
        cwd=folder,
        input=answer,
        capture_output=True,
        text=True,
        check=False,
    )


def centre(folder: Path, name: str) -> Path:
    place = folder / name
    place.mkdir()
    (place / "almenara.toml").write_text(f'[centre]\nid = "{name}"\n')
    return place


def pairing(partner: str, identity: str) -> str:
    head = (
        f'[partner]\nid = "{partner}"\nname = "The other shore"\n'
        'url = "http://127.0.0.1:9001"\nlisten = "127.0.0.1:9002"\ntelephone = "+0 1"\n'
    )
    return head + identity + AGREEMENT


def test_two_people_pair_their_centres_and_can_stop_the_link(tmp_path: Path):
    es, ma = centre(tmp_path, "es"), centre(tmp_path, "ma")
    identities = {place: almenara(place, "identity") for place in (es, ma)}
    (es / "ma.toml").write_text(pairing("ma", identities[ma].stdout))
    (ma / "es.toml").write_text(pairing("es", identities[es].stdout))

    here = almenara(es, "pair", "ma.toml", "--yes")
    there = almenara(ma, "pair", "es.toml", answer="y\n")
    assert (here.returncode, there.returncode) == (0, 0), here.stderr + there.stderr
    aloud = [line for line in here.stderr.splitlines() if line.startswith("both of")]
    assert aloud[0] in there.stderr
    read = identities[ma].stderr.rpartition(": ")[2].strip()
    assert f"ma: {read}" in here.stderr

    (row,) = json.loads(almenara(es, "list", "--json").stdout)
    assert (row["partner"], row["suspended"]) == ("ma", "no")
    streams = json.loads(almenara(es, "status", "ma", "--json").stdout)
    assert [row["stream"] for row in streams] == [
        "es>ma/urgent",
        "es>ma/bulk",
        "ma>es/urgent",
        "ma>es/bulk",
    ]

    assert almenara(es, "suspend", "ma", "--why", "doubt").returncode == 0
    (row,) = json.loads(almenara(es, "list", "--json").stdout)
    assert row["suspended"] == "doubt"
    assert almenara(es, "resume", "ma").returncode == 0


def test_who_does_not_say_yes_pairs_nobody(tmp_path: Path):
    es = centre(tmp_path, "es")
    other = almenara(centre(tmp_path, "ma"), "identity").stdout
    (es / "ma.toml").write_text(pairing("ma", other))

    assert almenara(es, "pair", "ma.toml", answer="n\n").returncode == 1
    assert json.loads(almenara(es, "list", "--json").stdout) == []


def test_an_unknown_partner_and_a_wrong_file_are_said_in_a_line(tmp_path: Path):
    es = centre(tmp_path, "es")
    (es / "bad.toml").write_text("[partner]\nid = 1\n")

    done = almenara(es, "status", "fr")
    assert (done.returncode, done.stderr) == (
        1,
        "fr: not a partner; known are: none\n",
    )
    done = almenara(es, "pair", "bad.toml")
    assert done.returncode == 1
    assert "bad.toml:2: partner.id" in done.stderr
    assert "Traceback" not in done.stderr
