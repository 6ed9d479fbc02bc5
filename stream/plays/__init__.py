"""From a play to what it teaches.

:mod:`~stream.plays.reward` is what a play is worth, :mod:`~stream.plays.viewing` credits impressions with it,
within the limits of :mod:`~stream.plays.credits`, and :mod:`~stream.plays.taste` is what a member likes.
"""
