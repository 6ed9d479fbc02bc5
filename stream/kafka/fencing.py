"""Two processes under one name: how the one that came first learns of the other.

A worker with a name of its own (``worker_id``) is a static member of its group. Whoever joins under that name
takes the place of whoever had it, at once: that is how a worker which was killed comes back without a rebalance.
The group cannot be asked whether the one before is still alive, so of two that are, the later stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka import KafkaAdminClient
from kafka.errors import FencedInstanceIdError, KafkaError

from stream.kafka.client import options

if TYPE_CHECKING:
    from stream.settings import Settings


def tells_of_fencing(failure: BaseException | None) -> bool:
    """Whether a failure comes of the broker's word that our name has gone to another."""
    while failure is not None:
        if isinstance(failure, FencedInstanceIdError):
            return True
        failure = failure.__cause__
    return False


def holders(settings: Settings, group: str) -> set[str]:
    """What the group calls those who go by this worker's name now; empty if nobody does, or nobody answers."""
    try:
        client = KafkaAdminClient(**options(settings, "admin"))
        try:
            members = client.describe_groups([group])[group]["members"]
        finally:
            client.close()
    except (KafkaError, KeyError):
        return set()  # should another have the name, it shows again when somebody answers
    return {member["member_id"] for member in members if member["group_instance_id"] == settings.worker_id}
