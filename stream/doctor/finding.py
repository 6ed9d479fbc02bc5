"""What the doctor's report is made of: findings, each of a fault, of how bad it is and of what it is about."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class Severity(Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


class Subject(Enum):
    """What a check looks at."""

    SETTINGS = "settings"
    BROKER = "broker"
    PERMISSIONS = "permissions"
    TOPICS = "topics"
    TRANSACTIONS = "transactions"
    WORKERS = "workers"
    CLOCK = "clock"
    CATALOGUE = "catalogue"
    FRESHNESS = "freshness"
    TRAFFIC = "traffic"
    DEAD_LETTERS = "dead letters"


class Finding(Struct, frozen=True):
    """One line of the doctor's report.

    Attributes
    ----------
    code
        The fault's; the subject's name where all is well.
    subject, severity
        Of what, and how bad.
    what
        What was seen, in one sentence.
    remedy
        What to do; empty where all is well.
    """

    code: str
    subject: str
    severity: Severity
    what: str
    remedy: str = ""


class Fault(Struct, frozen=True):
    """A kind of thing that may be wrong.

    Attributes
    ----------
    code
        Its stable name.
    subject, severity
        What it is about, and how bad it is.
    meaning
        What is wrong, in one sentence.
    remedy
        What to do, in one or two.
    """

    code: str
    subject: Subject
    severity: Severity
    meaning: str
    remedy: str

    def found(self, what: str) -> Finding:
        """The fault as it was seen."""
        return Finding(self.code, self.subject.value, self.severity, what, self.remedy)
