"""Curves: share of the possible gain by impressions, a panel for each world, a band where the seeds disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.quality.roster import POLICIES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.quality.table import Line

_STYLES = {"reference": ":", "peer": "--", "tagged": "-.", "ours": "-"}


def plot(lines: Sequence[Line], path: Path) -> None:
    """Draw them into a PNG file.

    Parameters
    ----------
    lines
        What :func:`benchmarks.quality.table.lines` says; worlds without a possible gain are left out.
    path
        Where to.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    worlds = list(dict.fromkeys(line.world for line in lines if line.share is not None))
    policies = list(dict.fromkeys(line.policy for line in lines if POLICIES[line.policy].kind != "reference"))
    policies = [*(p for p in ("best-single",) if any(line.policy == p for line in lines)), *policies]
    figure = Figure(figsize=(6.4 * min(len(worlds), 2), 4.4 * ((len(worlds) + 1) // 2)), layout="constrained")
    panels = figure.subplots((len(worlds) + 1) // 2, min(len(worlds), 2), squeeze=False).ravel()
    for panel, world in zip(panels, worlds, strict=False):
        for number, policy in enumerate(policies):
            here = [x for x in lines if (x.world, x.policy) == (world, policy) and x.share is not None]
            shown = [x.share_now if world == "drift" else x.share for x in here]
            points = [(x.impressions, s.mean, s.half or 0.0) for x, s in zip(here, shown, strict=True) if s]
            if not points:
                continue
            at, mean, half = zip(*points, strict=True)
            colour = f"C{number % 10}"
            panel.plot(at, mean, _STYLES[POLICIES[policy].kind], color=colour, marker=".", label=policy)
            low = [m - h for m, h in zip(mean, half, strict=True)]
            high = [m + h for m, h in zip(mean, half, strict=True)]
            panel.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
        panel.set_title(world)
        panel.set_xscale("linear" if world == "drift" else "log")
        panel.set_xlabel(
            "impressions" + (" of a title since its launch" if world.startswith(("launch", "late")) else "")
        )
        panel.set_ylabel("share of the possible gain" + (", lately" if world == "drift" else ", so far"))
        panel.set_ylim(-0.05, 1.0)
        panel.grid(alpha=0.3)
        panel.legend(fontsize="small")
    for panel in panels[len(worlds) :]:
        panel.set_axis_off()
    FigureCanvasAgg(figure).print_png(str(path))
