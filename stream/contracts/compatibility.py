"""What of a change to a topic's schema breaks those who go on as before.

Apps, workers and nodes are never all replaced at one moment, and topics keep what older versions wrote. So what
was a good record stays one, on every topic: no field goes or becomes required, no type narrows, no limit tightens.
What Keyart writes is moreover read by others, in any language: there a type may not widen either, nor may a field
be missing that always was there. A new optional field is no break: readers ignore what they do not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stream.contracts.documents import OTHERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Schema = Mapping[str, Any]

#: Limits from below and from above: the former may not rise, the latter may not fall.
_LOWER = ("minLength", "minItems", "minProperties")
_UPPER = ("maxLength", "maxItems", "maxProperties")


def breaks(old: Mapping[str, Schema], new: Mapping[str, Schema]) -> list[str]:
    """What breaks readers or writers, each as one sentence that names topic and field; empty if nothing does.

    Parameters
    ----------
    old, new
        The schemas of the last release and the present ones, by topic: see
        :func:`stream.contracts.documents.schema_of`.

    Examples
    --------
    >>> old = {"x-kafka-key": "title_id", "properties": {"credit": {"type": "number", "maximum": 1}}}
    >>> breaks({"rewards": old}, {"rewards": {"x-kafka-key": "title_id", "properties": {}}})
    ['rewards.credit: the field is removed']
    """
    found: list[str] = []
    for topic, before in old.items():
        after = new.get(topic)
        if after is None:
            found.append(f"{topic}: the topic is removed")
            continue
        for name, what in (("x-kafka-key", "key"), ("x-kafka-cleanup-policy", "cleanup policy")):
            if before.get(name) != after.get(name):
                found.append(f"{topic}: its {what} was {before.get(name)}, and is {after.get(name)}")
        found += _Comparison(before, after).run(topic)
    return found


class _Comparison:
    """Two schemas of one topic."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        #: Whether others read what Keyart's workers write here.
        self._is_ours = not OTHERS & set(new.get("x-written-by", ()))

    def run(self, topic: str) -> list[str]:
        return list(self._compare(self._old, self._new, topic))

    def _compare(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        olds, news = _kinds(old, self._old), _kinds(new, self._new)
        for kind in olds:
            if _accepted_by(kind, news) is None:
                yield f"{path}: the type is narrowed, it was {_named(olds)} and is {_named(news)}"
        if self._is_ours:
            for kind in news:
                if _accepted_by(kind, olds) is None:
                    yield f"{path}: the type is widened, it was {_named(olds)} and is {_named(news)}"
        for kind, before in olds.items():
            accepting = _accepted_by(kind, news)
            if accepting is not None:
                yield from self._compare_kind(before, news[accepting], path)

    def _compare_kind(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        """Two schemas of one type."""
        yield from _values(old, new, path, both_ways=self._is_ours)
        yield from _limits(old, new, path)
        for inner, name in (("items", "[]"), ("additionalProperties", "{}"), ("propertyNames", "{name}")):
            before, after = old.get(inner), new.get(inner)
            if isinstance(after, dict):
                yield from self._compare(before if isinstance(before, dict) else {}, after, f"{path}{name}")
            elif after is False and before is not False:
                yield f"{path}{name}: nothing more is allowed"
        for i, (before, after) in enumerate(
            zip(old.get("prefixItems", ()), new.get("prefixItems", ()), strict=False)
        ):
            yield from self._compare(before, after, f"{path}[{i}]")
        yield from self._fields(old, new, path)

    def _fields(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        befores, afters = old.get("properties", {}), new.get("properties", {})
        needed, needs = set(old.get("required", ())), set(new.get("required", ()))
        for name, before in befores.items():
            if name not in afters:
                yield f"{path}.{name}: the field is removed"
                continue
            yield from self._compare(before, afters[name], f"{path}.{name}")
            if name in needs - needed:
                yield f"{path}.{name}: the field was optional, and is required"
            elif name in needed - needs and self._is_ours:
                yield f"{path}.{name}: the field was always there, and may be missing"
        for name in afters:
            if name not in befores and name in needs:
                yield f"{path}.{name}: the field is new, and required"


def _kinds(schema: Schema, whole: Schema) -> dict[str, Schema]:
    """The types a schema allows, each with what it says of them; ``any`` where it allows all."""
    if "$ref" in schema:
        return _kinds(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    if "anyOf" in schema:
        return {kind: one for part in schema["anyOf"] for kind, one in _kinds(part, whole).items()}
    if "enum" in schema and "type" not in schema:
        return {"string": schema}
    given = schema.get("type", "object" if "properties" in schema else "any")
    return dict.fromkeys([given] if isinstance(given, str) else given, schema)


def _accepted_by(kind: str, kinds: Mapping[str, Schema]) -> str | None:
    """The type among some that takes values of another."""
    takers = (kind, "any", *(("number",) if kind == "integer" else ()))
    return next((one for one in takers if one in kinds), None)


def _named(kinds: Mapping[str, Schema]) -> str:
    return " or ".join(kinds)


def _values(old: Schema, new: Schema, path: str, *, both_ways: bool) -> Iterator[str]:
    """Where only some values are allowed."""
    before, after = old.get("enum"), new.get("enum")
    if after is not None:
        gone = [] if before is None else [value for value in before if value not in after]
        if before is None:
            yield f"{path}: only {', '.join(map(repr, after))} are allowed now"
        elif gone:
            yield f"{path}: {', '.join(map(repr, gone))} is no longer allowed"
    if both_ways and before is not None:
        added = [value for value in after or () if value not in before]
        if added or after is None:
            yield f"{path}: {', '.join(map(repr, added)) or 'any value'} is new, and readers do not know it"


def _limits(old: Schema, new: Schema, path: str) -> Iterator[str]:
    """Limits that are tighter than they were."""
    for name in _LOWER:
        if new.get(name, 0) > old.get(name, 0):
            yield f"{path}: the limit is tightened, {name} was {old.get(name)} and is {new[name]}"
    for name in _UPPER:
        if name in new and new[name] < old.get(name, float("inf")):
            yield f"{path}: the limit is tightened, {name} was {old.get(name)} and is {new[name]}"
    if _least(new) > _least(old) or _most(new) < _most(old):
        yield f"{path}: the limit is tightened, it was {_range(old)} and is {_range(new)}"
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield f"{path}: the limit is tightened, the pattern was {old.get('pattern')} and is {new['pattern']}"


def _least(schema: Schema) -> tuple[float, bool]:
    """The least value, and whether it is itself too small."""
    if "exclusiveMinimum" in schema:
        return float(schema["exclusiveMinimum"]), True
    return float(schema.get("minimum", "-inf")), False


def _most(schema: Schema) -> tuple[float, bool]:
    """The largest value, and whether it is allowed itself."""
    if "exclusiveMaximum" in schema:
        return float(schema["exclusiveMaximum"]), False
    return float(schema.get("maximum", "inf")), True


def _range(schema: Schema) -> str:
    least, most = _least(schema), _most(schema)
    return f"{'(' if least[1] else '['}{least[0]:g}, {most[0]:g}{']' if most[1] else ')'}"
