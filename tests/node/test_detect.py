"""``almenara detect`` and ``track follow`` from the outside."""

import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from almenara.core.errors import ConfigError
from almenara.node.cli import app
from almenara.node.following import follow, read_size
from almenara.node.seeing import natural

SHAPE = (128, 256)


def run(*words):
    return CliRunner().invoke(app, [str(w) for w in words])


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def picture(x, y, seed=0):
    noise = np.random.default_rng(seed)
    grey = 90 + noise.normal(0, 2, SHAPE)
    ys, xs = np.mgrid[: SHAPE[0], : SHAPE[1]]
    grey += 60 * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 3.0)
    return np.clip(grey, 0, 255).astype(np.uint8)


def folder(path, count, act=lambda i: picture(40 + 3 * i, 60, i)):
    path.mkdir()
    for i in range(count):
        cv2.imwrite(str(path / f"f{i}.png"), act(i))
    return path


@pytest.mark.slow
def test_pictures_alone_and_a_broken_one_among_them(tmp_path):
    good = folder(tmp_path / "in", 2)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG nothing")
    result = run(
        "detect", good / "f0.png", bad, good / "f1.png", "--scene", "sky",
        "--sensor", "thermal", "--min-score", 0,
    )  # fmt: skip
    seen = lines(result)

    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "bad.png" in result.stderr
    assert [s["path"] for s in seen] == [str(good / f"f{i}.png") for i in (0, 1)]
    assert (seen[0]["width"], seen[0]["height"]) == SHAPE[::-1]
    first = seen[1]["detections"][0]
    assert first["center"] == pytest.approx([43, 60], abs=1)
    assert set(first) == {"box", "center", "score", "class", "class_scores"}
    scores = [d["score"] for d in seen[1]["detections"]]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.slow
def test_a_folder_is_a_sequence_in_natural_order_with_tracks(tmp_path):
    result = run(
        "detect", folder(tmp_path / "in", 12), "--scene", "sky", "--fps", 10,
        "--tracks", "--threshold", 4, "--picture", tmp_path / "out",
    )  # fmt: skip
    seen = lines(result)

    assert result.exit_code == 0
    assert [s["frame"] for s in seen] == list(range(12))
    assert seen[10]["path"].endswith("f10.png")
    assert len({s["tracks"][0]["id"] for s in seen[3:]}) == 1
    assert (tmp_path / "out" / "f11.png").is_file()


@pytest.mark.slow
def test_masks_say_what_moves_on_land(tmp_path):
    def act(i):
        grey = picture(-50, 0, i)
        if i >= 45:
            grey[40:60, 4 * (i - 45) : 4 * (i - 45) + 30] = 220
        return grey

    result = run(
        "detect", folder(tmp_path / "in", 55, act), "--scene", "land", "--fps", 25,
        "--masks", tmp_path / "masks",
    )  # fmt: skip
    mask = cv2.imread(str(tmp_path / "masks" / "f54.png"), cv2.IMREAD_GRAYSCALE)
    truth = np.zeros(SHAPE, bool)
    truth[40:60, 36:66] = True

    assert result.exit_code == 0
    assert len(list((tmp_path / "masks").iterdir())) == 55
    assert mask is not None
    assert mask.shape == SHAPE
    assert (mask[truth] > 0).mean() > 0.9
    assert (mask[~truth] > 0).mean() < 0.02


@pytest.mark.slow
def test_the_horizon_follows_its_prior(tmp_path):
    noise = np.random.default_rng(0)
    grey = np.full(SHAPE, 100.0)
    grey[70:] = 140 + noise.normal(0, 8, (SHAPE[0] - 70, SHAPE[1]))
    cv2.imwrite(str(tmp_path / "a.png"), grey.astype(np.uint8))
    (tmp_path / "prior.json").write_text("[[76, 76, 12]]")
    result = run(
        "detect", tmp_path / "a.png", "--horizon-prior", tmp_path / "prior.json"
    )

    assert lines(result)[0]["horizon"] == pytest.approx([69.5, 69.5], abs=1.5)


@pytest.mark.slow
def test_the_zone_leaves_out_what_is_not_watched(tmp_path):
    good = folder(tmp_path / "in", 1)
    zone = tmp_path / "zone.json"
    zone.write_text("[[[100, 0], [255, 0], [255, 127], [100, 127]]]")
    words = ("detect", good / "f0.png", "--scene", "sky", "--min-score", 0)

    assert lines(run(*words))[0]["detections"][0]["center"][0] < 50
    for one in lines(run(*words, "--zone", zone))[0]["detections"]:
        assert one["center"][0] > 95


@pytest.mark.parametrize(
    "text", ["", "{", "3", "[[1, 2]]", "[[[1, 2], [3, 4]]]", '[[["a", 1]]]']
)
def test_a_zone_that_is_none_is_refused_with_its_place(tmp_path, text):
    zone = tmp_path / "zone.json"
    zone.write_text(text)
    result = run("detect", tmp_path, "--zone", zone)

    assert result.exit_code == 1
    assert "zone.json" in result.stderr


def test_a_path_that_is_not_there_is_one_line(tmp_path):
    result = run("detect", tmp_path / "none.png", tmp_path / "none.mp4", tmp_path)

    assert result.exit_code == 1
    assert result.stderr.count("\n") == 3


def test_frame_nine_comes_before_frame_ten(tmp_path):
    names = ["f10.png", "f9.png", "f1a.png", "f1.png"]

    assert sorted((tmp_path / n for n in names), key=natural) == [
        tmp_path / n for n in ["f1.png", "f1a.png", "f9.png", "f10.png"]
    ]


def test_rows_come_back_with_the_numbers_of_their_things():
    rows = [f"{i},-1,{10 + 5 * i},20,40,15,0.9,-1,-1,-1\n" for i in range(1, 9)]
    rows += ["\n"]
    out = [line.split(",") for line in follow(rows, fps=1.0, size=(640, 480))]

    assert [int(r[0]) for r in out] == list(range(1, 9))
    assert {r[1] for r in out} == {"1"}
    assert out[3][2:6] == ["30.00", "20.00", "40.00", "15.00"]


@pytest.mark.parametrize(
    "row", ["1,2", "a,b,c,d,e,f", "1,-1,0,0,-5,5,1", "1,-1,nan,0,5,5,1"]
)
def test_a_row_that_cannot_be_read_is_named(row):
    with pytest.raises(ConfigError, match="row 2"):
        list(follow(["1,-1,0,0,5,5,1", row], fps=1.0, size=(64, 64)))


def test_a_size_is_written_as_two_numbers():
    assert read_size("1920x1080") == (1920, 1080)
    with pytest.raises(ConfigError):
        read_size("big")


def test_follow_reads_from_its_standard_input():
    rows = "".join(f"{i},-1,{10 + i},20,40,15,1\n" for i in range(1, 5))
    result = CliRunner().invoke(
        app, ["track", "follow", "--fps", "1", "--size", "640x480"], input=rows
    )

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 4
