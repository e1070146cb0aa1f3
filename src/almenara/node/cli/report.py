"""Shows what the doctor found; the answer is no when anything fails."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import typer
from rich.console import Console
from rich.text import Text

from almenara.node.doctor import Finding, Verdict

STYLES = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}


def show(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print one line per finding, the remedy beneath it; exit 1 if one fails."""
    if as_json:
        rows = [asdict(finding) for finding in findings]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        console = Console(soft_wrap=True, highlight=False)
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            console.print(
                Text(f"{finding.verdict.value:<5}", STYLES[finding.verdict]),
                Text(f"{finding.check:<{width}}  {finding.detail}"),
            )
            if finding.remedy:
                console.print(Text(f"{'':<6}{finding.remedy}", "bold"))
    if any(finding.verdict is Verdict.FAIL for finding in findings):
        raise typer.Exit(1)
