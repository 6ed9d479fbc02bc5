"""Play tokens: what is signed comes back, and nothing else does."""

from __future__ import annotations

import hashlib
import hmac
import string
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from producers import token as token_module
from producers.token import MAX_TOKEN_CHARACTERS, sign, verify
from stream.errors import TokenError
from stream.records import MAX_FEATURES, MAX_RECORD_BYTES, Impression

SECRET, OTHER = b"the service's own secret", b"a secret that came after"
SHOWN_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
ALPHABET = string.ascii_letters + string.digits + "-_"

SHOWN = Impression(
    "impression-1",
    SHOWN_MS,
    "member-1",
    "title-1",
    "art-1",
    {"drama": 0.25, "crime": 1.0},
    "personal",
    0.4,
    12,
    "wide",
)
TOKEN = sign(SHOWN, SECRET)

steady = settings(derandomize=True, deadline=None)
ids = st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), min_size=1, max_size=128)
impressions = st.builds(
    Impression,
    impression_id=ids,
    shown_ms=st.integers(0, 2**47),
    member_id=ids,
    title_id=ids,
    artwork_id=ids,
    context=st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), st.floats(-1e6, 1e6), max_size=MAX_FEATURES
    ),
    policy=st.sampled_from(["personal", "popular", "explore"]),
    propensity=st.floats(1e-12, 1.0),
    snapshot_version=st.none() | st.integers(0, 2**53),
    canvas=st.none() | ids,
)


def opened(token: str, *secrets: bytes, age_ms: int = 0, max_age_ms: int = HOUR_MS) -> Impression:
    """The impression in a token of that age, the service's own secret unless told otherwise."""
    return verify(token, secrets or (SECRET,), now_ms=SHOWN_MS + age_ms, max_age_ms=max_age_ms)


def refusal(token: str) -> str:
    """Why a token is refused; that it is, and with one sentence, is asserted here."""
    with pytest.raises(TokenError) as caught:
        opened(token)
    reason = str(caught.value)
    assert reason.startswith("the token")
    assert "\n" not in reason
    assert len(reason) < 300
    return reason


@steady
@given(impressions, st.binary(min_size=16, max_size=80))
def test_what_is_signed_comes_back(impression: Impression, secret: bytes) -> None:
    """Any impression survives the round trip, in letters that a URL leaves alone."""
    token = sign(impression, secret)
    assert set(token) <= set(ALPHABET)
    assert len(token) <= MAX_TOKEN_CHARACTERS
    assert verify(token, [secret], now_ms=impression.shown_ms, max_age_ms=0) == impression


@steady
@given(st.integers(0, len(TOKEN) - 1), st.sampled_from(ALPHABET + "+/=. \n\x00é💣"))
@example(len(TOKEN) - 1, chr(ord(TOKEN[-1]) + 1))
def test_an_altered_character_is_refused(position: int, character: str) -> None:
    """No single character can be replaced, not even where base64 would read the same bytes."""
    altered = TOKEN[:position] + character + TOKEN[position + 1 :]
    if altered == TOKEN:
        return
    refusal(altered)


def test_every_spelling_of_the_last_character_is_refused() -> None:
    """The spare bits at the end of base64 are checked, for each length that leaves some."""
    for name in ("a", "ab", "abc"):
        token = sign(Impression(name, SHOWN_MS, "m", "t", "a", {}, "popular", 1.0, None), SECRET)
        for character in set(ALPHABET) - {token[-1]}:
            refusal(token[:-1] + character)


@steady
@given(st.integers(0, len(TOKEN) - 1))
def test_a_truncated_token_is_refused(length: int) -> None:
    """A part of a token is none."""
    refusal(TOKEN[:length])
    refusal(TOKEN[len(TOKEN) - length :])


@steady
@given(st.text(max_size=300) | st.text(ALPHABET, max_size=300) | st.binary(max_size=200).map(lambda b: b.hex()))
def test_anything_else_is_refused(text: str) -> None:
    """Whatever an app hands over, the answer is a TokenError."""
    refusal(text)


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("", "too short"),
        ("AQAAAAAA", "too short"),
        (TOKEN + "=", "base64url"),
        (TOKEN + "A", "altered"),
        (TOKEN + "AAAA", "altered"),
        (" " + TOKEN, "base64url"),
        (TOKEN.replace(TOKEN[40], "\ud800"), "base64url"),
        ("Ag" + TOKEN[2:], "format 2"),
        ("A" * 10_000_000, "too long"),
        (None, "not a text"),
        (TOKEN.encode(), "not a text"),
    ],
)
def test_each_refusal_says_why(token: str, says: str) -> None:
    """The sentence names what is wrong with it."""
    assert says in refusal(token)


