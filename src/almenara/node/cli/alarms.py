"""``almenara alarm``: what waits for somebody, and how much the alarms ask for.

Acknowledging here wants the store for itself: beside a running node the console is the
place, for there the alarm is shown as it is now.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from almenara.node.cli.talk import say, tell

if TYPE_CHECKING:
    from almenara.node.config import Config
    from almenara.node.store.alarms import SqlAlarmDesk

T = TypeVar("T")

app = typer.Typer(help="Alarms and their load.", no_args_is_help=True)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", dir_okay=False, help="almenara.toml.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command("list")
def show(
    config: ConfigFile = None,
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """List the alarms that are not over, in the order of the queue."""

    async def act(desk: "SqlAlarmDesk") -> list[dict[str, Any]]:
        return [
            {
                "alarm": alarm.alarm_id,
                "version": alarm.version,
                "priority": alarm.priority.name.lower(),
                "rescue": "yes" if alarm.is_rescue else "no",
                "state": alarm.state.value,
                "subject": f"{alarm.subject.kind}:{alarm.subject.id}",
                "rules": ", ".join(alert.rule for alert in alarm.alerts),
                "raised_at": alarm.raised_at.isoformat(timespec="seconds"),
            }
            for alarm in await desk.queue(limit=limit)
        ]

    tell(_with_desk(config, act), as_json=as_json, empty="No alarm waits for anybody.")


@app.command()
def ack(
    alarm_id: Annotated[str, typer.Argument(help="As `almenara alarm list` says it.")],
    version: Annotated[
        int, typer.Option(min=1, help="The version that was looked at.")
    ],
    config: ConfigFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Acknowledge one alarm under your own name, while no node runs."""
    from almenara.core.ids import AlarmId
    from almenara.evidence.audit import AuditAction
    from almenara.incidents import queue
    from almenara.node.cli.acts import entry
    from almenara.node.clock import SystemClock

    async def act(desk: "SqlAlarmDesk") -> list[dict[str, Any]] | str:
        alarm = await desk.get(AlarmId(alarm_id))
        if alarm is None:
            return f"{alarm_id}: no such alarm; see: almenara alarm list"
        audit = entry(
            "alarm.acknowledge",
            "alarm",
            alarm_id,
            at=SystemClock().now(),
            action=AuditAction.ALTERATION,
        )
        step = queue.acknowledge(alarm, audit.actor.person_id, version, audit.at)
        if isinstance(step, queue.StaleVersion):
            return (
                f"{alarm_id}: it announced again, version {step.current}; look at that "
                "first, then acknowledge it"
            )
        await desk.commit((step,), (audit,))
        return [{"alarm": alarm_id, "state": step.after.state.value}]

    found = _with_desk(config, act, exclusive=True)
    if isinstance(found, str):
        say(found)
        raise typer.Exit(1)
    tell(found, as_json=as_json, empty="")


@app.command()
def kpi(
    config: ConfigFile = None,
    *,
    days: Annotated[int, typer.Option(min=1, max=366, help="Up to now.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Say how much the alarms asked of this position: the figures of ISA-18.2."""
    import json

    from almenara.incidents.load import alarm_load
    from almenara.node.clock import SystemClock

    now = SystemClock().now()
    begin = now - timedelta(days=days)

    async def act(desk: "SqlAlarmDesk") -> Any:
        return await desk.announcements(begin, now)

    load = asdict(alarm_load(_with_desk(config, act), begin=begin, end=now))
    if as_json:
        typer.echo(json.dumps(load, default=_plain, indent=2))
        return
    tell(
        [{"figure": name, "value": _short(value)} for name, value in load.items()],
        as_json=False,
        empty="",
    )


def _plain(value: Any) -> str:
    return str(value.isoformat(timespec="seconds"))


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, tuple):
        return ", ".join(f"{name} {count}" for name, count in value) or "none"
    return "none" if value is None else str(value)


def _with_desk(
    config: Path | None,
    act: "Callable[[SqlAlarmDesk], Awaitable[T]]",
    *,
    exclusive: bool = False,
) -> T:
    """Open the store, act, and close it."""
    import anyio

    from almenara.node.config import load
    from almenara.node.store.alarms import SqlAlarmDesk
    from almenara.node.store.database import open_store

    settings: Config = load(config)
    with open_store(settings.store_place, exclusive=exclusive) as store:

        async def within() -> T:
            return await act(SqlAlarmDesk(store))

        return anyio.run(within)
