"""What choices are worth, live.

:mod:`~stream.worth.policies` sums what each policy earns, :mod:`~stream.worth.live` says what that is worth, with
intervals that hold at all times (:mod:`~stream.worth.confidence_sequences`), and :mod:`~stream.worth.split` tells
whether members are split as they should be.
"""
