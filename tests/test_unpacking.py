"""stream.kafka.unpacking: records read in our own way are those that the client reads."""

from __future__ import annotations

import struct

import kafka
import pytest
from builders import repeatable
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer import IsolationLevel
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.legacy_records import LegacyRecordBatchBuilder
from kafka.record.util import calc_crc32c, encode_varint

from stream.kafka import unpacking
from stream.kafka.unpacking import FastRecords, Record, new_consumer, same

PLACE = TopicPartition("plays", 3)
THEIRS, OURS = Fetcher.PartitionRecords, FastRecords
HEADER, CRC = 61, 17  # bytes before the first record, and where the checksum stands
NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
LOG_APPEND_TIME, CONTROL = 0x08, 0x20
BEGUN_MS = 1_700_000_000_000

many = settings(repeatable, max_examples=150)
data_of_any_size = st.none() | st.binary(max_size=80) | st.integers(0, 40_000).map(lambda size: b"x" * size)
headers = st.lists(st.tuples(st.text(max_size=70), st.none() | st.binary(max_size=70)), max_size=3)
rows = st.lists(
    st.tuples(st.integers(0, 1 << 40), data_of_any_size, data_of_any_size, headers), min_size=1, max_size=8
)


def batch(rows, *, base=0, codec=NONE, producer=-1, transactional=False, attributes=0, gaps=1):
    """A batch as the client's own producer builds it; a broker sets the base offset and further attributes."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=transactional,
        producer_id=producer,
        producer_epoch=0 if producer >= 0 else -1,
        base_sequence=0 if producer >= 0 else -1,
        batch_size=1 << 30,
    )
    for number, (ms, key, value, headers) in enumerate(rows):
        assert builder.append(gaps * number, BEGUN_MS + ms, key, value, headers)
    made = bytearray(builder.build())
    made[0:8] = base.to_bytes(8, "big")
    made[22] |= attributes
    return sealed(made)


def sealed(made):
    """The same with the checksum that belongs to it: hostile bytes need not be damaged ones."""
    made = bytearray(made)
    made[CRC : CRC + 4] = calc_crc32c(memoryview(made)[CRC + 4 :]).to_bytes(4, "big")
    return bytes(made)


def of_records(body, count=1):
    """An uncompressed batch with any bytes for records."""
    made = bytearray(batch([(0, b"k", b"v", [])]))[:HEADER] + body
    struct.pack_into(">i", made, 8, len(made) - 12)
    struct.pack_into(">i", made, HEADER - 4, count)
    return sealed(made)


def varints(*numbers):
    """These numbers one after the other."""
    made = bytearray()
    for number in numbers:
        encode_varint(number, made.append)
    return bytes(made)


def part(kind, data, *, fetch_offset=0, check_crcs=True, **more):
    """What was fetched of a partition, to be read in one of the two ways."""
    return kind(fetch_offset, PLACE, MemoryRecords(data), check_crcs=check_crcs, **more)


def read(kind, data, at_once=None, **more):
    """All records, where the next fetch would begin after each take, and the class of the error that ended it."""
    fetched = part(kind, data, **more)
    found, stands = [], []
    while fetched:
        try:
            some = fetched.take(at_once)
        except Exception as error:  # noqa: BLE001 - whatever it is, both must raise it
            return found, stands, type(error)
        found += some
        stands.append((fetched.next_fetch_offset, fetched.leader_epoch, fetched.records_read >= len(found)))
        if not some:
            break
    return found, stands, None


def assert_read_alike(data, **more):
    """Both ways read the same; returns our records and the class of the error."""
    theirs, stood, failed = read(THEIRS, data, **more)
    ours, stands, fails = read(OURS, data, **more)
    assert len(ours) == len(theirs)
    assert all(map(same, ours, theirs))
    assert (stands, fails) == (stood, failed)
    return ours, fails


@pytest.mark.parametrize("codec", [NONE, GZIP, SNAPPY, LZ4, ZSTD])
@given(
    batches=st.lists(rows, min_size=1, max_size=3), stamped=st.booleans(), at_once=st.none() | st.integers(1, 5)
)
@settings(repeatable, max_examples=30)
def test_records_are_read_as_the_client_reads_them(codec, batches, stamped, at_once):
    """Record for record, whatever the compression, the sizes, the headers, whose clock, and how many at once."""
    data, base = b"", 7
    for rows in batches:
        data += batch(rows, base=base, codec=codec, attributes=LOG_APPEND_TIME * stamped)
        base += len(rows)
    ours, failed = assert_read_alike(data, at_once=at_once)
    assert failed is None
    assert [(record.key, record.value, list(record.headers)) for record in ours] == [
        row[1:] for rows in batches for row in rows
    ]
    assert all(type(record) is Record and record.timestamp_type == stamped for record in ours)


@given(
    count=st.integers(1, 300), gaps=st.integers(1, 20_000), begin=st.integers(0, 400), at_once=st.integers(1, 50)
)
@repeatable
def test_reading_may_begin_within_a_batch_and_offsets_may_have_gaps(count, gaps, begin, at_once):
    """Compaction leaves holes; a batch comes whole though its middle was asked for."""
    rows = [(1000 * number, b"%d" % number, b"v", []) for number in range(count)]
    data = batch(rows, base=50, gaps=gaps, codec=LZ4)
    ours, _ = assert_read_alike(data, fetch_offset=begin, at_once=at_once)
    assert [record.offset for record in ours] == [
        50 + gaps * number for number in range(count) if 50 + gaps * number >= begin
    ]


def aborted(producer, first_offset):
    """What a broker says of an aborted transaction."""
    return type("Aborted", (), {"producer_id": producer, "first_offset": first_offset})()


def test_aborted_transactions_and_markers_are_left_out():
    """What the client leaves out stays left out, and the position moves past it."""
    row = [(0, b"k", b"v", [])]

    def marker(base, producer, *, commit):
        control = [(0, struct.pack(">hh", 0, commit), b"\0" * 6, [])]
        return batch(control, base=base, producer=producer, transactional=True, attributes=CONTROL)

    data = b"".join(
        [
            batch(row * 2, base=0, producer=1, transactional=True),
            batch(row * 3, base=2, producer=2, transactional=True, codec=LZ4),
            marker(5, 1, commit=False),
            batch(row, base=6, producer=1, transactional=True),
            marker(7, 2, commit=True),
            batch(row, base=8),
            marker(9, 1, commit=True),
        ]
    )
    committed = {"isolation_level": IsolationLevel.READ_COMMITTED, "aborted_transactions": [aborted(1, 0)]}
    for at_once in (None, 1, 2):
        ours, _ = assert_read_alike(data, at_once=at_once, **committed)
        assert [record.offset for record in ours] == [2, 3, 4, 6, 8]
    ours, _ = assert_read_alike(data)
    assert [record.offset for record in ours] == [0, 1, 2, 3, 4, 6, 8]
    fetched = part(OURS, data, **committed)
    fetched.take()
    assert fetched.next_fetch_offset == 10
    assert not fetched


@pytest.mark.parametrize("magic", [0, 1])
def test_older_formats_are_left_to_the_client(magic):
    """A batch that an old producer wrote comes as the client reads it, also beside newer ones."""
    builder = LegacyRecordBatchBuilder(magic=magic, compression_type=NONE, batch_size=1 << 20)
    builder.append(0, BEGUN_MS, b"old", b"value")
    ours, _ = assert_read_alike(bytes(builder.build()) + batch([(0, b"new", b"value", [])], base=1))
    assert [record.key for record in ours] == [b"old", b"new"]
    assert [type(record) is Record for record in ours] == [False, True]


@given(rows=rows, at=st.integers(0), bit=st.integers(0, 7), cut=st.integers(0), seal=st.booleans())
@many
def test_damage_is_told_as_the_client_tells_it(rows, at, bit, cut, seal):
    """A flipped bit or an early end: the same records before it and the same error, whichever check finds it."""
    good = batch([(0, b"k", b"v", [])] * 3)
    bad = bytearray(batch(rows, base=3))
    bad[12 + at % (len(bad) - 12)] ^= 1 << bit
    data = good + (sealed(bad) if seal else bytes(bad)) + batch(rows, base=30)
    assert_read_alike(data)
    assert_read_alike(data, check_crcs=False)
    assert_read_alike(data[: cut % len(data)])


@given(body=st.binary(max_size=60), count=st.integers(-3, 4))
@settings(repeatable, max_examples=400)
def test_any_bytes_for_records_are_read_alike(body, count):
    """Hostile bytes under a good checksum are records or a CorruptRecordError, in both ways the same."""
    _, failed = assert_read_alike(of_records(body, count))
    assert failed in {None, CorruptRecordError}


LONG = b"\x80" * 5000 + b"\x01"


@pytest.mark.parametrize(
    ("body", "count"),
    [
        pytest.param(varints(7, 0, 0, 0, -1, -1, 0) + b"\0", 1, id="more bytes than records"),
        pytest.param(varints(6, 0, 0, 0, -1, -1, 0), 2, id="fewer records than said"),
        pytest.param(varints(6, 0, 0, 0, -1, -1, 0), 2**31 - 1, id="far fewer records than said"),
        pytest.param(varints(6, 0, 0, 0, -1, -1, 0), -1, id="less than no records"),
        pytest.param(varints(-1, 0, 0, 0, -1, -1, 0), 1, id="negative length"),
        pytest.param(varints(-5000, 0, 0, 0, -1, -1, 0), 1, id="very negative length"),
        pytest.param(varints(5, 0, 0, 0, -1, -1, 0), 1, id="wrong length"),
        pytest.param(varints(6, 0, 0, 0, 9, -1, 0), 1, id="key beyond the batch"),
        pytest.param(varints(6, 0, 0, 0, -1, 2**62, 0), 1, id="value far beyond the batch"),
        pytest.param(varints(6, 0, 0, 0, -1, -1, -1), 1, id="negative number of headers"),
        pytest.param(varints(6, 0, 0, 0, -1, -1, 2**40), 1, id="far more headers than there are"),
        pytest.param(varints(8, 0, 0, 0, -1, -1, 1, -1, -1), 1, id="header without a name"),
        pytest.param(varints(9, 0, 0, 0, -1, -1, 1, 1) + b"\xff" + varints(0), 1, id="name that is no text"),
        pytest.param(LONG, 1, id="length without end"),
        pytest.param(varints(6, 0, 0) + LONG, 1, id="offset without end"),
        pytest.param(varints(6, 0) + LONG, 1, id="time without end"),
        pytest.param(varints(6, 0, 0, 0) + LONG, 1, id="key length without end"),
    ],
)
def test_lies_about_lengths_are_found(body, count):
    """Lengths and counts are taken for what they are worth."""
    _, failed = assert_read_alike(of_records(body, count))
    assert failed is CorruptRecordError


@pytest.mark.parametrize(
    "body",
    [
        varints(8, 0, 0, 0, -300, -70_000, 0),
        varints(7, 300, 0, 0, -1, -1, 0),
        varints(6, 0, -5, -3, -1, -1, 0),
        varints(14, 0, 2**40, 2**20, -1, -1, 0),
    ],
)
def test_what_is_odd_but_not_wrong_is_read_alike(body):
    """None by any negative length, attributes of two bytes, deltas that go back or far ahead."""
    body = varints(len(body) - 1) + body[1:]
    ours, failed = assert_read_alike(of_records(body), fetch_offset=-10)
    assert failed is None
    assert len(ours) == 1


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_what_cannot_be_decompressed_raises_what_the_client_raises(codec):
    """The codecs are the client's, and so are their complaints."""
    made = bytearray(batch([(0, b"k", b"v" * 500, [])], codec=codec))
    made[HEADER + 2 : HEADER + 12] = b"\xff" * 10
    _, failed = assert_read_alike(sealed(made))
    assert failed is not None


