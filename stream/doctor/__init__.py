"""What may be wrong with a deployment, and what to do about it.

:mod:`stream.doctor.facts` is what is seen of a cluster, :mod:`stream.doctor.faults` everything that may be wrong,
and :mod:`stream.doctor.checks` goes from the one to the other, by what :mod:`stream.doctor.cluster` and
:mod:`stream.doctor.loop` look at; :mod:`stream.doctor.finding` is what it says. None of it talks to anybody.
"""

from stream.doctor.checks import findings
from stream.doctor.facts import ClockReading, Facts, GroupFacts, PartitionFacts, Refusal, TitleFacts, TopicFacts
from stream.doctor.faults import FAULTS, table
from stream.doctor.finding import Fault, Finding, Severity

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
