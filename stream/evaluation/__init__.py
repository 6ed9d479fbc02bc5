"""What a policy would have earned, from a log of what others showed; and when not to believe that.

:class:`~stream.evaluation.evaluation.Evaluation` reads a log in batches: judges each, then lets policies learn.
``docs/evaluation.md`` says what is assumed and how intervals are made.
"""
