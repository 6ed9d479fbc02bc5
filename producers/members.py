"""Forgetting members: their state and taste are the viewing worker's, so it is asked to drop them.

The wish is a record without a value on ``plays``, by the member's key: it comes to the worker that has the member,
in its turn after the member's plays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from stream import topics
from stream.errors import BrokerUnavailable, InputError
from stream.kafka import Admin, Output, Writer
from stream.records import Id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.settings import Settings


def forget(settings: Settings, member_ids: Sequence[str]) -> None:
    """Ask for members to be forgotten; the cluster has every wish when this returns.

    Raises
    ------
    InputError
        An id is none. Nothing was asked for; the sentence says which by its place, and does not repeat it.
    BrokerUnavailable
        The cluster cannot be reached, or not every wish was delivered: ask again, that does no harm.
    TopicError
        The topic is missing.
    """
    for place, member_id in enumerate(member_ids, 1):
        try:
            msgspec.convert(member_id, Id)
        except msgspec.ValidationError:
            raise InputError(
                f"number {place} is no member's id: it needs 1 to 128 characters, none of them a control character"
            ) from None
    with Admin(settings) as admin:
        admin.verify((topics.PLAYS,))
    writer = Writer(settings, "forget")
    try:
        for member_id in member_ids:
            writer.write(Output(topics.PLAYS, member_id.encode(), None))
        writer.flush(2 * settings.transaction_seconds)
    finally:
        writer.close()
    if writer.lost:
        raise BrokerUnavailable(
            f"only {writer.delivered} of {len(member_ids)} wishes were delivered to {settings.bootstrap_servers}; "
            "ask again, that does no harm"
        )
