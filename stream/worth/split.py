"""Whether members are split among policies as the settings say: a test that may be looked at all the time.

A policy whose impressions get lost on the way (its picture is slower, and the app gives up), or nodes of which
some were started with other shares, make a comparison of policies one of different members. What is split is
members, so members are counted, each once: the impressions of one all have the same policy, and say nothing more.

The test is the Bayes factor of other shares, from Dirichlet distributions around those expected, against the
latter: a martingale while they are right, so the chance that it ever exceeds 1/alpha is at most alpha (Lindon &
Malek 2022, NeurIPS, "Anytime-valid inference for multinomial count data").
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Final

from stream.choosing.choice import key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

#: How often there may be an alarm for nothing, over all times.
ALPHA: Final = 0.01
#: How close to the expected shares the others are that are thought of: as close as so many members would bring
#: them. All are averaged over, so that large differences are seen after few members, and small ones after many.
_CLOSENESS = (10.0, 100.0, 1000.0, 10_000.0)
#: Members who are remembered; of more, a part that a hash picks.
_MOST = 1 << 16


def log_bayes_factor(counts: Mapping[str, int], shares: Mapping[str, float]) -> float:
    """The logarithm of how much more likely counts are under other shares than under these.

    Parameters
    ----------
    counts
        Members by policy.
    shares
        The expected ones, which sum to 1; infinite evidence against them if a policy without one has members.

    Examples
    --------
    >>> shares = {"personal": 0.93, "popular": 0.05, "explore": 0.02}
    >>> print(f"{log_bayes_factor({'personal': 930, 'popular': 50, 'explore': 20}, shares):.2f}")
    -0.98
    >>> print(f"{log_bayes_factor({'personal': 930, 'popular': 10, 'explore': 20}, shares):.2f}")
    17.51
    """
    if any(count and not shares.get(policy) for policy, count in counts.items()):
        return math.inf
    seen = [(count, shares[policy]) for policy, count in counts.items() if count]
    members = sum(count for count, _ in seen)
    expected = sum(count * math.log(share) for count, share in seen)
    found = [
        math.lgamma(close)
        - math.lgamma(close + members)
        + sum(math.lgamma(close * share + count) - math.lgamma(close * share) for count, share in seen)
        - expected
        for close in _CLOSENESS
    ]
    most = max(found)
    return most + math.log(sum(math.exp(one - most) for one in found) / len(found))


class SplitWatch:
    """Counts members by the policy that their first impression has, and raises an alarm once.

    It remembers a hash of each member, of at most :data:`_MOST`; when there are more it goes on with every second
    of them, picked by the hash, and so on. Each such sample is a test of its own, the k-th (from 0) at
    alpha / 2^(k+1).

    Parameters
    ----------
    shares
        The share of members that each policy should have.
    """

    def __init__(self, shares: Mapping[str, float], *, most: int = _MOST) -> None:
        self.shares = dict(shares)
        self._most = most
        self._policy_of: dict[int, str] = {}
        self._halvings = 0
        self._lock = threading.Lock()
        #: Members by policy, of those in the sample.
        self.counts: dict[str, int] = dict.fromkeys(shares, 0)
        #: Whether the split was ever found to be another one.
        self.mismatch = False
        #: The logarithm of the Bayes factor over what raises the alarm: above 0 it is raised.
        self.evidence = -math.inf

    def seen(self, member_id: str, policy: str) -> bool:
        """A member was shown a choice of a policy; says whether that raises the alarm, which it does once."""
        key = key_of("split", member_id)
        with self._lock:
            if key & ((1 << self._halvings) - 1) or key in self._policy_of:
                return False
            self._policy_of[key] = policy
            self.counts[policy] = self.counts.get(policy, 0) + 1
            if len(self._policy_of) > self._most:
                self._halve()
            raises = math.log(2.0 ** (self._halvings + 1) / ALPHA)
            self.evidence = log_bayes_factor(self.counts, self.shares) - raises
            if self.mismatch or self.evidence < 0.0:
                return False
            self.mismatch = True
            return True

    def _halve(self) -> None:
        self._halvings += 1
        mask = (1 << self._halvings) - 1
        self._policy_of = {key: policy for key, policy in self._policy_of.items() if not key & mask}
        counts = dict.fromkeys(self.shares, 0)
        for policy in self._policy_of.values():
            counts[policy] = counts.get(policy, 0) + 1
        self.counts = counts

    @property
    def members(self) -> int:
        """How many are counted."""
        return sum(self.counts.values())
