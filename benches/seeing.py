"""What the detection chain finds in stored pictures, beside plain OpenCV.

    python benches/seeing.py [--data FOLDER] [--every 4] [--seed 0] [--only NAME]

Real pictures come from ALMENARA_DATA (HIT-UAV by flights never trained on, InfML-HDD);
what they lack is made here from a seed: spots of known contrast added to real surf and
sky, a camera that turns over real thermal ground, a noisy sea with moving boats, and a
road with known movers. Found means within 3 px of the centre (spots) or in the box
grown by 4 px (HIT-UAV). Every figure is share found at so many false finds per picture;
times are processor time on one core. Prints Markdown; ``docs/figures/seeing.md`` keeps
one run with its date.
"""

import argparse
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import process_time

import cv2
import numpy as np
import numpy.typing as npt

from almenara.detection.background import Background
from almenara.detection.horizon import Prior, find_horizon
from almenara.detection.responses import Picture
from almenara.detection.stored import Scenery, SequenceFinder, StillFinder
from almenara.node.train import verifier as training
from almenara.node.weights import verifier
from almenara.stations.drivers.pictures import PictureReader
from tests.detection.seas import NoisySea

F32 = npt.NDArray[np.float32]
Places = npt.NDArray[np.float64]
Find = Callable[[Picture], tuple[Places, Places]]
"""Picture to centres (x, y) and scores."""

Look = tuple[Picture, Places, npt.NDArray[np.bool_]]
"""Picture, centres of the truth, where to look."""

RATES = (0.03, 0.1, 0.3, 1.0)


def chain(scenery: Scenery, *, thermal: bool, watched: npt.NDArray[np.bool_]) -> Find:
    finder = StillFinder(scenery, thermal=thermal, watched=watched)

    def find(picture: Picture) -> tuple[Places, Places]:
        found = finder.find(picture)
        return found.centers.astype(float), found.scores.astype(float)

    return find


def sequence(
    scenery: Scenery, *, thermal: bool, watched: npt.NDArray[np.bool_], fps: float
) -> Find:
    finder = SequenceFinder(scenery, thermal=thermal, watched=watched, fps=fps)

    def find(picture: Picture) -> tuple[Places, Places]:
        found = finder.find(picture)
        return found.centers.astype(float), found.scores.astype(float)

    return find


def _tops(score: F32, watched: npt.NDArray[np.bool_]) -> tuple[Places, Places]:
    high = (score >= cv2.dilate(score, np.ones((7, 7)))) & watched & (score > 0)
    ys, xs = np.nonzero(high)
    values = score[ys, xs].astype(float)
    order = np.argsort(-values)[:200]
    return np.column_stack([xs, ys])[order].astype(float), values[order]


def top_hat(watched: npt.NDArray[np.bool_]) -> Find:
    shape = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))

    def find(picture: Picture) -> tuple[Places, Places]:
        hat = cv2.morphologyEx(picture, cv2.MORPH_TOPHAT, shape)
        return _tops(hat.astype(np.float32), watched)

    return find


def plain_dog(watched: npt.NDArray[np.bool_]) -> Find:
    def find(picture: Picture) -> tuple[Places, Places]:
        grey = picture.astype(np.float32)
        core, wide = (cv2.GaussianBlur(grey, (0, 0), s) for s in (1.5, 4.5))
        return _tops(np.abs(core - wide).astype(np.float32), watched)

    return find


def subtraction(name: str, watched: npt.NDArray[np.bool_]) -> Find:
    made = {
        "MOG2": cv2.createBackgroundSubtractorMOG2,
        "KNN": cv2.createBackgroundSubtractorKNN,
    }[name](detectShadows=False)

    def find(picture: Picture) -> tuple[Places, Places]:
        mask = made.apply(picture)
        mask[~watched] = 0
        _, _, stats, middles = cv2.connectedComponentsWithStats(mask)
        return middles[1:], stats[1:, cv2.CC_STAT_AREA].astype(float)

    return find


