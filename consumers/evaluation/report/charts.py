"""Charts as inline SVG, coloured by the page's variables so that they follow light and dark."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stream.evaluation.intervals import Interval
    from stream.evaluation.results import Series

_WIDTH, _LABEL, _ROW, _RIGHT = 760.0, 190.0, 34.0, 150.0
_PLOT, _LEFT, _EDGE, _FOOT, _TOP = 250.0, 56.0, 34.0, 40.0, 10.0


class Bar(NamedTuple):
    """A line of a forest plot.

    Attributes
    ----------
    name, colour
        Whose it is, and its colour's number.
    interval
        What is drawn.
    text
        What is written beside it.
    faint
        Whether nobody should go by it.
    """

    name: str
    colour: int
    interval: Interval
    text: str
    faint: bool = False


def forest(bars: Sequence[Bar], reference: float, reference_name: str, title: str) -> str:
    """Intervals one below the other, with a line where the reference lies."""
    drawn = [bar for bar in bars if np.isfinite(bar.interval.value)]
    if not np.isfinite(reference):
        return ""
    ends = [reference, *(end for bar in drawn for end in bar.interval if np.isfinite(end))]
    ticks = _ticks(min(ends), max(ends))
    x = _scale(ticks[0], ticks[-1], _LABEL, _WIDTH - _RIGHT)
    bottom = _TOP + _ROW * len(bars)
    parts = [_grid_down(ticks, x, _TOP, bottom), _mark(x(reference), bottom, reference_name)]
    for number, bar in enumerate(bars):
        y = _TOP + _ROW * (number + 0.5)
        parts.append(f'<text class="name" x="{_LABEL - 14:g}" y="{y + 4:.1f}">{escape(bar.name)}</text>')
        value, low, high = bar.interval
        parts.append('<g class="faint">' if bar.faint else "<g>")
        if np.isfinite(low) and np.isfinite(high):
            parts.append(f'<path class="i c{bar.colour}" d="M{x(low):.1f} {y:.1f}H{x(high):.1f}"/>')
        if np.isfinite(value):
            parts.append(f'<circle class="d c{bar.colour}" cx="{x(value):.1f}" cy="{y:.1f}" r="5"/>')
        parts.append("</g>")
        parts.append(f'<text class="value" x="{_WIDTH - _RIGHT + 14:g}" y="{y + 4:.1f}">{escape(bar.text)}</text>')
    return _svg(_WIDTH, bottom + _FOOT, title, parts)


def curves(
    lines: Mapping[str, Series],
    colours: Mapping[str, int],
    places: Sequence[float],
    labels: Sequence[tuple[float, str]],
    title: str,
) -> str:
    """Curves with their intervals as bands.

    Parameters
    ----------
    lines
        By policy.
    colours
        The number of each policy's colour.
    places
        Where the points lie, from 0 to 1.
    labels
        What is written below, and where.
    title
        What it shows, for those who cannot see it.
    """
    shown = {name: line for name, line in lines.items() if np.isfinite(line.value).any()}
    if not shown:
        return ""
    values = np.concatenate([line.value[np.isfinite(line.value)] for line in shown.values()])
    bands = np.concatenate([np.append(line.low, line.high) for line in shown.values()])
    bands = bands[np.isfinite(bands)]
    # A band of few rows may be wider than everything else together: it is cut off.
    spread = float(values.max() - values.min()) or abs(float(values.max())) or 1.0
    low = max(float(bands.min(initial=values.min())), float(values.min()) - spread)
    high = min(float(bands.max(initial=values.max())), float(values.max()) + spread)
    ticks = _ticks(low, high)
    bottom = _TOP + _PLOT
    x = _scale(0.0, 1.0, _LEFT, _WIDTH - _EDGE)
    y = _scale(ticks[0], ticks[-1], bottom, _TOP)
    parts = [_grid_across(ticks, y)]
    parts += [
        f'<text class="tick" x="{x(at):.1f}" y="{bottom + 22:g}" text-anchor="middle">{escape(label)}</text>'
        for at, label in labels
    ]
    inside = np.clip
    for name, line in shown.items():
        rows = np.flatnonzero(np.isfinite(line.value))
        points = [(x(places[i]), y(float(line.value[i]))) for i in rows.tolist()]
        sure = [i for i in rows.tolist() if np.isfinite(line.low[i]) and np.isfinite(line.high[i])]
        if len(sure) > 1:
            upper = [(x(places[i]), y(float(inside(line.high[i], ticks[0], ticks[-1])))) for i in sure]
            lower = [(x(places[i]), y(float(inside(line.low[i], ticks[0], ticks[-1])))) for i in reversed(sure)]
            parts.append(f'<path class="b c{colours[name]}" d="{_path([*upper, *lower])}Z"/>')
        if len(points) == 1:
            (px, py) = points[0]
            parts.append(f'<circle class="d c{colours[name]}" cx="{px:.1f}" cy="{py:.1f}" r="4"/>')
        parts.append(f'<path class="l c{colours[name]}" d="{_path(points)}"/>')
    return _svg(_WIDTH, bottom + _FOOT, title, parts)


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img"><title>{escape(title)}</title>'
        f"{''.join(parts)}</svg>"
    )


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in points)


def _scale(first: float, last: float, start: float, end: float) -> Callable[[float], float]:
    span = last - first or 1.0
    return lambda value: start + (value - first) / span * (end - start)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from below the least to above the largest.

    >>> [round(tick, 3) for tick in _ticks(0.083, 0.161)]
    [0.08, 0.1, 0.12, 0.14, 0.16, 0.18]
    """
    span = high - low or abs(high) or 1.0
    rough = span / 4.0
    power = 10.0 ** np.floor(np.log10(rough))
    step = float(next(power * factor for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if power * factor >= rough))
    first, last = np.floor(low / step), np.ceil(high / step)
    return [float(step * i) for i in range(int(first), int(last) + 1)]


def _written(ticks: Sequence[float]) -> list[str]:
    """Ticks with as many decimals as tell them apart."""
    step = min((b - a for a, b in pairwise(ticks)), default=1.0)
    decimals = max(0, int(np.ceil(-np.log10(step) - 1e-9)))
    decimals += abs(round(step, decimals) - step) > 1e-9 * step
    return [f"{tick:.{decimals}f}" for tick in ticks]


def _grid_down(ticks: Sequence[float], x: Callable[[float], float], top: float, bottom: float) -> str:
    return "".join(
        f'<path class="grid" d="M{x(tick):.1f} {top:g}V{bottom:g}"/>'
        f'<text class="tick" x="{x(tick):.1f}" y="{bottom + 18:g}" text-anchor="middle">{text}</text>'
        for tick, text in zip(ticks, _written(ticks), strict=True)
    )


def _grid_across(ticks: Sequence[float], y: Callable[[float], float]) -> str:
    return "".join(
        f'<path class="grid" d="M{_LEFT:g} {y(tick):.1f}H{_WIDTH - _EDGE:g}"/>'
        f'<text class="tick" x="{_LEFT - 8:g}" y="{y(tick) + 4:.1f}" text-anchor="end">{text}</text>'
        for tick, text in zip(ticks, _written(ticks), strict=True)
    )


def _mark(at: float, bottom: float, name: str) -> str:
    return (
        f'<path class="mark" d="M{at:.1f} {_TOP - 4:g}V{bottom:g}"/>'
        f'<text class="tick strong" x="{at:.1f}" y="{bottom + 34:g}" text-anchor="middle">{escape(name)}</text>'
    )
