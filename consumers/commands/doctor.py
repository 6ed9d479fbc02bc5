"""``keyart doctor``: what is wrong, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consumers.commands import out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.doctor import Finding

_MARKS = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "failure": "[bold red]failure[/]"}


def doctor(
    role: Annotated[
        str | None,
        typer.Option(
            help="Also see whether our user may do what this role needs: learner, viewing, serving, app and so on."
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the findings to a file, for machines.")
    ] = None,
) -> None:
    """Look for what is wrong with a deployment, and say what to do about it.

    It looks at the settings of this process, the cluster, topics, permissions, open transactions, workers, clocks,
    the catalogue, snapshots, traffic and dead letters. It changes nothing and joins no group. The exit code is 1
    where something has failed; warnings do not count. docs/doctor.md lists all that it may find.
    """
    import json

    from consumers import logs
    from consumers.doctor import gather
    from stream.access import ROLES
    from stream.doctor import Facts, Severity, findings
    from stream.errors import ConfigurationError
    from stream.reading.event_time import wall_clock_ms
    from stream.settings import load

    if role is not None and role not in ROLES:
        raise typer.BadParameter(f"{role!r} is no role; there are {', '.join(ROLES)}", param_hint="--role")
    try:
        settings = load()
    except ConfigurationError as error:
        facts = Facts(wall_clock_ms(), settings_error=str(error), role=role)
    else:
        logs.configure(settings.model_copy(update={"log_level": "error"}))
        facts = gather(settings, role=role)
    found = findings(facts)
    if json_file is not None:
        report = {"looked_ms": facts.now_ms, "findings": [_fields(finding) for finding in found]}
        json_file.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    _show(found)
    if any(finding.severity is Severity.FAILURE for finding in found):
        raise typer.Exit(1)


def _fields(finding: Finding) -> dict[str, str]:
    import msgspec

    fields: dict[str, str] = msgspec.to_builtins(finding)
    return fields


def _show(found: Sequence[Finding]) -> None:
    """A line for each finding; beneath it, what to do."""
    from collections import Counter

    from rich.markup import escape
    from rich.table import Table

    table = Table("", "", "", box=None, show_header=False, pad_edge=False)
    for finding in found:
        told = escape(finding.what)
        if finding.remedy:
            told += f"\n[dim]{escape(finding.code)}: {escape(finding.remedy)}[/]"
        table.add_row(_MARKS[finding.severity.value], finding.subject, told)
    out.print(table)
    counts = Counter(finding.severity.value for finding in found)
    failures, warnings = counts["failure"], counts["warning"]
    out.print(
        f"{failures} {'failure' if failures == 1 else 'failures'}, "
        f"{warnings} {'warning' if warnings == 1 else 'warnings'}",
        highlight=False,
    )
