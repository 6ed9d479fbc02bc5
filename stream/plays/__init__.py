"""From a play to what it teaches.

:mod:`~stream.plays.viewing` credits impressions, within the limits of :mod:`~stream.plays.credits`;
:mod:`~stream.plays.taste` is what a member likes.
"""
