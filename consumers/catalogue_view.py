"""The catalogue, held in memory by every process that needs it."""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING

import structlog

from stream.codec import decode, decode_key
from stream.errors import DecodeError
from stream.features import CAST_PREFIX
from stream.records import Title

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stream.kafka import Message

#: More different weights than these are not worth remembering.
_MOST_WEIGHTS = 10_000

log = structlog.get_logger("keyart")


class CatalogueView:
    """Titles by id, and what follows from them. One thread applies; any thread reads, without a lock.

    Attributes
    ----------
    titles
        What is in the catalogue now.
    partition_of
        The partition of each title ever seen, withdrawn ones too: that of its impressions.
    themes
        Every theme in use, people left out.
    shows_people
        Whether some artwork is tagged with a person.
    version
        Grows with every change.
    refused
        How many records could not be understood; the last good one of each title stays.
    """

    def __init__(self) -> None:
        self.titles: Mapping[str, Title] = {}
        self.partition_of: dict[str, int] = {}
        self.themes: frozenset[str] = frozenset()
        self.shows_people = False
        self.version = 0
        self.refused = 0
        self._changed_at: dict[str, int] = {}
        self._weights: dict[float, float] = {}

    def get(self, title_id: str) -> Title | None:
        """A title, None if it is not in the catalogue."""
        return self.titles.get(title_id)

    def lists(self, title_id: str, artwork_id: str) -> bool:
        """Whether the title is in the catalogue with this artwork."""
        title = self.titles.get(title_id)
        return title is not None and any(artwork.artwork_id == artwork_id for artwork in title.artworks)

    def changed_since(self, version: int) -> list[str]:
        """The titles that were loaded, altered or withdrawn after that version."""
        return [title_id for title_id, at in tuple(self._changed_at.items()) if at > version]

    def apply(self, messages: Sequence[Message]) -> None:
        """Take in records of the catalogue's topic."""
        titles = dict(self.titles)
        version = self.version + 1
        for message in messages:
            try:
                title_id = decode_key(message.key)
                title = None if message.value is None else decode(Title, message.value)
                if title is not None and title.title_id != title_id:
                    raise DecodeError("wrong_key", "the record's key is not its title_id")
            except DecodeError as error:
                self.refused += 1
                log.warning(
                    "record refused",
                    topic=message.topic,
                    partition=message.partition,
                    offset=message.offset,
                    code=error.code,
                )
                continue
            self.partition_of[title_id] = message.partition
            self._changed_at[title_id] = version
            if title is None:
                titles.pop(title_id, None)
            else:
                self._share(title)
                titles[title_id] = title
        self.titles = titles
        named = {
            theme
            for title in titles.values()
            for themes in (title.themes, *(artwork.themes for artwork in title.artworks))
            for theme in themes
        }
        self.themes = frozenset(theme for theme in named if not theme.startswith(CAST_PREFIX))
        self.shows_people = len(named) > len(self.themes)
        self.version = version

    def _share(self, title: Title) -> None:
        """Keep each name and weight of a tag once, however many titles have it: half of what a title takes."""
        for themes in (title.themes, *(artwork.themes for artwork in title.artworks)):
            shared = [(intern(name), self._weights.setdefault(weight, weight)) for name, weight in themes.items()]
            themes.clear()
            themes.update(shared)
        if len(self._weights) > _MOST_WEIGHTS:
            self._weights.clear()
