"""Reading fetched records at several times the client's own speed.

kafka-python spends 6 to 8 µs of a core on each record that it unpacks, more than a learner spends on learning it.
Here one loop goes over a batch's bytes, and a record is a small struct. The client still fetches, checks, goes
from batch to batch, decompresses, and leaves out what was aborted; only the records of a batch are read here::

    Length Attributes TimestampDelta OffsetDelta KeyLength Key ValueLength Value HeaderCount [Header …]

All but the two byte strings are varints: seven bits a byte, lowest first, zigzag.

It hangs on one private name of the client, and only of consumers made by :func:`new_consumer`. Before the first
of them a sample is read in both ways; should they differ, or the client be another than that which this was
written for, the client's own way is taken. So it is for batches of an older format than 2.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import kafka
import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.util import decode_varint
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Releases of the client whose records are read here.
_CLIENTS = "3.0."
_LOG_APPEND_TIME = 1
_MAGIC = 2

log = structlog.get_logger("keyart")


class Record(Struct, frozen=True, gc=False):
    """What was read; a :class:`stream.kafka.client.Message`. It holds no cycle, so nobody need look for one."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


def new_consumer(**options: Any) -> KafkaConsumer:
    """A client as kafka-python makes it, which reads records faster if that can be done."""
    consumer = KafkaConsumer(**options)
    if fits():
        consumer._fetcher.PartitionRecords = FastRecords  # noqa: SLF001 - there is no public way
    return consumer


@lru_cache(maxsize=1)
def fits() -> bool:
    """Whether this client can be helped; asked once a process."""
    try:
        fit = kafka.__version__.startswith(_CLIENTS) and _reads_alike()
    except Exception as error:  # noqa: BLE001 - whatever a strange client does, there is its own way
        log.debug("reading records in our own way failed", reason=repr(error))
        fit = False
    if not fit:
        log.warning("records are read in the client's own way, which is slower", client=kafka.__version__)
    return fit


class FastRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    """What was fetched of a partition; the client calls it so too, and asks it for records."""

    def _unpack_records(
        self, tp: TopicPartition, records: MemoryRecords, key_deserializer: Any, value_deserializer: Any
    ) -> Iterator[Any]:
        if key_deserializer or value_deserializer:  # none of ours has any
            yield from super()._unpack_records(tp, records, key_deserializer, value_deserializer)
            return
        batches = _Batches(self, records)
        try:
            for record in super()._unpack_records(tp, batches, None, None):
                if record.value is not _HERE:
                    yield record  # of an older format
                    continue
                batch = batches.latest
                self.next_fetch_offset = batches.stands
                self.records_read += max(batch.records_count, 0) - 1
                yield from self._records_of(tp, batch)
        except Exception as error:
            # Left to itself the client would ask a generator that has ended for ever.
            self.record_iterator = _Broken(error)
            raise

    def _records_of(  # noqa: C901, PLR0912, PLR0915 - a call for each number would cost more than the reading
        self, tp: TopicPartition, batch: Any
    ) -> Iterator[Record]:
        """The records of a batch, exactly as the client would read them.

        Raises
        ------
        kafka.errors.CorruptRecordError
            Those before it were read.
        """
        batch._maybe_uncompress()  # noqa: SLF001 - there is no public way
        data, at = bytes(batch._buffer), batch._pos  # noqa: SLF001
        self.bytes_read += len(data) - at
        topic, partition = tp
        base = batch.base_offset
        kind = batch.timestamp_type
        begun, last = batch.first_timestamp, batch.max_timestamp
        stamped = kind == _LOG_APPEND_TIME
        try:
            for _ in range(batch.records_count):
                # Lengths are mostly of one or two bytes; beyond the data is an IndexError, here or at the next.
                n = data[at]
                if n < 0x80:
                    at += 1
                elif (more := data[at + 1]) < 0x80:
                    n += (more << 7) - 0x80
                    at += 2
                else:
                    n, at = decode_varint(data, at)
                    n <<= 1
                end = at + (n >> 1) if not n & 1 else -1

                if data[at] < 0x80:  # attributes: there are none yet
                    at += 1
                else:
                    _, at = decode_varint(data, at)

                n = data[at]
                if n < 0x80:
                    timestamp = (n >> 1) ^ -(n & 1)
                    at += 1
                else:
                    timestamp, at = decode_varint(data, at)
                timestamp = last if stamped else begun + timestamp

                n = data[at]
                if n < 0x80:
                    offset = base + ((n >> 1) ^ -(n & 1))
                    at += 1
                elif (more := data[at + 1]) < 0x80:
                    n += (more << 7) - 0x80
                    offset = base + ((n >> 1) ^ -(n & 1))
                    at += 2
                else:
                    n, at = decode_varint(data, at)
                    offset = base + n

                n = data[at]
                if n < 0x80:
                    at += 1
                else:
                    n, at = decode_varint(data, at)
                    n = n << 1 if n >= 0 else 1
                if n & 1:
                    key = None
                else:
                    stop = at + (n >> 1)
                    key = data[at:stop]
                    at = stop

                n = data[at]
                if n < 0x80:
                    at += 1
                elif (more := data[at + 1]) < 0x80:
                    n += (more << 7) - 0x80
                    at += 2
                else:
                    n, at = decode_varint(data, at)
                    n = n << 1 if n >= 0 else 1
                if n & 1:
                    value = None
                else:
                    stop = at + (n >> 1)
                    value = data[at:stop]
                    at = stop

                if data[at]:
                    headers, at = _headers(data, at)
                else:
                    headers = ()
                    at += 1
                if at != end:
                    raise CorruptRecordError(f"a record of {topic} partition {partition} has the wrong length")
                self.next_fetch_offset = offset + 1
                yield Record(topic, partition, offset, timestamp, kind, key, value, headers)
        except (ValueError, IndexError) as error:  # as the client does
            raise CorruptRecordError(
                f"a record of {topic} partition {partition} cannot be read: {error!r}"
            ) from error
        if at != len(data):
            raise CorruptRecordError(f"a batch of {topic} partition {partition} goes on after its last record")


