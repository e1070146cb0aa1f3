"""What the documents say is so: links lead somewhere, commands exist, nothing leaks."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer

from almenara.node.cli import app
from tools.reference import pages

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
TRACKED = subprocess.run(  # our own arguments
    ["/usr/bin/env", "git", "ls-files", "-z", "*.md", "*.toml", "*.py", "Makefile"],
    cwd=ROOT,
    capture_output=True,
    check=False,
).stdout.decode()
FILES = sorted(
    {p for p in TRACKED.split("\0") if p and (ROOT / p).is_file()}
    or {str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md")}
)
PAGES = [name for name in FILES if name.endswith(".md")]
COMMAND = re.compile(r"(?:^    |`)almenara ([^`\n#]+)", re.MULTILINE)
WORKPLACE = re.compile(
    "|".join(
        ["/" + "work/", "/home/" + r"\w", "/" + "tmp/w/", r"\bhelper " + "session"]
    )
)


@pytest.mark.parametrize("name", PAGES)
def test_every_link_between_documents_leads_somewhere(name: str):
    text = (ROOT / name).read_text("utf-8")
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert ((ROOT / name).parent / link).exists(), link


@pytest.mark.parametrize("name", FILES)
def test_no_file_names_the_place_it_was_written_at(name: str):
    assert not WORKPLACE.search((ROOT / name).read_text("utf-8"))


def test_the_readme_is_short_and_its_commands_are_in_the_makefile():
    goals = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    commands = re.findall(r"`?make (\w+)", README)

    assert len(README.splitlines()) <= 120
    assert {"run", "test"} <= set(commands) <= set(goals)


def test_the_readme_lists_every_package():
    packages = {p.parent.name for p in ROOT.glob("src/almenara/*/__init__.py")}

    assert set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)) == packages


@pytest.mark.parametrize("name", PAGES)
def test_every_command_in_a_document_exists(name: str):
    for line in COMMAND.findall((ROOT / name).read_text("utf-8")):
        words = [w for w in shlex.split(line) if re.fullmatch(r"[a-z][a-z-]*", w)]
        options = re.findall(r"(?<=\s)--[a-z-]+", f" {line}")
        command = typer.main.get_command(app)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]  # type: ignore[attr-defined]  # a group, as asked
        known = {opt for param in command.params for opt in param.opts}
        assert not hasattr(command, "commands") or not words, line
        assert set(options) <= known | {"--help"}, line


@pytest.mark.parametrize("name", sorted(pages()))
def test_the_generated_reference_is_what_the_program_says(name: str):
    assert (ROOT / name).read_text("utf-8") == pages()[name], "run: make docs"


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("docs/adr/*.md")), ids=lambda p: p.name
)
def test_a_decision_has_context_decision_and_consequences(path: Path):
    text = path.read_text("utf-8")

    assert text.startswith(f"# {int(path.name[:4])}. ")
    for part in (
        "Status: ",
        "**Context.**",
        "**Decision.** We will",
        "**Consequences.**",
    ):
        assert part in text


@pytest.mark.parametrize("path", sorted(ROOT.glob("changes/*")), ids=lambda p: p.name)
def test_a_change_is_one_sentence_under_a_known_heading(path: Path):
    assert re.fullmatch(r"\d+\.(added|changed|fixed|removed|security)\.md", path.name)
    assert path.read_text("utf-8").strip().endswith(".")
