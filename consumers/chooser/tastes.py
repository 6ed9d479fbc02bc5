"""What members like, kept in few bytes: as many tastes as members, few of which are asked for at once."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(dict[str, float])


class Tastes(MutableMapping[str, "Mapping[str, float]"]):
    """Each member's shares by theme, people (``cast:…``) included.

    A taste is kept as MessagePack and read when it is asked for: a microsecond, for a quarter of the memory.

    Examples
    --------
    >>> tastes = Tastes()
    >>> tastes["ann"] = {"romance": 0.7, "comedy": 0.3}
    >>> tastes["ann"]
    {'romance': 0.7, 'comedy': 0.3}
    """

    def __init__(self) -> None:
        self._packed: dict[str, bytes] = {}

    def __getitem__(self, member_id: str) -> Mapping[str, float]:
        return _DECODER.decode(self._packed[member_id])

    def __setitem__(self, member_id: str, taste: Mapping[str, float]) -> None:
        self._packed[member_id] = _ENCODER.encode(taste)

    def __delitem__(self, member_id: str) -> None:
        del self._packed[member_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)
