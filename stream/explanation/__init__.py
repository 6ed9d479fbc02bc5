"""Why an artwork is chosen: what each theme, and the people it shows, do for it against the others.

:mod:`~stream.explanation.learned` is what is learned of a title, as arrays, :mod:`~stream.explanation.effects`
what each feature does for each artwork, :mod:`~stream.explanation.standing` how each artwork stands with a member.

Numbers are in units of reward: an effect of 0.02 makes members take two more of a hundred impressions, as far as
is known. The weights are those that nodes choose by: held ones, where the learner holds some.
"""

from stream.explanation.effects import Pull, Tendency, tendencies
from stream.explanation.learned import Learned
from stream.explanation.standing import Standing, popular_standings, standings

__all__ = ["Learned", "Pull", "Standing", "Tendency", "popular_standings", "standings", "tendencies"]
