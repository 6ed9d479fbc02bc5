"""A report worth sending round: one HTML file that needs nothing else, in light and dark."""

from consumers.evaluation.report.page import page

__all__ = ["page"]
