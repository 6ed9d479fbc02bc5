"""Evaluation for people: logs to read, what is printed of what was found, and the report."""
