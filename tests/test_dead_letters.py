"""Bad records are kept as they came, with where from and why."""

from __future__ import annotations

import pytest
from builders import FakeMessage

from stream.dead_letters import dead_letter
from stream.errors import DecodeError
from stream.topics import DEAD_LETTERS


@pytest.mark.parametrize("value", [b"\x00\xff not JSON", b"", None, b"{}" * 40_000], ids=lambda v: repr(v)[:12])
@pytest.mark.parametrize("key", [b"film", b"\xff", None, b""], ids=repr)
def test_bytes_are_untouched(key, value):
    """Key and value come out as they went in; only a record that has neither gets an empty key, to be writable."""
    message = FakeMessage("keyart.plays", 3, 41, key, value)
    output = dead_letter(message, DecodeError("invalid", "no"), "viewing-1")
    assert output.topic is DEAD_LETTERS
    assert output.value == value
    assert output.key == (b"" if key is None and value is None else key)
    assert output.partition is None


def test_headers_say_where_from_and_why():
    """Topic, partition, offset, the stable code, the sentence, and which worker; all of it is UTF-8."""
    message = FakeMessage("keyart.plays", 3, 41, b"ann", b"{")
    output = dead_letter(message, DecodeError("unknown_title", "title 'é\ud800' is not there"), "viewing-1")
    assert dict(output.headers) == {
        "keyart.topic": b"keyart.plays",
        "keyart.partition": b"3",
        "keyart.offset": b"41",
        "keyart.code": b"unknown_title",
        "keyart.reason": "title 'é?' is not there".encode(),
        "keyart.worker": b"viewing-1",
    }
