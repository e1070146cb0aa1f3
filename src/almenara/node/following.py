"""MOTChallenge rows in, the same rows with track numbers out: ``track follow``.

A row is ``frame,id,left,top,width,height,confidence,x,y,z``; the identity coming in
is not looked at. Frames come in order; what is known after a frame is written before
the next one is read.

Source: docs/design/detection.md, "Tracks"; row format after Dendorfer et al.,
"MOTChallenge: A Benchmark for Single-Camera Multiple Target Tracking", IJCV 129 (2021).
"""

import math
import re
from collections.abc import Iterable, Iterator

import numpy as np

from almenara.core.errors import ConfigError
from almenara.tracking.boxes import BoxTracker

Row = tuple[int, float, float, float, float, float]
"""Frame, left, top, width, height, confidence."""


def read_size(text: str) -> tuple[int, int]:
    """Columns and rows of ``1920x1080``.

    Raises:
        ConfigError: It says something else.
    """
    found = re.fullmatch(r"([1-9]\d{0,4})[xX]([1-9]\d{0,4})", text.strip())
    if found is None:
        raise ConfigError((f"--size {text!r}: write it as 1920x1080",))
    return int(found[1]), int(found[2])


def follow(
    lines: Iterable[str], *, fps: float, size: tuple[int, int], sure: float = 0.4
) -> Iterator[str]:
    """Rows with the number of their track, frame by frame.

    Args:
        lines: Rows in the order of their frames; blank ones are skipped.
        fps: Frames a second.
        size: Columns and rows of the pictures: boxes are cut off at their edges when
            they are followed, not when they are written.
        sure: Least confidence that begins a track. Where no row has a confidence in
            (0, 1], every box is sure.

    Raises:
        ConfigError: A row cannot be read; its number is told.
    """
    tracker: BoxTracker | None = None
    for frame, rows in _frames(lines):
        if tracker is None:
            graded = any(0.0 < row[5] < 1.0 for row in rows)
            tracker = BoxTracker(sure=sure if graded else -math.inf)
        boxes = np.array([row[1:5] for row in rows], np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        scores = np.array([row[5] for row in rows], np.float64)
        inside = boxes.copy()
        np.clip(inside[:, ::2], 0, size[0], out=inside[:, ::2])
        np.clip(inside[:, 1::2], 0, size[1], out=inside[:, 1::2])
        for track in tracker.step(inside, scores, frame / fps):
            left, top, right, bottom = boxes[track.row]
            yield (
                f"{frame},{track.number},{left:.2f},{top:.2f},{right - left:.2f},"
                f"{bottom - top:.2f},{track.score:.4f},-1,-1,-1"
            )


def _frames(lines: Iterable[str]) -> Iterator[tuple[int, list[Row]]]:
    """Rows of each frame that has some."""
    rows: list[Row] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _row(line, number)
        if rows and row[0] != rows[0][0]:
            if row[0] < rows[0][0]:
                raise ConfigError((f"row {number}: sort the rows by frame",))
            yield rows[0][0], rows
            rows = []
        rows.append(row)
    if rows:
        yield rows[0][0], rows


def _row(line: str, number: int) -> Row:
    cells = line.replace(",", " ").split()
    try:
        values = [float(cell) for cell in cells[:7]]
        frame = int(values[0])
        left, top, width, height = values[2:6]
        confidence = values[6] if len(values) > 6 else 1.0
    except (ValueError, IndexError, OverflowError) as error:
        raise ConfigError((_complaint(number),)) from error
    if not all(map(math.isfinite, values)) or width <= 0 or height <= 0:
        raise ConfigError((_complaint(number),))
    return frame, left, top, width, height, confidence


def _complaint(number: int) -> str:
    return (
        f"row {number}: write frame,id,left,top,width,height,confidence, numbers with "
        "a positive size"
    )
