"""Topics as the graph wants them, and where partitions begin and end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import InvalidReplicationFactorError, TopicAlreadyExistsError

from stream import topics
from stream.errors import BrokerUnavailable, TopicError
from stream.kafka.client import options, plainly
from stream.kafka.login import who

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stream.settings import Settings
    from stream.topics import Topic

_LOOK_SECONDS = 0.05


class Admin:
    """Questions to the cluster, and the creation of topics.

    Raises
    ------
    BrokerUnavailable
        No broker answers within ``connect_seconds``, or not every broker knows of a change by then.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with plainly(settings, "connecting"):
            self._client = KafkaAdminClient(**options(settings, "admin"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def partition_counts(self) -> dict[str, int]:
        """Partitions of each of Keyart's topics that exists, by the topic's short name."""
        prefix = self._settings.topic_prefix
        with plainly(self._settings, "looking up topics"):
            there = set(self._client.list_topics())
            wanted = {topic.full_name(prefix): topic.name for topic in topics.ALL}
            if not there & set(wanted):
                return {}
            described = self._client.describe_topics(sorted(there & set(wanted)))
        return {wanted[row["name"]]: len(row["partitions"]) for row in described if not row["error_code"]}

    def create(self, wanted: Iterable[Topic] = topics.ALL) -> list[Topic]:
        """Create the topics that are missing, and wait until the cluster shows them; returns those.

        Raises
        ------
        TopicError
            There are too few brokers for so many copies.
        """
        settings = self._settings
        existing = self.partition_counts()
        missing = [topic for topic in wanted if topic.name not in existing]
        if not missing:
            return []
        spec = {
            topic.full_name(settings.topic_prefix): {
                "num_partitions": settings.partitions,
                "replication_factor": settings.replication_factor,
                "configs": topic.config(),
            }
            for topic in missing
        }
        with plainly(settings, "creating topics"):
            try:
                self._client.create_topics(spec)
            except TopicAlreadyExistsError:
                return self.create(missing)  # somebody else was quicker with some of them
            except InvalidReplicationFactorError:
                copies = settings.replication_factor
                many = f"{copies} copies" if copies > 0 else "as many copies as default.replication.factor says"
                raise TopicError(
                    f"the cluster at {settings.bootstrap_servers} has too few brokers for topics with {many}: add "
                    "brokers, or set replication_factor"
                ) from None
        self._await_topics(missing)
        return missing

    def _await_topics(self, created: list[Topic]) -> None:
        """Wait until brokers know topics that were created: the answer to a creation comes before that."""
        deadline = time.monotonic() + self._settings.connect_seconds
        while unknown := [topic for topic in created if topic.name not in self.partition_counts()]:
            if time.monotonic() > deadline:
                raise BrokerUnavailable(
                    f"topic {unknown[0].full_name(self._settings.topic_prefix)!r} was created on "
                    f"{self._settings.bootstrap_servers}, but no broker knows it yet; try again"
                )
            time.sleep(_LOOK_SECONDS)

    def verify(self, wanted: Iterable[Topic] = topics.ALL) -> dict[str, int]:
        """Check that topics exist and have the settings that Keyart's promises rest on.

        Returns
        -------
        The partition counts, by short name.

        Raises
        ------
        TopicError
            A topic is missing, partitioned unlike another of the same key, or would lose records.
        """
        wanted = tuple(wanted)
        counts = self.partition_counts()
        prefix = self._settings.topic_prefix
        for topic in wanted:
            if topic.name not in counts:
                where = self._settings.bootstrap_servers
                if self._settings.uses_sasl:
                    where += f", or {who(self._settings)} may not see it"
                raise TopicError(f"topic {topic.full_name(prefix)!r} does not exist on {where}: run keyart topics")
        by_key: dict[topics.Key, Topic] = {}
        for topic in wanted:
            if topic.key not in (topics.Key.TITLE, topics.Key.MEMBER):
                continue
            first = by_key.setdefault(topic.key, topic)
            if counts[first.name] != counts[topic.name]:
                raise TopicError(
                    f"topics {first.full_name(prefix)!r} and {topic.full_name(prefix)!r} share a key but have "
                    f"{counts[first.name]} and {counts[topic.name]} partitions; they must have the same number"
                )
        for topic in wanted:
            found = self._topic_config(topic).get("cleanup.policy")
            if found is not None and topic.kind.cleanup_policy not in found.split(","):
                raise TopicError(
                    f"topic {topic.full_name(prefix)!r} has cleanup.policy={found}, it needs "
                    f"{topic.kind.cleanup_policy}: run keyart topics --repair"
                )
            if found is not None and topic.kind is topics.Kind.TABLE and "delete" in found.split(","):
                raise TopicError(
                    f"topic {topic.full_name(prefix)!r} deletes old records (cleanup.policy={found}), "
                    "a table must only compact: run keyart topics --repair"
                )
        return {topic.name: counts[topic.name] for topic in wanted}

    def repair(self, wanted: Iterable[Topic] = topics.ALL) -> None:
        """Give existing topics the settings of the graph, and wait until the cluster shows them.

        Partition counts cannot be mended this way.
        """
        wanted = tuple(wanted)
        prefix = self._settings.topic_prefix
        with plainly(self._settings, "altering topics"):
            self._client.alter_configs(
                [
                    ConfigResource(ConfigResourceType.TOPIC, topic.full_name(prefix), configs=topic.config())
                    for topic in wanted
                ]
            )

        def shown() -> bool:
            found = (self._topic_config(topic).get("cleanup.policy") for topic in wanted)
            return all(
                policy in (None, topic.kind.cleanup_policy) for policy, topic in zip(found, wanted, strict=True)
            )

        self._wait_until(shown, "altering topics")

    def _wait_until(self, shown: Callable[[], bool], doing: str) -> None:
        """A cluster agrees to a change before each of its brokers knows of it."""
        deadline = time.monotonic() + self._settings.connect_seconds
        while not shown():
            if time.monotonic() > deadline:
                raise BrokerUnavailable(
                    f"{doing}: the cluster at {self._settings.bootstrap_servers} agreed, but does not show the "
                    f"change within {self._settings.connect_seconds:g} s"
                )
            time.sleep(0.05)

    def _topic_config(self, topic: Topic) -> dict[str, str]:
        """The settings that differ from the broker's defaults; empty where a broker does not tell."""
        name = topic.full_name(self._settings.topic_prefix)
        with plainly(self._settings, "reading topic settings"):
            answer: dict[Any, Any] = self._client.describe_configs(
                [ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all"
            )
        for by_name in answer.values():
            found = by_name.get(name)
            if found:
                return {key: str(row["value"]) for key, row in found.items()}
        return {}

    def end_offsets(self, topic: Topic, partitions: Iterable[int]) -> dict[int, int]:
        """Where each partition ends, open transactions included.

        A committed reader's own end is the last *stable* offset: a restore that stopped there would miss what
        a transaction still in flight goes on to commit.
        """
        return self._offsets(topic, partitions, OffsetSpec.LATEST)

    def begin_offsets(self, topic: Topic, partitions: Iterable[int]) -> dict[int, int]:
        """The first offset that retention has left of each partition."""
        return self._offsets(topic, partitions, OffsetSpec.EARLIEST)

    def _offsets(self, topic: Topic, partitions: Iterable[int], spec: Any) -> dict[int, int]:
        name = topic.full_name(self._settings.topic_prefix)
        asked = {TopicPartition(name, partition): spec for partition in partitions}
        if not asked:
            return {}
        with plainly(self._settings, f"asking where {name} ends"):
            answer = self._client.list_partition_offsets(asked)
        return {tp.partition: max(found.offset, 0) for tp, found in answer.items()}
