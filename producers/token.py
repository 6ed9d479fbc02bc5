"""Play tokens: an impression, signed, that an app carries from the choice to the play.

The token holds the whole impression, so nobody has to remember impressions until a play comes, and it is signed,
so nobody can claim plays for a choice that was never made. It is not encrypted: an app can read what is in it.

Base64url without padding (RFC 4648, section 5) of::

    +---------+----------+----------------------+---------------------------------+
    | version |  key id  |      impression      |  HMAC-SHA256 of all before it   |
    | 1 byte  |  4 bytes |  JSON, n bytes       |  32 bytes                       |
    +---------+----------+----------------------+---------------------------------+

The key id is the beginning of a hash of the secret: it picks the secret to check with, and says nothing more
about it than the signature does. With a context of 8 features a token has some 650 characters, with 64 some 3,400;
the tests hold it to 700 and 3,500.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from typing import TYPE_CHECKING

from stream.codec import decode, encode
from stream.errors import DecodeError, TokenError
from stream.records import MAX_RECORD_BYTES, Impression

if TYPE_CHECKING:
    from collections.abc import Sequence

_VERSION = b"\x01"
_KEY_ID_BYTES = 4
_HEAD = len(_VERSION) + _KEY_ID_BYTES
_MAC_BYTES = 32
_HOUR_MS = 3_600_000

#: The longest token there is: that of the largest impression.
MAX_TOKEN_CHARACTERS = -(-(_HEAD + MAX_RECORD_BYTES + _MAC_BYTES) * 4 // 3)


@lru_cache(maxsize=64)
def _key(secret: bytes) -> tuple[bytes, hmac.HMAC]:
    """What a token signed with this secret begins with, and the HMAC that has taken in the secret.

    Copying it saves hashing the secret's two blocks anew for each token.
    """
    key_id = hashlib.sha256(b"keyart token key\0" + secret).digest()[:_KEY_ID_BYTES]
    return _VERSION + key_id, hmac.new(secret, digestmod=hashlib.sha256)


def _mac(prepared: hmac.HMAC, signed: bytes) -> bytes:
    mac = prepared.copy()
    mac.update(signed)
    return mac.digest()


def sign(impression: Impression, secret: bytes) -> str:
    """Make the token of an impression: letters, digits, ``-`` and ``_`` only.

    Parameters
    ----------
    impression
        What was chosen; its ``shown_ms`` is the time of the choice, from which the token ages.
    secret
        The signing key.

    Raises
    ------
    ValueError
        The impression is larger than a record may be.

    Examples
    --------
    >>> shown = Impression("i-1", 1_000, "member-1", "title-1", "art-1", {"drama": 0.5}, "personal", 0.4, 7)
    >>> token = sign(shown, b"a secret of the service")
    >>> verify(token, [b"a secret of the service"], now_ms=2_000, max_age_ms=10_000) == shown
    True
    >>> verify(token, [b"somebody else's secret"], now_ms=2_000, max_age_ms=10_000)
    Traceback (most recent call last):
    ...
    stream.errors.TokenError: the token was altered, or signed with a key that is not among token_secrets
    """
    payload = encode(impression)
    if len(payload) > MAX_RECORD_BYTES:
        raise ValueError(f"an impression of {len(payload)} bytes is too large: the limit is {MAX_RECORD_BYTES}")
    head, prepared = _key(secret)
    signed = head + payload
    return urlsafe_b64encode(signed + _mac(prepared, signed)).rstrip(b"=").decode("ascii")


def verify(token: str, secrets: Sequence[bytes], *, now_ms: int, max_age_ms: int) -> Impression:
    """The impression inside a token, if the token is ours, whole, and not too old.

    Parameters
    ----------
    token
        As it came back; it may be anything at all.
    secrets
        The keys that are accepted. To rotate, put a new one first and drop the old one when its last token has
        expired.
    now_ms, max_age_ms
        The time, and how long after its choice a token is good, in milliseconds.

    Raises
    ------
    TokenError
        It is not one of ours, was altered, or has expired. Nothing else is raised, whatever the token is.
    """
    raw = _unwrapped(token)
    head, signed, mac = raw[:_HEAD], raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if head[:1] != _VERSION:
        raise TokenError(f"the token has format {head[0]}, which this version of Keyart does not know")
    for secret in secrets:
        known, prepared = _key(secret)
        # The key id is no secret, the signature is: only that needs a comparison that takes the same time always.
        if known == head and hmac.compare_digest(_mac(prepared, signed), mac):
            break
    else:
        raise TokenError("the token was altered, or signed with a key that is not among token_secrets")
    try:
        impression = decode(Impression, signed[_HEAD:])
    except DecodeError as error:
        raise TokenError(f"the token's impression cannot be read: {error.reason}") from None
    age = now_ms - impression.shown_ms
    if age > max_age_ms:
        raise TokenError(
            f"the token has expired: its choice was made {age / _HOUR_MS:.1f} hours ago, "
            f"the limit is {max_age_ms / _HOUR_MS:.1f}"
        )
    return impression


def _unwrapped(token: str) -> bytes:
    """The bytes of a token, which must be written exactly as :func:`sign` writes them."""
    if not isinstance(token, str):
        raise TokenError("the token is not a text")
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise TokenError(f"the token is too long: {len(token)} characters, the limit is {MAX_TOKEN_CHARACTERS}")
    try:
        text = token.encode("ascii")
        raw = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:  # also what a character outside ASCII and wrong padding raise
        raise TokenError("the token is not one of ours: it is not base64url") from None
    # Base64 has several spellings of some bytes (spare bits at the end, ignored characters); ours is one.
    if urlsafe_b64encode(raw).rstrip(b"=") != text:
        raise TokenError("the token is not one of ours: it is not base64url as Keyart writes it")
    if len(raw) <= _HEAD + _MAC_BYTES:
        raise TokenError("the token is not one of ours: it is too short")
    return raw


__all__ = ["MAX_TOKEN_CHARACTERS", "sign", "verify"]
