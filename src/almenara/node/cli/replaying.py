"""``almenara replay``: rules asked again about the tracks that this centre has kept."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from almenara.node.cli.talk import tell


def replay(
    names: list[str], start: str, end: str, config: Path | None, *, as_json: bool
) -> None:
    """Print when each rule would have told of which contact."""
    from almenara.incidents.situation import Surroundings
    from almenara.node.assembly import offline_land
    from almenara.node.clock import SystemClock
    from almenara.node.config import load
    from almenara.node.config.rules import limits_of
    from almenara.node.replay import replay as asked_again
    from almenara.node.replay import rule_names, rule_of
    from almenara.node.store.track_points import TrackPoints

    if unknown := sorted(set(names) - set(rule_names())):
        raise typer.BadParameter(
            f"{', '.join(unknown)}: not one of {', '.join(rule_names())}",
            param_hint="--rule",
        )
    begins, ends = _instant(start, "--from"), _instant(end, "--to")
    settings = load(config)
    around = Surroundings(
        zones=settings.zones,
        shore=offline_land(),
        lines=settings.lines,
        havens=settings.havens,
    )
    kept = TrackPoints(settings.store.directory, SystemClock())
    found = asked_again(
        kept.pictures(begins, ends),
        map(rule_of, names),
        around,
        limits=limits_of(settings),
    )
    tell(
        [dict(row) for row in found],
        as_json=as_json,
        empty="Nothing would have been told.",
    )


def _instant(text: str, option: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text}: write it as 2026-03-01T12:00:00Z", param_hint=option
        ) from error
    if at.tzinfo is None:
        raise typer.BadParameter(f"{text}: add Z or an offset", param_hint=option)
    return at.astimezone(UTC)
