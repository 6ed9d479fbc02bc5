"""How artwork is chosen, as a function of snapshots, a context and a few hashes.

:mod:`~stream.choosing.servable` is a snapshot ready to choose from, :mod:`~stream.choosing.page` the choice for a
page of titles at once, :mod:`~stream.choosing.choice` Thompson sampling with hashed draws,
:mod:`~stream.choosing.propensity` its exact probabilities, and :mod:`~stream.choosing.variety` what keeps a page
from looking alike.
"""
