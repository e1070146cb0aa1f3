"""``detect`` and ``track follow``: the detection chain on stored pictures and boxes."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from almenara.core.coast import SensorKind
from almenara.node.cli.talk import SpokenGroup, say

trainer = typer.Typer(
    help="Make our own weights from open pictures.",
    no_args_is_help=True,
    cls=SpokenGroup,
)
SCENES = ("sea", "land", "sky")


def detect(  # noqa: PLR0917 -- the command's options
    paths: Annotated[
        list[Path], typer.Argument(help="Pictures, folders of frames, videos.")
    ],
    sensor: Annotated[SensorKind, typer.Option(help="What took them.")] = (
        SensorKind.DAY
    ),
    scene: Annotated[str, typer.Option(help="sea, land or sky.")] = "sea",
    fps: Annotated[
        float | None,
        typer.Option(min=0.001, max=1000, help="Frames a second; else the file's own."),
    ] = None,
    zone: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="JSON list of polygons to watch, pixels."),
    ] = None,
    false_alarms_per_frame: Annotated[
        float, typer.Option(min=1e-6, help="Wanted; sets the threshold by the tail.")
    ] = 1.0,
    threshold: Annotated[
        float | None, typer.Option(min=0, help="Least score, instead.")
    ] = None,
    min_score: Annotated[
        float | None, typer.Option(min=0, help="The same; 0 tells every candidate.")
    ] = None,
    horizon_prior: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="JSON list of [y left, y right, half width], pixels."
        ),
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(file_okay=False, help="PNGs of what moves, to here.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(file_okay=False, help="Pictures with boxes, to here.")
    ] = None,
    *,
    tracks: Annotated[
        bool, typer.Option("--tracks", help="Follow what is found.")
    ] = False,
    horizon: Annotated[
        bool, typer.Option("--horizon", help="Say where the horizon is.")
    ] = False,
) -> None:
    """Find small craft, persons and vehicles in stored pictures: JSON Lines."""
    if scene not in SCENES:
        raise typer.BadParameter("sea, land or sky", param_hint="--scene")
    from almenara.detection.stored import Scenery
    from almenara.node import seeing

    failed = False

    def complain(line: str) -> None:
        nonlocal failed
        failed = True
        say(line)

    wish = seeing.Wish(
        scenery=Scenery(scene),
        thermal=sensor is SensorKind.THERMAL,
        fps=fps,
        zone=seeing.read_zone(zone) if zone else (),
        cut=seeing.Cut(
            least=threshold if min_score is None else min_score,
            false_per_picture=false_alarms_per_frame,
        ),
        tracks=tracks,
        horizon=horizon or horizon_prior is not None,
        priors=seeing.read_priors(horizon_prior) if horizon_prior else (),
        masks=masks,
        overlays=picture,
    )
    for seen in seeing.look(paths, wish, complain=complain):
        typer.echo(seeing.as_json(seen, tracks=wish.tracks, horizon=wish.horizon))
    if failed:
        raise typer.Exit(1)


def follow(
    fps: Annotated[float, typer.Option(min=0.001, max=1000, help="Frames a second.")],
    size: Annotated[str, typer.Option(help="Picture size in pixels, as 1920x1080.")],
    *,
    min_score: Annotated[
        float, typer.Option(help="Least confidence that begins a track.")
    ] = 0.4,
) -> None:
    """Give every box on stdin the number of its thing; MOTChallenge rows both ways."""
    from almenara.node import following

    lines = following.follow(
        sys.stdin, fps=fps, size=following.read_size(size), sure=min_score
    )
    for line in lines:
        typer.echo(line)


@trainer.command()
def verifier(  # noqa: PLR0917 -- the command's options
    data: Annotated[
        Path, typer.Argument(file_okay=False, help="Folder that holds hit_uav.")
    ],
    out: Annotated[Path, typer.Option(dir_okay=False, help="The weights, .npz.")],
    width: Annotated[int, typer.Option(min=8, max=64, help="Channels.")] = 24,
    steps: Annotated[int, typer.Option(min=1, help="Batches of 16 crops.")] = 3000,
    seed: Annotated[int, typer.Option(help="Same seed, same weights.")] = 0,
    begin: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Weights to go on from.")
    ] = None,
) -> None:
    """Train the thermal verifier; half an hour on two cores. Needs almenara[train]."""
    from almenara.node.train import work

    work.run(data, out, width=width, steps=steps, seed=seed, begin=begin, say=say)
