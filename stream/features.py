"""From contexts to rows of numbers, many at once."""

from __future__ import annotations

from itertools import chain, repeat
from operator import methodcaller
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from stream.records import MAX_FEATURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

BIAS = "bias"
#: A member's affinity to the people that the artwork shows: see :func:`cast_affinity`.
CAST = "cast"
#: Names that are Keyart's own: whatever an app gives under them is ignored.
RESERVED = frozenset({BIAS, CAST})
CAST_PREFIX = "cast:"


def default_features(themes: Iterable[str], known: Sequence[str] = ()) -> tuple[str, ...]:
    """The features to learn from, given the catalogue's themes.

    Columns keep their places once they exist: new themes are appended, in alphabetical order.

    Parameters
    ----------
    themes
        Every theme in use; people (``cast:…``) are not features, but with them there is the one called ``cast``.
    known
        The columns so far.

    Examples
    --------
    >>> default_features({"romance", "comedy", "cast:Robin Williams"})
    ('bias', 'comedy', 'romance', 'cast')
    >>> default_features({"romance", "comedy", "action"}, ("bias", "comedy", "romance"))
    ('bias', 'comedy', 'romance', 'action')
    """
    columns = tuple(known) or (BIAS,)
    named = set(themes)
    wanted = {theme for theme in named if not theme.startswith(CAST_PREFIX)} - RESERVED - set(columns)
    room = MAX_FEATURES - len(set(columns) - RESERVED)
    people = any(theme.startswith(CAST_PREFIX) for theme in named) and CAST not in columns
    return (*columns, *sorted(wanted)[: max(room, 0)], *((CAST,) if people else ()))


def cast_affinity(taste: Mapping[str, float], themes: Mapping[str, float]) -> float:
    """How much a member likes the people whom an artwork shows: Σ taste · tag over its ``cast:`` tags.

    >>> cast_affinity({"cast:Uma Thurman": 0.6, "drama": 1.0}, {"cast:Uma Thurman": 0.5, "drama": 1.0})
    0.3
    """
    return sum(
        weight * taste[theme]
        for theme, weight in themes.items()
        if theme in taste and theme.startswith(CAST_PREFIX)
    )


class Rows(Struct, frozen=True):
    """A sparse matrix of n rows, by the number of non-zero entries: what a batch of contexts becomes.

    ``groups`` holds for each k the row numbers (m,), their columns (m, k) and their values (m, k).
    """

    count: int
    groups: tuple[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]], ...]
    unknown: int


class FeatureSpace:
    """The columns of a model, and how a context fills them.

    >>> space = FeatureSpace(("bias", "comedy", "romance"))
    >>> space.vector({"romance": 0.5, "weather": 3.0})
    array([1. , 0. , 0.5])
    """

    def __init__(self, columns: Sequence[str]) -> None:
        if not columns or columns[0] != BIAS:
            raise ValueError("the first column is the bias")
        self.columns = tuple(columns)
        self._index = {name: i for i, name in enumerate(self.columns) if name != BIAS}

    def __len__(self) -> int:
        return len(self.columns)

    def vector(self, context: Mapping[str, float]) -> NDArray[np.float64]:
        """One dense row, shape (d,): the bias is 1, a missing feature 0, an unknown one ignored."""
        row = np.zeros(len(self.columns))
        row[0] = 1.0
        index = self._index
        for name, value in context.items():
            column = index.get(name)
            if column is not None:
                row[column] = value
        return row

    def rows(self, contexts: Sequence[Mapping[str, float]]) -> Rows:
        """Many rows at once, without the zeros."""
        n = len(contexts)
        given = np.fromiter(map(len, contexts), dtype=np.intp, count=n)
        total = int(given.sum())
        # Names and values run through C alone: this is the innermost loop of a learner.
        named = map(self._index.get, chain.from_iterable(contexts), repeat(-1))
        columns = np.fromiter(named, dtype=np.intp, count=total)
        numbers = chain.from_iterable(map(methodcaller("values"), contexts))
        values = np.fromiter(numbers, dtype=np.float64, count=total)
        known, lengths = columns >= 0, given
        unknown = total - int(np.count_nonzero(known))
        if unknown:
            lengths = np.bincount(np.repeat(np.arange(n), given)[known], minlength=n)
            columns, values = columns[known], values[known]
        starts = np.cumsum(lengths) - lengths
        groups = []
        for k in np.flatnonzero(np.bincount(lengths)).tolist():
            rows = np.flatnonzero(lengths == k)
            places = starts[rows][:, None] + np.arange(k)
            wide_columns, wide_values = np.zeros((len(rows), k + 1), dtype=np.intp), np.ones((len(rows), k + 1))
            wide_columns[:, 1:], wide_values[:, 1:] = columns[places], values[places]
            groups.append((rows, wide_columns, wide_values))
        return Rows(n, tuple(groups), unknown)
