"""Records that no reader can understand, as broken apps send them."""

from __future__ import annotations

from stream.kafka import Output
from stream.topics import IMPRESSIONS, PLAYS


def malformed(kind: float, now_ms: int) -> Output:
    """A record that its reader cannot understand, as broken apps send them; ``kind`` in (0, 1) says which."""
    broken = (
        Output(PLAYS, b"member-x", b'{"play_id": "p1", "played_ms": '),
        Output(PLAYS, b"member-x", b"\xff\xfe\x00not text"),
        Output(
            PLAYS,
            b"member-x",
            b'{"play_id":"p2","played_ms":%d,"member_id":"member-x","title_id":"no-such-title",'
            b'"watched_seconds":900.0,"impression":null}' % now_ms,
        ),
        Output(
            PLAYS,
            b"member-x",
            b'{"play_id":"p3","played_ms":%d,"member_id":"member-x","title_id":"t",'
            b'"watched_seconds":-5.0,"impression":null}' % now_ms,
        ),
        Output(IMPRESSIONS, b"title-x", b'{"impression_id": 17}'),
    )
    return broken[int(kind * len(broken))]
