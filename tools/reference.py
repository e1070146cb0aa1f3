"""Writes the generated reference: ``make docs``; a test compares it with the program.

Sources: the configuration's keys, the tree of errors, the commands, and the glossary's
table. Nothing here is written by hand twice.
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from almenara.core import errors
from almenara.node.cli import app
from almenara.node.config import reference

ROOT = Path(__file__).parents[1]
GENERATED = "Generated from the program by `make docs`; do not edit."
GLOSSARY = "docs/glossary.tsv"


def pages() -> dict[str, str]:
    """Each generated file's path from the root, and its text."""
    return {
        "almenara.example.toml": reference.example(),
        "docs/reference/config.md": reference.manual(),
        "docs/reference/errors.md": _errors(),
        "docs/reference/cli.md": _commands(),
        "docs/glossary.md": _glossary(),
        "docs/design/README.md": _designs(),
    }


def _errors() -> str:
    lines = [
        "# Errors",
        "",
        GENERATED,
        "",
        "`code` is stable across releases and languages; the console translates it.",
        "",
        "| class | code | worth retrying | meaning |",
        "|---|---|---|---|",
    ]
    for name, thing in vars(errors).items():
        if isinstance(thing, type) and issubclass(thing, errors.AlmenaraError):
            meaning = (thing.__doc__ or "").strip().splitlines()[0]
            again = "yes" if thing.retryable else "no"
            lines.append(f"| `{name}` | `{thing.code}` | {again} | {meaning} |")
    return "\n".join(lines) + "\n"


def _commands() -> str:
    lines = [
        "# Commands",
        "",
        GENERATED,
        "",
        "Data goes to stdout, talk to stderr. Exit status: 0 good, 1 the answer is no,",
        "2 misuse. `NO_COLOR` is honoured. `almenara --install-completion` teaches the",
        "shell the rest.",
        "",
    ]
    root = typer.main.get_command(app)
    return "\n".join([*lines, *_command(root, "almenara")])


def _command(command: Any, path: str) -> Iterator[str]:
    """A command's chapter; typer brings its own click, so this asks for no class."""
    if inner := getattr(command, "commands", None):
        for name, each in inner.items():
            yield from _command(each, f"{path} {name}")
        return
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    names = [(a.metavar or a.name).upper() for a in arguments]
    usage = [
        name if argument.required else f"[{name}]"
        for name, argument in zip(names, arguments, strict=True)
    ]
    yield from (f"## `{' '.join([path, *usage])}`", "")
    yield from (" ".join((command.help or "").split()), "")
    rows = list(zip(names, (a.help for a in arguments), strict=True))
    rows += [(", ".join(o.opts), o.help) for o in options if o.name != "help"]
    if rows:
        yield from ("| | |", "|---|---|")
        yield from (f"| `{name}` | {text or ''} |" for name, text in rows)
        yield ""


def _glossary() -> str:
    rows = csv.reader(
        (ROOT / GLOSSARY).read_text("utf-8").splitlines(),
        delimiter="\t",
        quoting=csv.QUOTE_NONE,
    )
    head, *terms = rows
    lines = [
        "# Glossary",
        "",
        f"Generated from `{GLOSSARY}` by `make docs`; one meaning each, in the four",
        "languages of the console. *review* names the languages a speaker of the",
        "trade has still to confirm.",
        "",
        f"| {' | '.join(head)} |",
        "|" + "---|" * len(head),
    ]
    lines += [f"| {' | '.join(c.replace('|', '/') for c in row)} |" for row in terms]
    return "\n".join(lines) + "\n"


def _designs() -> str:
    lines = [
        "# Design documents",
        "",
        "Generated from their titles by `make docs`. Each says its status, objective,",
        "non-goals, the path or procedures with their preconditions, and the",
        "alternatives considered. Decisions that bind more than one package are",
        "records in [../adr](../adr/0001-record-decisions.md).",
        "",
    ]
    for path in sorted((ROOT / "docs/design").glob("*.md")):
        if path.name != "README.md":
            title = path.read_text("utf-8").splitlines()[0].removeprefix("# ")
            lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write every page."""
    for path, text in pages().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, "utf-8")
        print(path, file=sys.stderr)


if __name__ == "__main__":
    main()
