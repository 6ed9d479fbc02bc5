"""Keyart's vocabulary and pure logic: topics, records, models, choices, and the one loop that runs every worker.

Nothing here imports :mod:`producers` or :mod:`consumers`; one module alone, :mod:`stream.kafka`, touches the
Kafka client.
"""
