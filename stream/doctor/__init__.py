"""What may be wrong with a deployment, and what to do about it.

:mod:`stream.doctor.facts` is what is seen of a cluster, :mod:`stream.doctor.faults` everything that may be wrong,
and :mod:`stream.doctor.checks` goes from the one to the other. None of it talks to anybody.
"""

from stream.doctor.checks import findings
from stream.doctor.facts import ClockReading, Facts, GroupFacts, PartitionFacts, Refusal, TitleFacts, TopicFacts
from stream.doctor.faults import FAULTS, Fault, Finding, Severity, table

__all__ = [
    "FAULTS",
    "ClockReading",
    "Facts",
    "Fault",
    "Finding",
    "GroupFacts",
    "PartitionFacts",
    "Refusal",
    "Severity",
    "TitleFacts",
    "TopicFacts",
    "findings",
    "table",
]