def test_a_signature_over_something_else_is_refused() -> None:
    """A payload signed by us that is no impression raises a TokenError as well."""
    signed = urlsafe_b64decode(TOKEN + "==")[:5] + b'{"impression_id":"i"}'
    forged = urlsafe_b64encode(signed + hmac.digest(SECRET, signed, hashlib.sha256)).decode().rstrip("=")
    assert "cannot be read" in refusal(forged)


def test_a_token_expires() -> None:
    """It is good up to its age limit, to the millisecond; the refusal says how old it is."""
    assert opened(TOKEN, age_ms=HOUR_MS) == SHOWN
    with pytest.raises(TokenError, match=r"expired: its choice was made 1\.5 hours ago, the limit is 1\.0"):
        opened(TOKEN, age_ms=HOUR_MS * 3 // 2)
    with pytest.raises(TokenError, match="expired"):
        opened(TOKEN, age_ms=HOUR_MS + 1)


def test_a_clock_ahead_does_no_harm() -> None:
    """A node whose clock runs ahead signs tokens that another accepts."""
    assert opened(TOKEN, age_ms=-5_000) == SHOWN


def test_secrets_rotate() -> None:
    """While both are configured old and new tokens are accepted; afterwards the old ones are not."""
    new = sign(SHOWN, OTHER)
    assert new != TOKEN
    for token in (TOKEN, new):
        assert opened(token, OTHER, SECRET) == opened(token, SECRET, OTHER) == SHOWN
    with pytest.raises(TokenError, match="token_secrets"):
        opened(TOKEN, OTHER)
    with pytest.raises(TokenError, match="token_secrets"):
        verify(TOKEN, [], now_ms=SHOWN_MS, max_age_ms=HOUR_MS)


def test_secrets_whose_ids_collide_are_both_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key id only saves work: where two secrets share one, the signature decides."""
    plain = token_module._key

    def collide(secret: bytes) -> object:
        return b"\x01same", plain(secret)[1]

    monkeypatch.setattr(token_module, "_key", collide)
    assert opened(sign(SHOWN, OTHER), SECRET, OTHER) == SHOWN


def test_a_token_can_carry_the_largest_impression() -> None:
    """64 features with the longest names still fit; what exceeds a record is refused when it is signed."""
    context = {chr(0x4E00 + i) * 128: 1 / (i + 3) for i in range(MAX_FEATURES)}
    large = Impression("i" * 128, SHOWN_MS, "m" * 128, "t" * 128, "a" * 128, context, "personal", 1 / 3, 2**53)
    assert opened(sign(large, SECRET)) == large
    beyond = Impression("i", SHOWN_MS, "m", "t", "a", {"x" * MAX_RECORD_BYTES: 1.0}, "personal", 1.0, None)
    with pytest.raises(ValueError, match="too large"):
        sign(beyond, SECRET)


def test_a_token_says_nothing_about_its_secret_but_does_say_the_impression() -> None:
    """Tokens are signed, not encrypted: the impression can be read, the secret cannot."""
    raw = urlsafe_b64decode(TOKEN + "==")
    assert b'"member_id":"member-1"' in raw
    assert SECRET not in raw


@pytest.mark.parametrize(("features", "most"), [(8, 700), (MAX_FEATURES, 3500)])
def test_a_token_stays_small(features: int, most: int, record_property: pytest.FixtureRequest) -> None:
    """With doubles of full length and names of ordinary length a token fits in a header or a cookie."""
    context = {f"theme-name-{i:02}": 1 / (i + 3) for i in range(features)}
    shown = Impression("0" * 32, SHOWN_MS, "member-123456", "title-1234", "art-03", context, "personal", 1 / 3, 77)
    size = len(sign(shown, SECRET))
    record_property("token_characters", size)
    assert size <= most
