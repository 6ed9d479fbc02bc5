"""How a worker runs.

:mod:`~stream.running.worker` is the one loop, :mod:`~stream.running.session` its time with a set of partitions,
:mod:`~stream.running.job` what it is to do, :mod:`~stream.running.restore` how state comes back.
"""
