"""The errors Keyart raises on purpose, each keeping the evidence a person needs to act.

Everything else that escapes is a bug. The command line prints a :class:`KeyartError` as one sentence and exits
with its :attr:`~KeyartError.exit_code`; nothing else about an error is ever shown to a user.
"""

from __future__ import annotations

from typing import ClassVar


class KeyartError(Exception):
    """Base of every error that Keyart raises on purpose."""

    #: What the command line exits with; the names are those of BSD's ``sysexits.h``.
    exit_code: ClassVar[int] = 1


class ConfigurationError(KeyartError):
    """A setting is missing or wrong: fix it and start again (EX_CONFIG)."""

    exit_code = 78


class InputError(KeyartError):
    """A file or argument that a person gave cannot be used (EX_DATAERR)."""

    exit_code = 65


class TopicError(ConfigurationError):
    """A topic is missing or has settings that would lose data."""


class BrokerUnavailable(KeyartError):
    """The Kafka cluster cannot be reached (EX_UNAVAILABLE); trying again later may help."""

    exit_code = 69


class WorkerFailed(KeyartError):
    """A worker lost the right or the means to commit: it drops its state, and starts over from the changelog."""

    exit_code = 75


class WorkerReplaced(ConfigurationError):
    """Another process has joined under this worker's name: one of the two must end, and it is the one before."""


class StateMismatch(KeyartError):
    """The restored state and the committed offsets contradict each other; going on would learn lies."""

    exit_code = 70


class TokenError(KeyartError):
    """A play token is not one of ours, was altered, or has expired."""


class DecodeError(KeyartError):
    """A record's bytes are not what its topic promises.

    Attributes
    ----------
    reason
        A sentence that a person can act on; it becomes the dead letter's ``keyart.reason``.
    code
        A stable identifier of the kind of fault, for counting (a metric label).
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
