"""Commands about dead letters: what went wrong, what it looks like, and putting it back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consumers.commands import out, settings_in_force

if TYPE_CHECKING:
    from collections.abc import Iterable

    from consumers.dead_letters import Plan, Selection
    from stream.dead_letters import Letter
    from stream.settings import Settings

dead_letters = typer.Typer(
    no_args_is_help=True, help="Records that could not be used: look through them, put them back."
)

Codes = Annotated[
    list[str] | None, typer.Option("--code", help="Only those with this reason; may be given more than once.")
]
Topics = Annotated[
    list[str] | None,
    typer.Option("--topic", help="Only those from this topic, as impressions; may be given more than once."),
]
Since = Annotated[
    str | None, typer.Option(help="Only those that died since: 30m, 12h or 7d ago, or a time as 2026-01-31T18:00.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the newest so many of them.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be put back.")]


@dead_letters.command("list")
def list_(
    code: Codes = None,
    topic: Topics = None,
    since: Since = None,
    limit: Limit = None,
    each: Annotated[bool, typer.Option("--each", help="Every letter in a line of its own.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what went wrong: how many letters of each reason and topic, since when, and one of them.

    A letter's place, `partition:offset`, is what `show` and `replay` know it by.
    """
    from consumers.dead_letters import DeadLetterBox, grouped, rendering

    settings = settings_in_force()
    selection = _selection(settings, code, topic, since, limit)
    box = DeadLetterBox(settings)
    if each:
        replayed = box.replayed()
        letters: list[tuple[int, int, int, str]] = []
        box.letters(
            selection,
            lambda letter: letters.append(
                (
                    *(letter.dead_ms, letter.partition, letter.offset),
                    _line(letter, replayed=(letter.partition, letter.offset) in replayed, as_json=as_json),
                )
            ),
        )
        _print(line for *_, line in sorted(letters))
        return
    groups = grouped(box, selection)
    if as_json:
        _print([_json(rendering.group_fields(groups))])
    elif not groups:
        _print(["no dead letters"])
    else:
        _print("\n\n".join(rendering.describe_group(group) for group in groups).splitlines())


