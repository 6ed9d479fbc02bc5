"""Questions that only the doctor asks: what a cluster says of topics and groups, and when records were written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal, Self

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import (
    AuthorizationError,
    GroupAuthorizationFailedError,
    RetriableError,
    TopicAuthorizationFailedError,
)

from stream import topics
from stream.doctor.facts import GroupFacts, PartitionFacts, Refusal, TopicFacts
from stream.errors import BrokerUnavailable, ConfigurationError
from stream.kafka.client import consumer_options, options, plainly, position_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stream.settings import Settings
    from stream.topics import Topic

Place = tuple[str, int]

_LOOK_SECONDS = 0.1


class Inspector:
    """Looks at a cluster as far as it lets us, and changes nothing.

    Attributes
    ----------
    refusals
        What it did not let us see so far.

    Raises
    ------
    BrokerUnavailable
        No broker answers within ``connect_seconds``.
    ConfigurationError
        The cluster refuses who we are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.refusals: list[Refusal] = []
        with plainly(settings, "connecting"):
            self._admin = KafkaAdminClient(**options(settings, "doctor"))
        try:
            with plainly(settings, "connecting"):
                asked = consumer_options(settings, "doctor") | {"isolation_level": "read_uncommitted"}
                self._reader = KafkaConsumer(**asked)
        except BaseException:
            self._admin.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._reader.close()
        self._admin.close()

    def brokers(self) -> int:
        """How many brokers the cluster has."""
        with plainly(self._settings, "describing the cluster"):
            return len(self._admin.describe_cluster()["brokers"])

    # --- topics

    def topics(self, since_ms: int) -> dict[str, TopicFacts]:
        """Keyart's topics that exist, by their short names.

        Parameters
        ----------
        since_ms
            Records that were written from then on are counted as late ones.
        """
        prefix = self._settings.topic_prefix
        short = {topic.full_name(prefix): topic for topic in topics.ALL}
        with plainly(self._settings, "describing topics"):
            rows = self._admin.describe_topics(sorted(short))
        found = {}
        for row in rows:
            topic = short[row["name"]]
            if row["error_code"] == TopicAuthorizationFailedError.errno:
                self._refused(f"topic {row['name']!r}", "we may not describe it")
            elif not row["error_code"] and row["partitions"]:
                found[topic.name] = self._topic(topic, row, since_ms)
        return {topic.name: found[topic.name] for topic in topics.ALL if topic.name in found}

    def _topic(self, topic: Topic, row: Mapping[str, Any], since_ms: int) -> TopicFacts:
        parts = sorted(row["partitions"], key=lambda part: int(part["partition_index"]))
        led = [part["partition_index"] for part in parts if part["leader_id"] >= 0]
        begin = self._offsets(topic, led, OffsetSpec.EARLIEST)
        end = self._offsets(topic, led, OffsetSpec.LATEST)
        stable = self._offsets(topic, led, OffsetSpec.LATEST, isolation="read_committed")
        since = self._offsets(topic, led, since_ms)
        return TopicFacts(
            partitions=tuple(
                PartitionFacts(
                    begin=max(begin.get(number, 0), 0),
                    # Asked for before the stable one: a record that came between is no open transaction.
                    stable=min(stable.get(number, 0), end.get(number, 0)),
                    end=max(end.get(number, 0), 0),
                    has_leader=number in led,
                    replicas=len(part["replica_nodes"]),
                    in_sync=len(part["isr_nodes"]),
                )
                for part in parts
                for number in (part["partition_index"],)
            ),
            config=self._config(topic),
            lately=sum(max(end[number] - since[number], 0) for number in led if since.get(number, -1) >= 0),
            operations=_operations(row.get("authorized_operations")),
        )

    def _offsets(
        self, topic: Topic, partitions: Iterable[int], spec: Any, isolation: str = "read_uncommitted"
    ) -> dict[int, int]:
        name = topic.full_name(self._settings.topic_prefix)
        asked = {TopicPartition(name, number): spec for number in partitions}
        if not asked:
            return {}
        with plainly(self._settings, f"asking where {name} ends"):
            answer = self._admin.list_partition_offsets(asked, isolation_level=isolation)
        return {place.partition: found.offset for place, found in answer.items()}

    def _config(self, topic: Topic) -> dict[str, str]:
        name = topic.full_name(self._settings.topic_prefix)
        try:
            with plainly(self._settings, "reading topic settings"):
                answer = self._admin.describe_configs(
                    [ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all"
                )
        except ConfigurationError as error:
            if not isinstance(error.__cause__, AuthorizationError):
                raise
            self._refused(f"the settings of topic {name!r}", "we may not describe them")
            return {}
        rows: Mapping[str, Any] = next((by_name[name] for by_name in answer.values() if by_name.get(name)), {})
        return {key: str(row["value"]) for key, row in rows.items()}

    # --- groups

    def group(self, worker: str) -> GroupFacts | None:
        """The consumer group of a kind of worker; None if we may not see it."""
        name = self._settings.topic_prefix + worker
        try:
            described, offsets = self._asked_until_ready(name)
        except ConfigurationError as error:
            if not isinstance(error.__cause__, AuthorizationError):
                raise
            self._refused(f"group {name!r}", "we may not describe it")
            return None
        prefix = self._settings.topic_prefix
        return GroupFacts(
            members=None if "members" not in described else len(described["members"]),
            committed={
                (place.topic.removeprefix(prefix), place.partition): found.offset
                for place, found in offsets.items()
                if found.offset >= 0
            },
            operations=_operations(described.get("authorized_operations")),
        )

    def _asked_until_ready(self, name: str) -> tuple[dict[str, Any], dict[TopicPartition, Any]]:
        """What the cluster says of a group, and what it has read; a new cluster is given time to say so."""
        deadline = time.monotonic() + self._settings.connect_seconds
        while True:
            try:
                with plainly(self._settings, "describing a group"):
                    return self._described(name), self._admin.list_group_offsets([name]).get(name, {})
            except BrokerUnavailable as error:
                if not isinstance(error.__cause__, RetriableError) or time.monotonic() > deadline:
                    raise
            time.sleep(_LOOK_SECONDS)

    def _described(self, name: str) -> dict[str, Any]:
        """What the cluster says of a group; empty where it says what the client does not understand."""
        try:
            found: dict[str, Any] = self._admin.describe_groups([name]).get(name, {})
        except ValueError:  # the embedded broker's operations are none that Kafka knows
            return {}
        error = found.get("error")
        if error and GroupAuthorizationFailedError.__name__ in error:
            raise GroupAuthorizationFailedError(error)
        return {"members": []} if error else found  # a group that never was

    # --- records

    def written(
        self, ranges: Mapping[Place, tuple[int, int]], which: Literal["first", "last"]
    ) -> dict[Place, int]:
        """When the first or the last record of each stretch was written, open and aborted transactions' included.

        Parameters
        ----------
        ranges
            By topic (short name) and partition, a half-open range of offsets; one without records is left out of
            the answer.
        which
            Of each stretch. All of it is read for the last one.
        """
        prefix = self._settings.topic_prefix
        ends = {
            TopicPartition(prefix + topic, number): end
            for (topic, number), (begin, end) in ranges.items()
            if begin < end
        }
        found: dict[TopicPartition, int] = {}
        self._reader.assign(list(ends))
        self._reader.resume(*ends)  # those that an earlier look has paused
        for place in ends:
            self._reader.seek(place, ranges[place.topic.removeprefix(prefix), place.partition][0])
        waiting = set(ends)
        deadline = time.monotonic() + self._settings.connect_seconds
        while waiting:
            with plainly(self._settings, "looking at records"):
                batch = self._reader.poll(timeout_ms=50)
            for place, records in batch.items():
                within = [record.timestamp for record in records if record.offset < ends[place]]
                if within and (which == "last" or place not in found):
                    found[place] = within[0 if which == "first" else -1]
            for place in list(waiting):
                done = which == "first" and place in found
                if done or position_of(self._reader, place, self._settings) >= ends[place]:
                    waiting.discard(place)
                    self._reader.pause(place)
            if waiting and time.monotonic() > deadline:
                raise BrokerUnavailable(
                    f"looking at records: {min(waiting).topic} does not come within "
                    f"{self._settings.connect_seconds:g} s; is a broker away?"
                )
        return {(place.topic.removeprefix(prefix), place.partition): at for place, at in found.items()}

    def _refused(self, what: str, why: str) -> None:
        self.refusals.append(Refusal(what, why))


def _operations(given: Iterable[Any] | None) -> frozenset[str] | None:
    """What we may do, by the names that ``kafka-acls`` has for it.

    >>> sorted(_operations(["DESCRIBE_CONFIGS", "READ"]))
    ['DescribeConfigs', 'Read']
    """
    return None if given is None else frozenset(_spelt(given))


def _spelt(given: Iterable[Any]) -> Iterator[str]:
    for one in given:
        name = str(getattr(one, "name", one))
        yield "".join(part.capitalize() for part in name.split("_"))
