"""A broker to measure on: the one that is given, or Apache Kafka from Maven, or the embedded one."""

from __future__ import annotations

import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from pydantic import SecretStr

from benchmarks.apache import ApacheBroker, NoApacheKafka, version
from benchmarks.speed.workload import settings
from consumers.embedded import EmbeddedBroker
from stream import topics
from stream.kafka import Admin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream.settings import Settings

SECRET = "a secret of the benchmark"  # noqa: S105 - of topics that are gone when it ends


class Broker(NamedTuple):
    """Where, and what it is; and its process, if that is ours."""

    bootstrap: str
    about: str
    pid: int | None = None


class _Quick(ApacheBroker):
    """With the compiler and the memory that a broker at work has."""

    options = ("-Xmx1g", "-XX:+UseSerialGC", "-Xshare:auto")


@contextmanager
def kafka(bootstrap: str | None) -> Iterator[Broker]:
    """The cluster at ``bootstrap``, which must be open to anybody; None: one that lives for so long."""
    if bootstrap:
        yield Broker(bootstrap, f"the cluster at {bootstrap}")
        return
    try:
        apache = _Quick()
        apache.start()
    except NoApacheKafka as reason:
        with EmbeddedBroker() as embedded:
            yield Broker(embedded.bootstrap, f"the embedded broker, as Apache Kafka cannot be had ({reason})")
        return
    try:
        yield Broker(apache.bootstrap, f"Apache Kafka {version()} on this machine", apache.pid)
    finally:
        apache.close()


@contextmanager
def topics_of_our_own(broker: Broker, **changes: Any) -> Iterator[Settings]:
    """Default settings with a prefix of their own, and all topics; they are deleted afterwards."""
    prefix = f"bench-{uuid.uuid4().hex[:8]}."
    ours = settings(
        **{"bootstrap_servers": broker.bootstrap, "topic_prefix": prefix, "token_secrets": (SecretStr(SECRET),)}
        | changes
    )
    with Admin(ours) as admin:
        admin.create()
    try:
        yield ours
    finally:
        with suppress(KafkaError):
            delete(ours, topics.ALL)


def delete(ours: Settings, which: tuple[topics.Topic, ...], groups: tuple[str, ...] = ()) -> None:
    """Delete some topics with all they hold, and what some groups have committed."""
    client = KafkaAdminClient(bootstrap_servers=ours.bootstrap_servers)
    try:
        if groups:
            client.delete_groups([ours.topic_prefix + group for group in groups])
        client.delete_topics([topic.full_name(ours.topic_prefix) for topic in which])
    finally:
        client.close()