def _headers(data: bytes, at: int) -> tuple[Sequence[tuple[str, bytes | None]], int]:
    """The headers that begin with their count, and where they end."""
    count, at = decode_varint(data, at)
    if count < 0:
        raise ValueError("a negative number of headers")
    found = []
    for _ in range(count):
        n, at = decode_varint(data, at)
        if n < 0:
            raise ValueError("a header without a name")
        name = data[at : at + n].decode()
        at += n
        n, at = decode_varint(data, at)
        value = None
        if n >= 0:
            value = data[at : at + n]
            at += n
        found.append((name, value))
    return found, at


class _Here(bytes):
    """Stands for a batch's records where the client goes from batch to batch."""


_HERE = _Here()
_PLACE = DefaultRecord(0, 0, 0, 0, None, _HERE, ())


class _Batch(DefaultRecordBatch):  # type: ignore[misc]
    """A batch that the client takes for one with one record."""

    __slots__ = ()

    def __iter__(self) -> Iterator[DefaultRecord]:
        return iter((_PLACE,))


class _Batches:
    """Batches as they come; those of the format known here are passed on as :class:`_Batch`.

    Attributes
    ----------
    latest
        The batch that the client is at.
    stands
        The offset that it would go on from, were the batch not there.
    """

    def __init__(self, part: FastRecords, records: MemoryRecords) -> None:
        self._part = part
        self._records = records
        self.latest: Any = None
        self.stands = 0

    def next_batch(self) -> Any:
        """The next, or None."""
        batch = self.latest = self._records.next_batch()
        if type(batch) is DefaultRecordBatch and batch.magic == _MAGIC:
            batch.__class__ = _Batch
        self.stands = self._part.next_fetch_offset
        return batch


class _Broken:
    """Raises the same error whenever it is asked for a record."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __iter__(self) -> _Broken:
        return self

    def __next__(self) -> Any:
        raise self._error


def same(ours: Any, theirs: Any) -> bool:
    """Whether two records say the same in everything that is read of them."""
    return all(getattr(ours, name) == getattr(theirs, name) for name in Record.__struct_fields__[:-1]) and list(
        ours.headers
    ) == list(theirs.headers)


def _reads_alike() -> bool:
    """Whether a batch with something of everything is read alike in both ways."""
    given: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]] = [
        (b"a key", b"a value", []),
        (None, None, []),
        (b"", b"", [("name", b"value"), ("none", None)]),
        (b"k" * 100, b"v" * 20_000, []),
    ]
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 20,
    )
    for number, (key, value, headers) in enumerate(given):
        builder.append(number, 1_700_000_000_000 + 1000 * number, key, value, headers)
    data = bytes(builder.build())
    theirs, ours = (
        kind(0, TopicPartition("sample", 1), MemoryRecords(data)).take()
        for kind in (Fetcher.PartitionRecords, FastRecords)
    )
    return len(ours) == len(given) == len(theirs) and all(
        type(one) is Record and same(one, other) for one, other in zip(ours, theirs, strict=True)
    )
