"""A checkpoint: records and the input offsets they cover, written all or nothing.

The sequence, each step with the fault it defends against:

1. The group metadata is the caller's, taken right after the poll whose records are covered. A generation below 0
   (the worker is no longer in its group) is refused: brokers would accept it unfenced.
2. Begin; send every record; flush; then ask every record's future. A batch that expires inside a transaction
   leaves ``commit_transaction`` reporting success.
3. Only now send the offsets, and only now commit: nothing may be in flight when the client's epoch could change.
   Had it changed between the beginning and the end, the client would have dropped the transaction and reported
   success: so it is compared.
4. Any error, whatever its class (fencing can surface as a plain ``KafkaError``), is fatal to this producer. After
   an abort, offsets that were pending can leak into its next transaction, so it is never used again.
5. Commit, abort and sending offsets have no time limit of their own: a watchdog ends the process.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kafka import KafkaProducer, TopicPartition
from kafka.errors import AuthorizationError, KafkaError
from kafka.structs import OffsetAndMetadata

from stream.errors import WorkerFailed
from stream.kafka.client import Output, hang_up, not_allowed, plainly, producer_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from stream.settings import Settings


def end_process(doing: str) -> None:
    """What the watchdog does when a call does not return: nothing in this process can be trusted to end it."""
    sys.stderr.write(f"keyart: {doing} did not return in time; ending the process, nothing uncommitted is kept\n")
    sys.stderr.flush()
    os._exit(WorkerFailed.exit_code)


class Committer:
    """A transactional producer that lives until its first error.

    Creating one fences every earlier producer of the same ``transactional_id`` and ends its open transaction.

    Raises
    ------
    BrokerUnavailable
        No broker answers within ``connect_seconds``.
    """

    def __init__(
        self,
        settings: Settings,
        transactional_id: str,
        *,
        on_hang: Callable[[str], None] = end_process,
    ) -> None:
        self._settings = settings
        self._on_hang = on_hang
        self._broken = False
        given = producer_options(settings, transactional_id.rsplit(".", 1)[-1]) | {
            "transactional_id": transactional_id,
            "transaction_timeout_ms": round(settings.transaction_seconds * 1000),
            "linger_ms": 0,
        }
        with plainly(settings, "connecting"):
            self._client = KafkaProducer(**given)
            with self._watched("init_transactions", settings.connect_seconds + settings.transaction_seconds):
                self._client.init_transactions()

    def commit(
        self,
        outputs: Iterable[Output],
        offsets: Mapping[tuple[str, int], int],
        group_metadata: Any,
    ) -> int:
        """Write records and commit offsets in one transaction; returns how many records.

        Parameters
        ----------
        outputs
            The records.
        offsets
            The next offset to read, by full topic name and partition.
        group_metadata
            The consumer's membership, taken right after the poll.

        Raises
        ------
        WorkerFailed
            Nothing, or nothing that counts, was committed. The worker must drop its state and its clients.
        ConfigurationError
            The cluster does not allow it, and will not if tried again. Nothing was committed.
        """
        self._require_unbroken()
        if group_metadata.generation_id < 0:
            self._broken = True
            raise WorkerFailed("the worker is no longer in its group, so its commit would not be fenced")
        places = {TopicPartition(*place): OffsetAndMetadata(offset, "", -1) for place, offset in offsets.items()}
        return self._transact(
            outputs, "the checkpoint", lambda: self._client.send_offsets_to_transaction(places, group_metadata)
        )

    def _require_unbroken(self) -> None:
        if self._broken:
            raise WorkerFailed("this producer has failed before and must not be used again")

    def _transact(self, outputs: Iterable[Output], what: str, at_last: Callable[[], object] = lambda: None) -> int:
        """Write records, and whatever else, in one transaction; after any error the producer is broken."""
        self._require_unbroken()
        self._broken = True  # until it has gone well
        limit, prefix, identity = self._settings.transaction_seconds, self._settings.topic_prefix, self._identity()
        try:
            self._client.begin_transaction()
            futures = [
                self._client.send(
                    output.topic.full_name(prefix),
                    key=output.key,
                    value=output.value,
                    partition=output.partition,
                    headers=list(output.headers),
                )
                for output in outputs
            ]
            self._client.flush(timeout=limit)
            for future in futures:
                future.get(timeout=0)  # raises what the delivery raised, or that it has not happened
            with self._watched("committing a transaction", 2 * limit):
                at_last()
                self._client.commit_transaction()
        except AuthorizationError as error:
            raise not_allowed(self._settings, "committing", error) from error
        except (KafkaError, ValueError) as error:
            raise WorkerFailed(f"{what} did not commit: {error}") from error
        if self._identity() != identity:
            raise WorkerFailed(f"{what} may not have committed: the producer's epoch changed meanwhile")
        self._broken = False
        return len(futures)

    def _identity(self) -> tuple[int, int]:
        """The producer's id and epoch."""
        now = self._client._transaction_manager.producer_id_and_epoch  # noqa: SLF001 - there is no public way
        return now.producer_id, now.epoch

    def close(self) -> None:
        """Hang up. A transaction still open is left to time out: an abort could hang, and is not needed."""
        self._broken = True
        hang_up(self._client, 1.0)

    @contextmanager
    def _watched(self, doing: str, seconds: float) -> Iterator[None]:
        timer = threading.Timer(seconds, self._on_hang, args=(doing,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
