"""Chaos: workers and their broker are killed, stopped and frozen under load; a recount says what came of it.

``make chaos`` runs every scenario on an Apache Kafka of its own and prints a row for each; a short form is part of
the tests. What is done when follows from a seed, as far as processes on a busy machine can be told.
"""
