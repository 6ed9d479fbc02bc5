"""An Apache Kafka that can also be stopped as an operator stops it."""

from __future__ import annotations

import subprocess

from apache import ApacheBroker

_STOP_SECONDS = 60.0


class MortalBroker(ApacheBroker):
    """One node: killed, stopped, frozen and started again."""

    def stop(self) -> None:
        """End the node cleanly; its log stays. See :meth:`restart`."""
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.close()
            raise
        self._process = None

    def revive(self) -> None:
        """Whatever has been done to it: at work again."""
        if self._process is None or self._process.poll() is not None:
            self.restart()
        else:
            self.thaw()
