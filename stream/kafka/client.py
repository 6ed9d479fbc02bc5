"""What every client shares: options, the shape of a record read or written, and errors said in plain words."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from kafka.errors import (
    AuthorizationError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    RetriableError,
    SaslAuthenticationFailedError,
)

from stream.errors import BrokerUnavailable, ConfigurationError
from stream.kafka.login import Refused, keep_quiet, login_options, who
from stream.topics import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kafka import KafkaConsumer, KafkaProducer, TopicPartition

    from stream.settings import Settings
    from stream.topics import Topic


_FORCED_SECONDS = 1.0


class Message(Protocol):
    """A record as read: undecoded, with where it came from."""

    @property
    def topic(self) -> str:
        """Full name of the topic it was read from."""
        ...

    @property
    def partition(self) -> int:
        """Its partition."""
        ...

    @property
    def offset(self) -> int:
        """Its place in the partition."""
        ...

    @property
    def timestamp(self) -> int:
        """When it was written, milliseconds UTC."""
        ...

    @property
    def key(self) -> bytes | None:
        """The key as written."""
        ...

    @property
    def value(self) -> bytes | None:
        """The value as written; None for a tombstone."""
        ...


@dataclass(frozen=True, slots=True)
class Output:
    """A record to write. ``partition`` None leaves the choice to the key (murmur2, Kafka's default)."""

    topic: Topic
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = field(default=())


def options(settings: Settings, role: str) -> dict[str, Any]:
    """Options of every client, whatever its kind.

    Requests are given less time than a transaction, so that a lost broker ends an attempt while the transaction
    it belongs to is still alive.
    """
    keep_quiet()
    return login_options(settings) | {
        "bootstrap_servers": settings.bootstrap_servers.split(","),
        "client_id": f"{settings.topic_prefix}{role}-{settings.worker_name}",
        "bootstrap_timeout_ms": round(settings.connect_seconds * 1000),
        "request_timeout_ms": round(settings.transaction_seconds * 500),
        "reconnect_backoff_max_ms": 1000,
        "retry_backoff_ms": 20,  # retried transaction requests sleep for so long
    }


def consumer_options(settings: Settings, role: str) -> dict[str, Any]:
    """Options of every consumer: committed records only, offsets never moved behind our back."""
    return options(settings, role) | {
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "allow_auto_create_topics": False,
        "fetch_max_wait_ms": 50,
        "max_partition_fetch_bytes": 4 * 1024 * 1024,
        "max_poll_records": settings.max_poll_records,
        "metrics_enabled": False,
    }


def producer_options(settings: Settings, role: str) -> dict[str, Any]:
    """Options of every producer: idempotent, acknowledged by all, compressed, bounded in time."""
    return options(settings, role) | {
        "acks": "all",
        "enable_idempotence": True,
        "allow_auto_create_topics": False,
        "compression_type": "lz4",
        "linger_ms": 5,
        "batch_size": 256 * 1024,
        "max_request_size": MAX_MESSAGE_BYTES,
        "delivery_timeout_ms": round(settings.transaction_seconds * 800),
        "max_block_ms": round(settings.connect_seconds * 1000),
        "metrics_enabled": False,
    }


def not_allowed(settings: Settings, doing: str, error: AuthorizationError) -> ConfigurationError:
    """What to say when a cluster knows us but does not let us."""
    return ConfigurationError(
        f"{doing}: the cluster at {settings.bootstrap_servers} does not allow it to {who(settings)} ({error}); "
        "keyart topics --acls lists what each process needs"
    )


@contextmanager
def plainly(settings: Settings, doing: str) -> Iterator[None]:
    """Turn the client's errors into one sentence that says what was tried, where, and what to do.

    Raises
    ------
    BrokerUnavailable
        No broker answered, or none in time.
    ConfigurationError
        The cluster refuses who we are or what we ask.
    """
    where = settings.bootstrap_servers
    try:
        yield
    except (Refused, SaslAuthenticationFailedError) as error:
        raise ConfigurationError(
            f"{doing}: the cluster at {where} and {who(settings)} do not agree: {error}"
        ) from error
    except AuthorizationError as error:
        raise not_allowed(settings, doing, error) from error
    except (KafkaConnectionError, KafkaTimeoutError) as error:
        raise BrokerUnavailable(
            f"{doing}: no Kafka broker answers at {where}; is it running, and are KEYART_BOOTSTRAP_SERVERS and "
            f"KEYART_SECURITY_PROTOCOL right? ({error})"
        ) from error
    except RetriableError as error:
        raise BrokerUnavailable(f"{doing}: the cluster at {where} is not ready: {error}") from error
    except KafkaError as error:
        raise BrokerUnavailable(f"{doing}: the cluster at {where} answers with an error: {error}") from error


def position_of(consumer: KafkaConsumer, place: TopicPartition, settings: Settings) -> int:
    """The next offset that a consumer will read of a partition that it was given and sought in.

    Raises
    ------
    BrokerUnavailable
        It is not known, or the broker that must confirm it does not answer.
    """
    with plainly(settings, "asking for a position"):
        found = consumer.position(place, timeout_ms=round(settings.transaction_seconds * 1000))
    if found is None:
        raise BrokerUnavailable(f"the position in {place.topic} partition {place.partition} is not known")
    return int(found)


def hang_up(producer: KafkaProducer, seconds: float) -> None:
    """Deliver what can be delivered in that time, give up the rest, and close a producer.

    Its own ``close`` raises if a record is not delivered in time, and then it is not closed: its thread goes on.
    """
    with suppress(KafkaError):
        producer.close(timeout=seconds)
    sender = producer._sender  # noqa: SLF001 - nothing public ends a producer that holds undelivered records
    if sender.is_alive():
        sender.force_close()  # fails what it holds, on its own thread
        sender.join(_FORCED_SECONDS)
        with suppress(KafkaError):
            producer.close(timeout=0)
