"""Why a title's artwork is chosen: what ``keyart explain`` finds out, and how it shows it."""

from consumers.explaining.picture import picture
from consumers.explaining.question import Question, ask
from consumers.explaining.report import Report, report
from consumers.explaining.text import told

__all__ = ["Question", "Report", "ask", "picture", "report", "told"]
