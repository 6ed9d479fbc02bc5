"""The contract as files: a JSON Schema for each topic that others read or write, and one AsyncAPI description."""

from __future__ import annotations

import inspect
import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

from stream import topics
from stream.topics import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stream.topics import Topic

Schema = dict[str, Any]

#: Topics whose records are a contract: the others are private to workers.
PUBLIC: tuple[Topic, ...] = tuple(topic for topic in topics.ALL if topic.record is not None)
#: Those that write and are not Keyart's workers: Keyart receives what they write.
OTHERS = frozenset({"app", "studio", "serving"})
ASYNCAPI_FILE = "asyncapi.yaml"


def schema_file(topic: Topic) -> str:
    """The file with a topic's schema.

    >>> schema_file(topics.TASTES)
    'tastes.schema.json'
    """
    return f"{topic.name}.schema.json"


def schema_of(topic: Topic) -> Schema:
    """The JSON Schema (draft 2020-12) of a topic's values.

    Beside what the type says it names the topic's key and kind. What a schema cannot say is in the description:
    limits of a whole record, and fields that must agree.
    """
    if topic.record is None:
        raise ValueError(f"the records of {topic.name} are private to workers")
    made = _tidied(msgspec.json.schema(topic.record))
    parts = made["$defs"]
    head = parts.pop(made["$ref"].rpartition("/")[2])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:keyart:{topic.name}",
        "x-kafka-key": topic.key.value,
        "x-kafka-cleanup-policy": topic.kind.cleanup_policy,
        "x-written-by": list(topic.written_by),
        **head,
        **({"$defs": parts} if parts else {}),
    }


def _tidied(node: Any) -> Any:
    """Descriptions without their indentation, and patterns as ECMA 262 writes them."""
    if isinstance(node, list):
        return [_tidied(one) for one in node]
    if not isinstance(node, dict):
        return node
    tidy = {key: _tidied(value) for key, value in node.items()}
    if isinstance(tidy.get("description"), str):
        tidy["description"] = _plain(tidy["description"])
    if isinstance(tidy.get("pattern"), str):
        # Of ours none allows a newline, so that $ and \Z end at the same place.
        tidy["pattern"] = tidy["pattern"].replace(r"\Z", "$")
    return tidy


def _plain(docstring: str) -> str:
    """A docstring without its indentation and what Sphinx alone understands.

    >>> _plain("See :mod:`stream.choosing.choice` for ``hold``.")
    'See `stream.choosing.choice` for `hold`.'
    """
    return re.sub(r":[a-z]+:`~?", "`", inspect.cleandoc(docstring).replace("``", "`"))


def documents(version: str, prefix: str = "keyart.") -> dict[str, str]:
    """Every file of the contract: its name, and its text.

    Parameters
    ----------
    version
        Keyart's.
    prefix
        The topics' prefix in the AsyncAPI file.
    """
    found = {
        schema_file(topic): json.dumps(schema_of(topic), indent=2, ensure_ascii=False) + "\n" for topic in PUBLIC
    }
    found[ASYNCAPI_FILE] = "".join(f"{line}\n" for line in _yaml(asyncapi(version, prefix)))
    return found


def asyncapi(version: str, prefix: str) -> Schema:
    """The AsyncAPI 3.0 description: what Keyart receives, and what it sends."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Keyart",
            "version": version,
            "description": "Learns in real time, from Kafka, which artwork of a title to show to which member. "
            "Values "
            "are UTF-8 JSON of at most 64 KiB (what Keyart writes may be larger), keys are UTF-8 text, times are "
            "milliseconds UTC. Unknown fields are ignored, so that records can grow.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic, prefix) for topic in PUBLIC},
        "operations": {_operation_name(topic): _operation(topic) for topic in PUBLIC},
        "components": {"messages": {_message_name(topic): _message(topic) for topic in PUBLIC}},
    }


def _channel(topic: Topic, prefix: str) -> Schema:
    config: Schema = {"cleanup.policy": [topic.kind.cleanup_policy]}
    if topic.retention_ms is not None:
        config["retention.ms"] = topic.retention_ms
    kept = "keeps the last record of each key" if topic.kind is Kind.TABLE else "keeps records for days"
    return {
        "address": topic.full_name(prefix),
        "description": f"Keyed by {topic.key.value}; {kept}. Written by {', '.join(topic.written_by)}, read by "
        f"{', '.join(topic.read_by)}.",
        "messages": {_message_name(topic): {"$ref": f"#/components/messages/{_message_name(topic)}"}},
        "bindings": {"kafka": {"topicConfiguration": config, "bindingVersion": "0.5.0"}},
    }


def _receives(topic: Topic) -> bool:
    return bool(OTHERS & set(topic.written_by))


def _operation_name(topic: Topic) -> str:
    return f"{'receive' if _receives(topic) else 'send'}{topic.name.capitalize()}"


def _operation(topic: Topic) -> Schema:
    return {
        "action": "receive" if _receives(topic) else "send",
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "messages": [{"$ref": f"#/channels/{topic.name}/messages/{_message_name(topic)}"}],
    }


def _message_name(topic: Topic) -> str:
    return topic.record.__name__ if topic.record is not None else topic.name


def _message(topic: Topic) -> Schema:
    said = _plain(topic.record.__doc__ or "").split("\n\n")[0]
    return {
        "name": _message_name(topic),
        "summary": said.replace("\n", " "),
        "contentType": "application/json",
        "bindings": {
            "kafka": {"key": {"type": "string", "description": topic.key.value}, "bindingVersion": "0.5.0"}
        },
        "payload": {"$ref": f"./{schema_file(topic)}"},
    }


def _yaml(node: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """A mapping as YAML; texts are quoted as in JSON, which YAML understands."""
    indent = "  " * depth
    for key, value in node.items():
        if isinstance(value, dict):
            yield f"{indent}{_key(key)}:"
            yield from _yaml(value, depth + 1)
        elif isinstance(value, list):
            yield f"{indent}{_key(key)}:"
            for one in value:
                yield f"{indent}  - {json.dumps(one, ensure_ascii=False)}"
        else:
            yield f"{indent}{_key(key)}: {json.dumps(value, ensure_ascii=False)}"


def _key(name: str) -> str:
    return name if name.replace(".", "").replace("-", "").isalnum() else json.dumps(name)