def froc(looks: Iterable[Look], find: Find, *, skip: int = 0) -> tuple[str, float]:
    """Shares found at ``RATES`` false finds per picture as table cells; ms per picture.

    Args:
        looks: Pictures with their truth.
        find: The detector.
        skip: First pictures that are not scored.
    """
    rows: list[tuple[float, bool]] = []
    things = pictures = 0
    spent = 0.0
    for number, (picture, truth, _) in enumerate(looks):
        began = process_time()
        centers, scores = find(picture)
        spent += process_time() - began
        if number < skip:
            continue
        pictures += 1
        things += len(truth)
        free = np.ones(len(truth), bool)
        for center, score in zip(centers, scores, strict=True):
            off = np.hypot(*(truth - center).T) if len(truth) else np.empty(0)
            near = np.flatnonzero((off < 3.0) & free)
            if len(near):
                free[near[0]] = False
                rows.append((score, True))
            elif not (off < 8.0).any():
                rows.append((score, False))
    rows.sort(key=lambda row: -row[0])
    hits = np.cumsum([hit for _, hit in rows])
    false = np.cumsum([not hit for _, hit in rows])
    cells = []
    for rate in RATES:
        n = int(np.searchsorted(false, rate * pictures, side="right"))
        cells.append(f"{100 * hits[n - 1] / max(things, 1):.0f} %" if n else "0 %")
    return " | ".join(cells), 1e3 * spent / max(pictures + skip, 1)


def table(title: str, rows: Iterable[tuple[str, tuple[str, float]]]) -> None:
    heads = " | ".join(f"at {rate:g}" for rate in RATES)
    print(f"\n### {title}\n\n| chain | {heads} | ms |\n|---|---|---|---|---|---|")
    for name, (cells, ms) in rows:
        print(f"| {name} | {cells} | {ms:.1f} |", flush=True)


def spot(shape: tuple[int, ...], x: float, y: float, wide: float, high: float) -> F32:
    ys, xs = np.ogrid[: shape[0], : shape[1]]
    bump = np.exp(-((xs - x) ** 2) / (2 * wide**2) - ((ys - y) ** 2) / (2 * high**2))
    return bump.astype(np.float32)


class Data:
    """The shared pictures."""

    def __init__(self, folder: Path, every: int, seed: int) -> None:
        self.folder, self.every, self.seed = folder, every, seed
        lines = (folder / "infml_hdd/horizon.jsonl").read_text("utf-8").splitlines()
        self.surf = []
        with PictureReader() as reader:
            for line in lines[::every]:
                note = json.loads(line)
                luma = reader.read(folder / "infml_hdd" / note["file"])
                self.surf.append((luma, np.array(note["x"]), np.array(note["y"])))

    def injected(self, snr: float, *, in_sky: bool) -> Iterator[Look]:
        """One spot of so many local deviations in each real picture of surf or sky."""
        random = np.random.default_rng(self.seed)
        for luma, _, ys in self.surf:
            line = int(np.max(ys)) + 4 if not in_sky else int(np.min(ys)) - 4
            watched = np.zeros(luma.shape, bool)
            watched[slice(0, line) if in_sky else slice(line, None)] = True
            low, high = (16, line - 12) if in_sky else (line + 6, luma.shape[0] - 16)
            y, x = random.uniform(low, high), random.uniform(24, luma.shape[1] - 24)
            part = luma[int(y) - 6 : int(y) + 7, int(x) - 20 : int(x) + 21]
            wide, tall = (1.3, 1.3) if in_sky else (2.6, 1.2)
            sign = 1 if in_sky or random.random() < 0.5 else -1
            bump = sign * snr * float(part.std()) * spot(luma.shape, x, y, wide, tall)
            picture = np.clip(luma + bump, 0, 255).astype(np.uint8)
            yield np.where(watched, picture, luma), np.array([[x, y]]), watched

    def per_picture(
        self, looks: Iterable[Look], make: Callable[[npt.NDArray[np.bool_]], Find]
    ) -> tuple[str, float]:
        """A fresh detector for every picture: each has its own watched part."""
        items = list(looks)
        makers = iter([make(look[2]) for look in items])
        return froc(items, lambda picture: next(makers)(picture))  # noqa: PLW0108  one each


