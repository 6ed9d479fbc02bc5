"""What speaks against believing an evaluation: one sentence for each thing that was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from stream.evaluation.log import Batch

    Floats = NDArray[np.float64]


class Finding(NamedTuple):
    """Something found.

    Attributes
    ----------
    check
        Which check found it: its name is stable.
    wrong
        Whether estimates are wrong by it, or only less sure than they look.
    sentence
        What a person should know.
    policy
        Whose estimates it is about; empty: everybody's.
    """

    check: str
    wrong: bool
    sentence: str
    policy: str = ""


class Check(Protocol):
    """Watches a log go by.

    Attributes
    ----------
    unchecked
        Why it has nothing to say; empty where it has looked.
    """

    unchecked: dict[str, str]

    def see(self, batch: Batch, expected: Floats) -> None:
        """A batch, with what the reward model expected of it before: shape (2, n, K)."""
        ...

    def findings(self) -> Iterator[Finding]:
        """What it has found."""
        ...


def share(part: float) -> str:
    """A share in words.

    >>> share(0.0312), share(0.00012)
    ('3.1 %', '0.012 %')
    """
    return f"{100.0 * part:.2g} %" if part < 0.1 else f"{100.0 * part:.0f} %"
