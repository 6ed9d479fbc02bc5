"""A flood of ids that nobody knows: memory stays where it is, and so do the metrics.

``python -m benchmarks.hostile_ids`` sends a million of each kind; the suite sends a part of that.
"""

from __future__ import annotations

import pytest

from benchmarks.hostile_ids import KINDS, MEBIBYTE, measure

IDS = 8_000


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_ids_leave_nothing_behind(kind):
    """Every unknown title and artwork is a dead letter; a few MB more while they wait, and no new series."""
    found = measure(kind, IDS)
    assert found.dead_letters == (0 if kind.startswith("features") else IDS)
    assert found.peak < 20 * MEBIBYTE
    assert found.left < MEBIBYTE  # a minute's ids of impressions that were learned
    assert found.series == found.series_before <= 500
