"""The one place that touches kafka-python: what Keyart needs of Kafka, with the client's faults defended against.

* :class:`Admin` creates and verifies topics, and asks where partitions begin and end.
* :class:`GroupReader` reads a worker's share of its input topics.
* :class:`Committer` writes a checkpoint and the offsets it covers, all or nothing.
* :class:`AtomicWriter` writes records all or nothing, for somebody who reads in no group.
* :class:`Writer` writes records whose loss is harmless or counted: snapshots, and the app's events.
* :class:`RangeReader` reads stretches of partitions to their ends, to restore.
* :class:`TableReader` follows whole compacted topics.
* :class:`Inspector` asks what only the doctor asks: groups, rights, copies, and when records were written.
"""

from stream.kafka.admin import Admin
from stream.kafka.atomic import AtomicWriter
from stream.kafka.client import Message, Output
from stream.kafka.committer import Committer, end_process
from stream.kafka.group import Assignment, GroupReader
from stream.kafka.inspection import Inspector
from stream.kafka.ranges import RangeReader
from stream.kafka.table import TableReader
from stream.kafka.writer import Writer

__all__ = [
    "Admin",
    "Assignment",
    "AtomicWriter",
    "Committer",
    "GroupReader",
    "Inspector",
    "Message",
    "Output",
    "RangeReader",
    "TableReader",
    "Writer",
    "end_process",
]