def test_an_error_is_raised_whenever_it_is_asked_again():
    """Nobody waits for ever for records behind one that cannot be read."""
    fetched = part(OURS, batch([(0, b"k", b"v", [])] * 2) + of_records(b"\0", 1))
    assert len(fetched.take()) == 2
    for _ in range(3):
        with pytest.raises(CorruptRecordError):
            fetched.take()


def test_only_our_own_consumers_are_changed(monkeypatch):
    """A consumer that others make is as it was; of another client, ours are too, and it is said."""
    unpacking.fits.cache_clear()
    elsewhere = {"bootstrap_servers": "127.0.0.1:1", "bootstrap_timeout_ms": 1}

    class Unconnected(KafkaConsumer):
        """A consumer that nobody has to answer."""

        def __init__(self, **options):
            assert options == elsewhere
            self._fetcher = type("F", (), {"PartitionRecords": THEIRS})()

    monkeypatch.setattr(unpacking, "KafkaConsumer", Unconnected)
    assert new_consumer(**elsewhere)._fetcher.PartitionRecords is OURS
    assert Unconnected(**elsewhere)._fetcher.PartitionRecords is THEIRS
    assert Fetcher.PartitionRecords is THEIRS

    monkeypatch.setattr(kafka, "__version__", "3.1.0")
    unpacking.fits.cache_clear()
    assert new_consumer(**elsewhere)._fetcher.PartitionRecords is THEIRS


@pytest.mark.parametrize("fault", [lambda *_: iter(()), lambda *_: 1 / 0])
def test_a_client_that_is_not_as_expected_is_left_alone(monkeypatch, fault):
    """Before the first consumer a sample is read in both ways: no records, or an error, and ours is not used."""
    monkeypatch.setattr(FastRecords, "_records_of", fault)
    unpacking.fits.cache_clear()
    assert not unpacking.fits()
    monkeypatch.undo()
    unpacking.fits.cache_clear()
    assert unpacking.fits()


def test_deserializers_are_the_clients_affair():
    """A consumer with deserializers, which none of ours is, reads as it always did."""

    class Upper:
        """Shouts."""

        def deserialize(self, topic, headers, data):
            return data.upper()

    fetched = part(OURS, batch([(0, b"k", b"v", [])]), value_deserializer=Upper())
    assert [record.value for record in fetched.take()] == [b"V"]
