"""Times as people give them: so long ago, or a moment."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_AGO = re.compile(r"(\d{1,6})\s*([smhdw])")
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def since_ms(text: str, now_ms: int) -> int:
    """Milliseconds UTC of a time; without a time zone it is UTC.

    Raises
    ------
    ValueError
        It is none.

    Examples
    --------
    >>> since_ms("30m", 10_000_000), since_ms("1970-01-01T00:00:02", 0)
    (8200000, 2000)
    """
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return max(now_ms - int(ago[1]) * _UNIT_MS[ago[2]], 0)
    moment = datetime.fromisoformat(text.strip())
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
