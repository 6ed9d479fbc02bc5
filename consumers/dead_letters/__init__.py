"""Dead letters as a person works with them: looked through, looked at, and put back where they came from."""

from consumers.dead_letters.box import DeadLetterBox, Place, Selection
from consumers.dead_letters.judge import Judge, Verdict
from consumers.dead_letters.replay import Plan, Replay
from consumers.dead_letters.survey import Group, grouped

__all__ = ["DeadLetterBox", "Group", "Judge", "Place", "Plan", "Replay", "Selection", "Verdict", "grouped"]
