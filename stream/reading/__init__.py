"""What a worker asks of a record before it learns from it.

:mod:`~stream.reading.intake` asks: :mod:`~stream.reading.event_time` about its time,
:mod:`~stream.reading.duplicates` whether it came before, :mod:`~stream.reading.frequency` how often its member was
shown its title.
"""