@dead_letters.command("show")
def show(
    place: Annotated[str, typer.Argument(help="Its place: partition:offset, as list shows it.")],
    whole: Annotated[bool, typer.Option("--whole", help="Show all of its value, however long.")] = False,
    save: Annotated[
        Path | None, typer.Option(help="Write its value to this file, byte by byte: to mend it, say.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter: where from, why, what to do, its key and its value.

    Nothing in it is taken for more than text: control characters are shown by their codes.
    """
    from consumers.dead_letters import DeadLetterBox, rendering
    from consumers.dead_letters.box import place_of
    from stream.errors import InputError

    wanted = place_of(place)
    box = DeadLetterBox(settings_in_force())
    letter, replayed = box.letter(wanted), wanted in box.replayed()
    if save is not None:
        try:
            save.write_bytes(letter.value or b"")
        except OSError as error:
            raise InputError(f"{save}: cannot be written: {error.strerror}") from None
    if as_json:
        _print([_json(rendering.letter_fields(letter, replayed=replayed))])
    else:
        _print(rendering.describe(letter, replayed=replayed, whole=whole).splitlines())


@dead_letters.command("replay")
def replay(
    places: Annotated[
        list[str] | None, typer.Argument(help="Their places: partition:offset, as list shows them.")
    ] = None,
    code: Codes = None,
    topic: Topics = None,
    since: Since = None,
    limit: Limit = None,
    file: Annotated[
        Path | None, typer.Option(help="A mended value for one letter, written instead of its own.")
    ] = None,
    rekey: Annotated[bool, typer.Option("--rekey", help="Write each under the key that its value names.")] = False,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Put dead letters back on the topic they came from, with their key and value; each once.

    What was put back is marked, and is not put back again. What would only die again stays where it is: a title
    that the catalogue still does not know, a record that still cannot be read. An event's age is not looked at.
    """
    from consumers.dead_letters.box import place_of
    from stream.errors import InputError

    settings = settings_in_force()
    selection = _selection(settings, code, topic, since, limit, [place_of(place) for place in places or ()])
    mended = None
    if file is not None:
        if len(selection.places) != 1:
            raise typer.BadParameter("a mended value is for one letter: give its place, and no other")
        try:
            mended = file.read_bytes().strip()
        except OSError as error:
            raise InputError(f"{file}: cannot be read: {error.strerror}") from None
    put_back(settings, selection, mended=mended, rekey=rekey, dry_run=dry_run, ask=not yes)


@dead_letters.command("codes")
def codes(as_json: AsJson = False) -> None:
    """Print every reason there can be: its code, what it means, and what to do."""
    from dataclasses import asdict

    from stream.reasons import REASONS

    if as_json:
        _print([_json([asdict(reason) for reason in REASONS.values()])])
        return
    for reason in REASONS.values():
        _print([reason.code, f"    {reason.meaning}", f"    {reason.advice}"])


def put_back(
    settings: Settings,
    selection: Selection,
    *,
    mended: bytes | None = None,
    rekey: bool = False,
    dry_run: bool = False,
    ask: bool = True,
) -> None:
    """Replay a selection, and say what became of it."""
    from consumers.commands.events import progress
    from consumers.dead_letters import Replay

    if ask and not dry_run and not sys.stdin.isatty():
        raise typer.BadParameter("there is nobody to ask: give --yes, or --dry-run to see what would be done")
    with Replay(settings, selection, mended=mended, rekey=rekey, dry_run=dry_run) as run:
        plan = run.plan()
        _print(_told(plan))
        if dry_run or not (plan.put_back or plan.repeated):
            return
        if ask and not typer.confirm("Put them back?", err=True):
            return
        with progress("dead letters", len(plan.put_back)) as watch:
            done = run.run(plan, watch)
    _print([f"{done} dead letters put back"])


def _told(plan: Plan) -> list[str]:
    from consumers.dead_letters.rendering import printable

    lines = [f"{len(plan.put_back)} dead letters to put back"]
    if plan.repeated:
        lines.append(f"{len(plan.repeated)} say the same as another of them: marked as put back, and not written")
    if plan.left:
        why = ", ".join(f"{count} {printable(reason)}" for reason, count in sorted(plan.left.items()))
        lines.append(f"{plan.left.total()} stay where they are ({why})")
    return lines


def _selection(
    settings: Settings,
    code: list[str] | None,
    topic: list[str] | None,
    since: str | None,
    limit: int | None,
    places: Iterable[tuple[int, int]] = (),
) -> Selection:
    from consumers.dead_letters import Selection
    from stream.reasons import REASONS

    if unknown := set(code or ()).difference(REASONS):
        raise typer.BadParameter(f"{min(unknown)!r} is no code: keyart dead-letters codes lists them")
    return Selection(
        places=frozenset(places),
        codes=frozenset(code or ()),
        topics=frozenset(_topic_name(settings, name) for name in topic or ()),
        since_ms=0 if since is None else _since_ms(since),
        limit=limit,
    )


def _topic_name(settings: Settings, name: str) -> str:
    from stream.topics import IMPRESSIONS, PLAYS, REWARDS

    for topic in (IMPRESSIONS, PLAYS, REWARDS):
        if name in {topic.name, topic.full_name(settings.topic_prefix)}:
            return topic.full_name(settings.topic_prefix)
    raise typer.BadParameter(f"{name!r}: dead letters come from impressions, plays and rewards")


def _since_ms(text: str) -> int:
    from consumers.dead_letters.since import since_ms
    from stream.reading.event_time import wall_clock_ms

    try:
        return since_ms(text, wall_clock_ms())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time: give 30m, 12h or 7d, or 2026-01-31T18:00") from None


def _line(letter: Letter, *, replayed: bool, as_json: bool) -> str:
    from consumers.dead_letters import rendering

    if as_json:
        return _json(rendering.letter_fields(letter, replayed=replayed))
    return rendering.describe_line(letter, replayed=replayed)


def _json(fields: object) -> str:
    import json

    return json.dumps(fields)


def _print(lines: Iterable[str]) -> None:
    """Lines as they are, however long."""
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)