def horizon(data: Data) -> None:
    print("\n### Horizon, InfML-HDD\n\n| prior | within 5 px | 95th percentile | ms |")
    print("|---|---|---|---|")
    random = np.random.default_rng(data.seed)
    for known in (True, False):
        errors, spent = [], 0.0
        for luma, xs, ys in data.surf:
            wrong = random.uniform(-12, 12)
            prior = Prior(left_y=ys[0] + wrong, right_y=ys[-1] + wrong, half_width=12.0)
            began = process_time()
            found = find_horizon(luma.astype(np.float32), prior if known else None)
            spent += process_time() - began
            assert found is not None
            line = np.interp(xs, [0, luma.shape[1] - 1], [found.left_y, found.right_y])
            errors.append(np.abs(line - ys).mean())
        share, worst = np.mean(np.array(errors) <= 5), np.quantile(errors, 0.95)
        name = "wrong by up to 12 px" if known else "none"
        ms = 1e3 * spent / len(errors)
        print(f"| {name} | {100 * share:.1f} % | {worst:.1f} px | {ms:.1f} |")


def spots(data: Data) -> None:
    for in_sky in (False, True):
        scenery = Scenery.SKY if in_sky else Scenery.SEA
        for snr in (2.0, 3.0, 4.0):
            table(
                f"Spots of {snr:g} local deviations in real "
                f"{'thermal sky' if in_sky else 'thermal surf'}, single pictures",
                (
                    (name, data.per_picture(data.injected(snr, in_sky=in_sky), make))
                    for name, make in (
                        (
                            "this chain",
                            lambda w, s=scenery: chain(s, thermal=True, watched=w),
                        ),
                        ("top-hat 9x9", top_hat),
                        ("plain DoG", plain_dog),
                    )
                ),
            )


def surf_alone(data: Data) -> None:
    """Candidates above fixed scores on surf that holds nothing."""
    counts = []
    for luma, _, ys in data.surf:
        watched = np.zeros(luma.shape, bool)
        watched[int(np.max(ys)) + 4 :] = True
        _, scores = chain(Scenery.SEA, thermal=True, watched=watched)(luma)
        counts.append([(scores > level).sum() for level in (4, 5, 6, 8)])
    means = np.mean(counts, axis=0)
    print("\n### False candidates per picture on empty surf, InfML-HDD\n")
    print("| score > 4 | > 5 | > 6 | > 8 |\n|---|---|---|---|")
    print("| " + " | ".join(f"{m:.2f}" for m in means) + " |")


