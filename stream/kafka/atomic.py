"""Writing records all or nothing, by somebody who is in no consumer group."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        ConfigurationError
            The cluster does not allow it. Nothing was written.
        """
        return self._transact(outputs, "the transaction")
