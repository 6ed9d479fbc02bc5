"""The titles at which a policy differs most from what was logged, with the artwork that it would show instead."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from stream.posters import poster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.evaluation.results import Evaluated, Shift, TitleLift

#: Titles on each side, and the impressions that a title needs to be among them.
_TITLES, _LEAST_ROWS = 6, 200


def titles(found: Evaluated) -> str:
    """The titles at which a policy differs most from what was logged: Keyart, or the last that was asked for."""
    policy = "ours" if "ours" in found.titles else found.policies[-1]
    if policy in found.doubted:
        return f'<p class="note">The log says too little of <b>{escape(policy)}</b>.</p>'
    lifts = [one for one in found.titles.get(policy, ()) if one.rows >= _LEAST_ROWS and np.isfinite(one.gain.low)]
    winners = [one for one in lifts if one.gain.value > 0][:_TITLES]
    losers = [one for one in reversed(lifts) if one.gain.value < 0][:_TITLES]
    if lifts and not winners and not losers:
        return '<p class="note">It differs at no title.</p>'
    if not lifts:
        return f'<p class="note">No title has {_LEAST_ROWS} impressions or more to judge it by.</p>'
    about = (
        f"<p>Where <b>{escape(policy)}</b> differs most from what was logged, among titles with at least "
        f"{_LEAST_ROWS} impressions: their mean reward, and the artwork that it would have shown less often "
        "(left) and more often (right), with its share of the impressions.</p>"
    )
    return about + _side("Winners", winners, found) + _side("Losers", losers, found)


def _side(name: str, lifts: Sequence[TitleLift], found: Evaluated) -> str:
    if not lifts:
        return f'<h3>{name}</h3><p class="note">None.</p>'
    return f'<h3>{name}</h3><div class="titles">{"".join(_title(one, found) for one in lifts)}</div>'


def _title(one: TitleLift, found: Evaluated) -> str:
    title_id, canvas, _ = found.roster.offers[one.offer]
    title = found.roster.titles[title_id]
    kind = "more" if one.gain.above(0.0) else "less" if one.gain.below(0.0) else ""
    where = f" ({escape(canvas)})" if canvas else ""
    return (
        f'<section class="title"><h4>{escape(title.name)}{where}</h4>'
        f'<p>{one.logged:.4f} → {one.policy:.4f}, <span class="{kind}">{one.gain.value:+.4f}</span> '
        f"[{one.gain.low:+.4f}, {one.gain.high:+.4f}], {one.rows:,} impressions</p>"
        f'<div class="pair">{_picture(one, one.less, found)}{_picture(one, one.more, found)}'
        "</div></section>"
    )


def _picture(one: TitleLift, artwork: Shift, found: Evaluated) -> str:
    title_id, _, ids = found.roster.offers[one.offer]
    title = found.roster.titles[title_id]
    name = ids[artwork.place]
    drawn = next(poster(title, each) for each in title.artworks if each.artwork_id == name)
    address = "data:image/svg+xml;base64," + b64encode(drawn.encode()).decode()
    return (
        f'<div><img src="{address}" alt="{escape(name)}" width="400" height="600">'
        f"{escape(name)}, {100 * artwork.logged:.0f} → {100 * artwork.policy:.0f} %</div>"
    )