def turning(
    data: Data, snr: float, clips: int = 8, looks: int = 50
) -> list[list[Look]]:
    """A thermal camera that turns over real ground; a spot crosses each clip."""
    files = sorted((data.folder / "hit_uav/images").glob("*.jpg"))
    answer = []
    with PictureReader() as reader:
        for number, file in enumerate(files[:: len(files) // clips][:clips]):
            random = np.random.default_rng(data.seed + number)
            ground = reader.read(file).astype(np.float32)
            way = random.normal(0, 1, 2)
            way *= random.uniform(0.4, 2.0) / np.hypot(*way)
            turn = random.uniform(-1.2, 1.2, 2)
            clip = []
            for t in range(looks):
                left, top = (190, 120) + turn * (t - looks / 2)
                shake_x, shake_y = random.normal(0, 0.3, 2)
                move = np.array(
                    [[1, 0, -left - shake_x], [0, 1, -top - shake_y]], np.float32
                )
                part = cv2.warpAffine(ground, move, (256, 256))
                x, y = (128, 128) + way * (t - looks / 2)
                # Deviations of the sensor's noise and the ground's fine structure.
                bump = 4.0 * snr * spot((256, 256), x, y, 1.2, 1.2)
                noisy = part + bump + random.normal(0, 2, part.shape)
                picture = np.clip(noisy, 0, 255).astype(np.uint8)
                clip.append((picture, np.array([[x, y]]), np.ones((256, 256), bool)))
            answer.append(clip)
    return answer


def clips_froc(clips: list[list[Look]], make: Callable[[], Find]) -> tuple[str, float]:
    """All clips scored together, each with a fresh detector; ten looks to settle."""
    looks, finders = [], []
    for clip in clips:
        find = make()
        results = []
        for picture, truth, watched in clip:
            began = process_time()
            results.append((*find(picture), process_time() - began))
            looks.append((picture, truth, watched))
        finders.extend(results)
    late = [i for i in range(len(looks)) if i % len(clips[0]) >= 10]
    left = iter([finders[i] for i in late])
    cells, _ = froc([looks[i] for i in late], lambda _: next(left)[:2])
    return cells, 1e3 * float(np.mean([f[2] for f in finders]))


def moving_camera(data: Data) -> None:
    everywhere = np.ones((256, 256), bool)
    for snr in (4.0, 6.0, 10.0):
        clips = turning(data, snr)
        table(
            f"A spot of {4 * snr:g} grey levels crosses a turning thermal picture",
            (
                (name, clips_froc(clips, make))
                for name, make in (
                    (
                        "this chain, sequence",
                        lambda: sequence(
                            Scenery.SKY, thermal=True, watched=everywhere, fps=25.0
                        ),
                    ),
                    (
                        "this chain, single pictures",
                        lambda: chain(Scenery.SKY, thermal=True, watched=everywhere),
                    ),
                    ("top-hat 9x9", lambda: top_hat(everywhere)),
                    ("plain DoG", lambda: plain_dog(everywhere)),
                    ("MOG2", lambda: subtraction("MOG2", everywhere)),
                )
            ),
        )


def fixed_shore(data: Data) -> None:
    """Boats of 11 by 5 pixels, a look every five seconds, fixed things among them."""
    shape = (240, 640)
    everywhere = np.ones(shape, bool)
    for contrast in (12.0, 18.0):
        clips = []
        for number in range(6):
            random = np.random.default_rng(data.seed + number)
            sea = NoisySea(shape[1], shape[0], seed=data.seed + number, tail=0.5)
            boats = random.uniform((40, 40), (600, 220), (5, 2))
            speeds = random.uniform(-2.5, 2.5, 5)
            fixed = random.uniform((40, 40), (600, 220), (6, 2))
            clip = []
            for i in range(25):
                at_s = 5.0 * i
                moved = [
                    (x + v * at_s, y) for (x, y), v in zip(boats, speeds, strict=True)
                ]
                inside = [(x, y) for x, y in moved if 10 < x < shape[1] - 10]
                things = [(x, y, 11, 5, contrast) for x, y in inside]
                things += [(x, y, 9, 4, 25.0) for x, y in fixed]
                frame = sea.frame(at_s, things)
                truth = np.array([(x - 0.5, y - 3.0) for x, y in inside]).reshape(-1, 2)
                clip.append((frame.luma, truth, everywhere))
            clips.append(clip)
        table(
            f"Moving boats 11x5 px of {contrast:g} grey levels among fixed things, "
            "simulated noise, 0.2 pictures a second",
            (
                (name, clips_froc(clips, make))
                for name, make in (
                    (
                        "this chain, sequence",
                        lambda: sequence(
                            Scenery.SEA, thermal=False, watched=everywhere, fps=0.2
                        ),
                    ),
                    (
                        "this chain, single pictures",
                        lambda: chain(Scenery.SEA, thermal=False, watched=everywhere),
                    ),
                    ("top-hat 9x9", lambda: top_hat(everywhere)),
                    ("plain DoG", lambda: plain_dog(everywhere)),
                    ("MOG2", lambda: subtraction("MOG2", everywhere)),
                    ("KNN", lambda: subtraction("KNN", everywhere)),
                )
            ),
        )


def road(data: Data) -> None:
    """F over pixels on a textured road with movers, a shadow each, sway and light."""
    shape = (240, 320)
    random = np.random.default_rng(data.seed)
    white = random.normal(0, 60, shape)
    ground = 105 + cv2.GaussianBlur(white, (0, 0), 3.0) + 0.1 * np.arange(shape[1])
    chains: dict[str, Callable[[F32], npt.NDArray[np.uint8]]] = {
        "this chain": Background(shape, 25.0).moving
    }
    for name, make in (
        ("MOG2", cv2.createBackgroundSubtractorMOG2),
        ("KNN", cv2.createBackgroundSubtractorKNN),
    ):
        made = make(detectShadows=True)
        chains[name] = lambda grey, m=made: (
            (cv2.medianBlur(m.apply(grey.astype(np.uint8)), 5) == 255) * np.uint8(255)
        )
    paint = cv2.GaussianBlur(random.normal(0, 40, shape), (0, 0), 2.0)
    sums = {name: np.zeros(3) for name in chains}
    spent = dict.fromkeys(chains, 0.0)
    cars = [(60, 2.1, 34, 18, 70), (110, -1.6, 44, 22, -45), (170, 1.1, 12, 26, 40)]
    for i in range(400):
        light = 1.0 + 0.08 * np.sin(i / 60)
        picture = ground.copy()
        picture[:40] = np.roll(picture[:40], round(1.2 * np.sin(i / 3)), axis=1)
        truth = np.zeros(shape, bool)
        for row, speed, width, height, contrast in cars:
            left = round(speed * i) % (shape[1] + 120) - 60
            top = row
            a, b = (int(np.clip(x, 0, shape[1])) for x in (left, left + width))
            picture[top + height - 6 : top + height + 6, a : b + 8] *= 0.7
            inside = np.s_[top : top + height, a:b]
            own = paint[:height, a - left : b - left]
            picture[inside] = 110 + contrast + own
            truth[inside] = True
        noisy = picture * light + random.normal(0, 2.5, shape)
        grey = np.clip(noisy, 0, 255).astype(np.float32)
        for name, act in chains.items():
            began = process_time()
            mask = act(grey) > 0
            spent[name] += process_time() - began
            if i >= 150:
                sums[name] += ((mask & truth).sum(), mask.sum(), truth.sum())
    print("\n### Change on a simulated road, 320x240, F over pixels\n")
    print("| chain | F | ms |\n|---|---|---|")
    for name, (hit, told, real) in sums.items():
        print(f"| {name} | {2 * hit / (told + real):.3f} | {spent[name] / 0.4:.2f} |")


def flights(data: Data) -> None:
    """HIT-UAV by flights never trained on; rows of OpenCV have no classes."""
    net = verifier()
    if net is None:
        print("\nNo weights in this package: HIT-UAV is left out.")
        return
    with PictureReader() as reader:
        examples = training.load(
            data.folder / "hit_uav",
            lambda path: reader.read(path).astype(np.uint8, copy=False),
        )
    check = [e for e in examples if training.is_check(e)]
    began = process_time()
    judged = [training.judge(net, e) for e in check]
    ms = 1e3 * (process_time() - began) / len(check)
    print(f"\n### HIT-UAV, flights never trained on, {len(check)} pictures\n")
    print("| flight | person 0.1 | 0.3 | 1 | vehicle 0.1 | 0.3 | 1 |")
    print("|---|---|---|---|---|---|---|")
    groups = {"all": list(range(len(check)))}
    for start in training.CHECK_FLIGHTS:
        groups[str(start)] = [
            i
            for i, e in enumerate(check)
            if training.flight_of(e.number, training.STARTS) == start
        ]
    for name, chosen in groups.items():
        part = [judged[i] for i in chosen]
        cells = [
            f"{100 * training.found_at(part, kind, rate):.1f} %"
            for kind in (0, 1)
            for rate in (0.1, 0.3, 1.0)
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print(f"\n{ms:.0f} ms per picture of 640x512, scoring included.")


def costs(data: Data) -> None:
    print("\n### Processor time per picture, one core\n\n| chain | size | ms |")
    print("|---|---|---|")
    random = np.random.default_rng(data.seed)
    for width, height in ((1920, 1080), (1920, 400), (640, 512), (256, 256)):
        shape = (height, width)
        white = cv2.GaussianBlur(random.normal(0, 40, shape), (0, 0), 2.0)
        looks = [
            np.clip(100 + white + random.normal(0, 2, shape), 0, 255).astype(np.uint8)
            for _ in range(8)
        ]
        everywhere = np.ones(shape, bool)
        for scenery in (Scenery.SEA, Scenery.SKY):
            for name, find in (
                ("single", chain(scenery, thermal=True, watched=everywhere)),
                (
                    "sequence",
                    sequence(scenery, thermal=True, watched=everywhere, fps=25.0),
                ),
            ):
                find(looks[0])
                began = process_time()
                for look in looks[1:]:
                    find(look)
                ms = 1e3 * (process_time() - began) / (len(looks) - 1)
                print(f"| {scenery.value}, {name} | {width}x{height} | {ms:.1f} |")


PARTS = {
    "horizon": horizon,
    "surf": surf_alone,
    "spots": spots,
    "moving": moving_camera,
    "shore": fixed_shore,
    "road": road,
    "flights": flights,
    "costs": costs,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("ALMENARA_DATA"))
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=PARTS)
    asked = parser.parse_args()
    if asked.data is None:
        parser.error("say where the pictures are: --data, or ALMENARA_DATA")
    cv2.setNumThreads(1)
    data = Data(asked.data, asked.every, asked.seed)
    for name, act in PARTS.items():
        if asked.only in {None, name}:
            act(data)


if __name__ == "__main__":
    main()
