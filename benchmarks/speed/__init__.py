"""How fast it works, beside its peers and its limits: one module a question.

Each measures Keyart and the other in the same run, one after the other, several rounds, so that a machine that is
busy for a while is busy for both; what is printed are medians, and the median of the rounds' ratios.

* :mod:`learn`, :mod:`choose`, :mod:`publish`, :mod:`memory` need no broker;
* :mod:`loop` and :mod:`restore` start one, or use the one they are given: see :mod:`broker`.
"""
