"""Who holds the credits of a member's day: so many plays may earn something, and one of each title.

Whoever can be shown artwork and can play may do both all day long, with tokens that are real. So a member's plays
earn at most so much a day. Of the impressions of one day (UTC, by when they were shown) those hold a credit whose
plays were worth most, whatever order the plays come in: the first by reward, then the one shown first. An
impression that is outdone gives its reward back, and the other gets its own. A member who plays more in a day than
any person does earns nothing on it: what was earned before that came out is given back as well.

An impression's worth is the *largest* reward that its plays were ever reported with, and a play that was worth
something once is counted for good. So worth and counts only grow, and whoever lost a credit can win it back by a
record of its own alone. That is why nothing is kept of those without one: at most ``plays_per_day`` impressions a
day, until no record of that day can come any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from stream.records import Impression  # noqa: TC001 - msgspec reads the annotations of what it stores

if TYPE_CHECKING:
    from stream.plays.reward import ViewingRules

DAY_MS = 24 * 60 * 60 * 1000


class Credit(Struct):
    """An impression that holds one of its member's credits, whole, as it may have to give its reward back.

    ``worth`` is the largest reward that one of its plays was ever reported with.
    """

    impression: Impression
    worth: float

    @property
    def rank(self) -> tuple[float, int, str]:
        """The smaller, the better."""
        return -self.worth, self.impression.shown_ms, self.impression.impression_id


def day_of(impression: Impression) -> int:
    """The day it counts for: days since 1970-01-01 UTC."""
    return impression.shown_ms // DAY_MS


def over_ms(day: int, rules: ViewingRules) -> int:
    """After this time nothing can come any more that was shown on that day."""
    return (day + 1) * DAY_MS + rules.attribution_ms + rules.late_ms


def forfeit(held: dict[str, Credit], impression: Impression) -> list[Impression]:
    """Take away all credits of an impression's day; the other impressions that have lost theirs."""
    day = day_of(impression)
    lost = [credit.impression for credit in held.values() if day_of(credit.impression) == day]
    for loser in lost:
        del held[loser.impression_id]
    return [loser for loser in lost if loser.impression_id != impression.impression_id]


def contend(
    held: dict[str, Credit], impression: Impression, reward: float, rules: ViewingRules
) -> list[Impression]:
    """Let an impression's play contend for a credit.

    Parameters
    ----------
    held
        The member's credits by impression, changed in place.
    impression, reward
        Whose play was reported, and what the record is worth.
    rules
        How many credits there are.

    Returns
    -------
    The other impressions that have lost theirs.
    """
    mine = held.get(impression.impression_id)
    if mine is not None:
        mine.worth = max(mine.worth, reward)
        return []
    if reward <= 0:
        return []
    held[impression.impression_id] = Credit(impression, reward)
    day = [credit for credit in held.values() if day_of(credit.impression) == day_of(impression)]
    day.sort(key=lambda credit: credit.rank)
    if rules.title_once:
        of_title = [credit for credit in day if credit.impression.title_id == impression.title_id]
        lost = of_title[1:]
        day = [credit for credit in day if credit not in lost]
    else:
        lost = []
    if rules.plays_per_day:
        lost += day[rules.plays_per_day :]
    for credit in lost:
        del held[credit.impression.impression_id]
    return [credit.impression for credit in lost if credit.impression.impression_id != impression.impression_id]
