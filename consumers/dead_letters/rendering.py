"""Dead letters in words, safe to look at: nothing in them reaches the terminal but what can be printed.

A record's bytes are a stranger's. Control characters, escape sequences, and characters that turn the direction of
writing or cannot be seen are shown by their codes; bytes that are not text are shown in hexadecimal.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stream.reasons import REASONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.dead_letters.survey import Group
    from stream.dead_letters import Letter

_HEX_BYTES = 512
_TEXT_CHARACTERS = 2000


def printable(text: str) -> str:
    r"""Text in which every character can be seen.

    >>> print(printable("a\x1b[31mb\u202ec\n"))
    a\x1b[31mb\u202ec\n
    """
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def shown(value: bytes | None, *, whole: bool = False) -> str:
    r"""Bytes for a person: text where they are text, hexadecimal otherwise.

    Parameters
    ----------
    value
        The bytes; None where there are none.
    whole
        Show all of it, however much it is.

    Examples
    --------
    >>> shown(b"ann"), shown(b"\xff\x1b"), shown(None), shown(b"")
    ('ann', 'hex ff 1b', 'none', 'empty')
    """
    if not value:
        return "none" if value is None else "empty"
    try:
        text = value.decode()
    except UnicodeDecodeError:
        part = value if whole else value[:_HEX_BYTES]
        return f"hex {part.hex(' ')}{_rest(len(value) - len(part), 'bytes')}"
    part_of_text = text if whole else text[:_TEXT_CHARACTERS]
    return printable(part_of_text) + _rest(len(text) - len(part_of_text), "characters")


def _rest(count: int, of: str) -> str:
    return f" … and {count} {of} more (--whole shows them)" if count else ""


def when(ms: int) -> str:
    """A time in ISO 8601, UTC.

    >>> when(1_750_000_000_000), when(-1)
    ('2025-06-15T15:06:40Z', 'unknown')
    """
    try:
        return "unknown" if ms < 0 else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError):
        return "unknown"


def describe_group(group: Group) -> str:
    """A group as lines."""
    put_back = f", {group.replayed} of them put back" if group.replayed else ""
    lines = [
        f"{printable(group.code)}  {group.count} from {printable(group.topic)}{put_back}",
        f"    {when(group.first_ms)} to {when(group.last_ms)}",
        f"    for example {group.example}: {printable(group.reason)}",
    ]
    return "\n".join([*lines, *(f"    {sentence}" for sentence in _sentences(group.code))])


def describe_line(letter: Letter, *, replayed: bool) -> str:
    """A letter in one line."""
    mark = "  put back" if replayed else ""
    return (
        f"{letter.place}  {when(letter.dead_ms)}  {printable(letter.code)}  {printable(letter.topic)}  "
        f"{printable(letter.reason)}{mark}"
    )


def describe(letter: Letter, *, replayed: bool, whole: bool) -> str:
    """A letter as lines."""
    source = f"{letter.topic}, partition {letter.source_partition}, offset {letter.source_offset}"
    fields = {
        "dead letter": letter.place,
        "from": f"{printable(source)}, written {when(letter.written_ms)}",
        "refused": f"{when(letter.dead_ms)} by {printable(letter.worker)}",
        "put back": "yes" if replayed else "no",
        "code": printable(letter.code),
        "reason": printable(letter.reason),
    }
    if letter.replay_of:
        fields["once before"] = f"{printable(letter.replay_of)}, which was put back"
    meaning = _sentences(letter.code)
    if meaning:
        fields["means"], fields["to do"] = meaning
    fields["key"] = shown(letter.key, whole=whole)
    if letter.key_length is not None:
        fields["whole key"] = f"{letter.key_length} bytes, SHA-256 {printable(letter.key_sha256)}"
    fields["value"] = shown(letter.value, whole=whole)
    if letter.length is not None:
        fields["whole value"] = f"{letter.length} bytes, SHA-256 {printable(letter.sha256)}"
    width = max(map(len, fields))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in fields.items())


def _sentences(code: str) -> tuple[str, str] | tuple[()]:
    known = REASONS.get(code)
    return () if known is None else (known.meaning, known.advice)


# --- for machines


def group_fields(groups: Sequence[Group]) -> dict[str, Any]:
    """Groups as JSON fields."""
    return {
        "count": sum(group.count for group in groups),
        "replayed": sum(group.replayed for group in groups),
        "groups": [
            {
                "code": group.code,
                "topic": group.topic,
                "count": group.count,
                "replayed": group.replayed,
                "first_ms": group.first_ms,
                "last_ms": group.last_ms,
                "example": group.example,
                "reason": group.reason,
            }
            | _known(group.code)
            for group in groups
        ],
    }


def letter_fields(letter: Letter, *, replayed: bool) -> dict[str, Any]:
    """A letter as JSON fields: bytes in base64, and as text too where they are text."""
    return {
        "place": letter.place,
        "topic": letter.topic,
        "partition": letter.source_partition,
        "offset": letter.source_offset,
        "written_ms": letter.written_ms,
        "dead_ms": letter.dead_ms,
        "code": letter.code,
        "reason": letter.reason,
        "worker": letter.worker,
        "replayed": replayed,
        "replay_of": letter.replay_of or None,
        "key": _text(letter.key),
        "key_base64": _base64(letter.key),
        "value": _text(letter.value),
        "value_base64": _base64(letter.value),
        "length": letter.length,
        "sha256": letter.sha256 or None,
        "key_length": letter.key_length,
        "key_sha256": letter.key_sha256 or None,
    } | _known(letter.code)


def _known(code: str) -> dict[str, str | None]:
    sentences = _sentences(code) or (None, None)
    return {"meaning": sentences[0], "advice": sentences[1]}


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
