"""Writing records all or nothing, by somebody who is in no consumer group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka.errors import KafkaError

from stream.errors import WorkerFailed
from stream.kafka.committer import Committer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stream.kafka.client import Output


class AtomicWriter(Committer):
    """A :class:`Committer` that commits no offsets. Of two with one ``transactional_id`` the later one lives."""

    def write(self, outputs: Iterable[Output]) -> int:
        """Write records in one transaction; returns how many.

        Raises
        ------
        WorkerFailed
            Nothing, or nothing that counts, was written: above all because another has begun under this name. This
            writer must not be used again.
        """
        if self._broken:
            raise WorkerFailed("this producer has failed before and must not be used again")
        self._broken = True  # until it has gone well
        limit, identity = self._settings.transaction_seconds, self._identity()
        try:
            self._client.begin_transaction()
            futures = [
                self._client.send(
                    output.topic.full_name(self._settings.topic_prefix),
                    key=output.key,
                    value=output.value,
                    partition=output.partition,
                    headers=list(output.headers),
                )
                for output in outputs
            ]
            self._client.flush(timeout=limit)
            for future in futures:
                future.get(timeout=0)
            with self._watched("committing a transaction", 2 * limit):
                self._client.commit_transaction()
        except (KafkaError, ValueError) as error:
            raise WorkerFailed(f"records were not written: {error}") from error
        if self._identity() != identity:
            raise WorkerFailed("records may not have been written: the producer's epoch changed meanwhile")
        self._broken = False
        return len(futures)
