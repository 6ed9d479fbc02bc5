"""From contexts to columns."""

from __future__ import annotations

import numpy as np
import pytest
from builders import repeatable
from hypothesis import given
from hypothesis import strategies as st

from stream.features import FeatureSpace, default_features
from stream.records import MAX_FEATURES

COLUMNS = ("bias", "comedy", "romance", "cast")
names = st.sampled_from(["comedy", "romance", "weather", "bias", "cast", "", "\x00", "🎭"])
contexts = st.dictionaries(names, st.floats(-1e6, 1e6))


def dense(rows, d):
    """The full matrix of sparse rows."""
    matrix = np.zeros((rows.count, d))
    for members, columns, values in rows.groups:
        for row, places, numbers in zip(members, columns, values, strict=True):
            matrix[row, places] += numbers
    return matrix


@repeatable
@given(st.lists(contexts, max_size=20))
def test_sparse_rows_are_the_dense_ones(batch):
    """A batch holds the same numbers as its contexts one at a time, and every entry is used or counted unknown."""
    space = FeatureSpace(COLUMNS)
    rows = space.rows(batch)
    expected = np.array([space.vector(context) for context in batch]).reshape(len(batch), len(COLUMNS))
    np.testing.assert_array_equal(dense(rows, len(COLUMNS)), expected)
    used = sum(name in set(COLUMNS) - {"bias"} for context in batch for name in context)
    assert rows.unknown == sum(map(len, batch)) - used


def test_a_context_cannot_set_what_is_keyarts_own():
    """The bias is 1, whatever a context says; the cast is what the chooser logged."""
    space = FeatureSpace(("bias", "comedy", "cast"))
    assert space.vector({"bias": 9.0, "cast": 0.5}).tolist() == [1.0, 0.0, 0.5]
    assert space.rows([{"bias": 9.0, "cast": 0.5}]).unknown == 1


@pytest.mark.parametrize("columns", [(), ("comedy",), ("comedy", "bias")], ids=repr)
def test_the_bias_comes_first(columns):
    """Columns without the bias in front are refused."""
    with pytest.raises(ValueError, match="bias"):
        FeatureSpace(columns)


class TestDefaults:
    """Which features are learned from if none are configured."""

    def test_people_and_reserved_names_are_no_features(self):
        """Only themes that are not named like Keyart's own columns; people have one column together."""
        assert default_features({"bias", "cast", "drama"}) == ("bias", "drama")
        assert default_features({"cast:Ann", "cast:Bob", "drama"}) == ("bias", "drama", "cast")
        assert default_features({"cast:Ann", "noir"}, ("bias", "drama", "cast")) == (
            "bias",
            "drama",
            "cast",
            "noir",
        )

    def test_columns_keep_their_places(self):
        """A theme that has gone keeps its column, and new ones are appended."""
        assert default_features({"a", "z"}, ("bias", "m", "z")) == ("bias", "m", "z", "a")

    def test_there_are_at_most_as_many_as_a_context_can_hold(self):
        """Of too many themes the first by name are taken; later ones find no room."""
        themes = {f"t{i:03}" for i in range(MAX_FEATURES + 30)}
        columns = default_features(themes)
        assert columns == ("bias", *sorted(themes)[:MAX_FEATURES])
        assert default_features(themes | {"another"}, columns) == columns
