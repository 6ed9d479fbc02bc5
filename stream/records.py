"""The records on Keyart's topics, as frozen types that carry their limits.

Values are UTF-8 JSON objects, times are integer milliseconds UTC. Unknown fields are ignored, so that records can
grow. :mod:`stream.codec` turns bytes into these types and back, and is the only place where either happens.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

#: The most bytes a record's value may have when an app writes it.
MAX_RECORD_BYTES = 64 * 1024
#: How deep objects and lists may lie in one another in such a record. Ours need three; fields we do not know may
#: need more.
MAX_NESTING = 32
#: The most characters of an id, a feature or a theme.
MAX_NAME = 128
#: The most features a context may hold.
MAX_FEATURES = 64
#: The most artworks a title may have.
MAX_ARTWORKS = 256

_MAX_MS = 253_402_300_799_999  # the last millisecond of the year 9999
_MAX_VALUE = 1e6  # a feature's square, summed over 10^12 impressions, stays far inside a double

_ID_PATTERN = r"^[^\x00-\x1f\x7f]+\Z"
#: A title, artwork, member, play or impression: up to 128 characters, none of them a control character.
Id = Annotated[str, Meta(min_length=1, max_length=MAX_NAME, pattern=_ID_PATTERN)]
#: The same in a record that comes by the million: :func:`stream.codec.decode` looks for control characters, and
#: only where there can be any. A pattern would be half of the time that reading such a record takes.
EventId = Annotated[str, Meta(min_length=1, max_length=MAX_NAME, extra_json_schema={"pattern": _ID_PATTERN})]
#: The name of a feature or theme.
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
#: Milliseconds since 1970-01-01T00:00Z.
Milliseconds = Annotated[int, Meta(ge=0, le=_MAX_MS)]
#: A feature's value: finite, and small enough that sums of squares stay exact.
Value = Annotated[float, Meta(ge=-_MAX_VALUE, le=_MAX_VALUE)]
#: A theme's weight in a title or an artwork.
Weight = Annotated[float, Meta(ge=0, le=1)]
#: A probability that something happened which did happen.
Propensity = Annotated[float, Meta(gt=0, le=1)]
#: What an impression has earned so far.
Reward = Annotated[float, Meta(ge=0, le=1)]

#: Which rule of Keyart's chooses an artwork: Thompson sampling with context, the same without, or uniform choice.
Rule = Literal["personal", "popular", "explore"]
#: Who chose an artwork: one of these rules, or the app itself.
Policy = Literal["personal", "popular", "explore", "app"]
#: Features by name.
Context = Annotated[dict[Name, Value], Meta(max_length=MAX_FEATURES)]
#: The same in a record that comes by the million, under whatever names: one that is no feature of the model is
#: ignored however long it is, and to look at each would be a fifth of the time that reading such a record takes.
EventContext = Annotated[dict[str, Value], Meta(max_length=MAX_FEATURES)]
Themes = Annotated[dict[Name, Weight], Meta(max_length=MAX_FEATURES)]


class Record(Struct, frozen=True, omit_defaults=True, gc=False):
    """What every record is: immutable, comparable, and strict about the fields it names.

    Nothing a record holds can hold the record, so the garbage collector need not look at it.
    """


class Impression(Record, frozen=True):
    """A member was shown an artwork of a title. Key of ``impressions``: the title.

    ``advised`` is what Keyart would have shown where the policy is ``app``.
    """

    impression_id: EventId
    shown_ms: Milliseconds
    member_id: EventId
    title_id: EventId
    artwork_id: EventId
    context: EventContext
    policy: Policy
    propensity: Propensity
    snapshot_version: Annotated[int, Meta(ge=0)] | None
    canvas: EventId | None = None
    advised: EventId | None = None


class Play(Record, frozen=True):
    """A member has watched a title for so long. Key of ``plays``: the member.

    ``watched_seconds`` is cumulative for one ``play_id``: a later record of it supersedes an earlier one.
    ``impression`` is the one that led to the play, or None for a play that no artwork led to.
    """

    play_id: EventId
    played_ms: Milliseconds
    member_id: EventId
    title_id: EventId
    watched_seconds: Annotated[float, Meta(ge=0, le=1e7)]
    impression: Impression | None


class RewardChange(Record, frozen=True):
    """What an impression has earned changed. Key of ``rewards``: the title.

    ``credit`` is the change and ``reward`` the total so far; the sum of an impression's credits is its reward.
    ``group`` is that of the member, one of 16, see :func:`stream.worth.policies.group_of`.
    """

    impression_id: EventId
    shown_ms: Milliseconds
    credited_ms: Milliseconds
    title_id: EventId
    artwork_id: EventId
    context: EventContext
    policy: Policy
    propensity: Propensity
    credit: Annotated[float, Meta(ge=-1, le=1)]
    reward: Reward
    group: Annotated[int, Meta(ge=0, lt=16)] | None = None
    advised: EventId | None = None


class Taste(Record, frozen=True):
    """What a member likes to watch. Key of ``tastes``: the member.

    The shares of ``cast:`` themes (people) sum to 1 on their own, those of the other themes likewise.
    """

    member_id: Id
    updated_ms: Milliseconds
    views: Annotated[int, Meta(ge=0)]
    taste: dict[Name, Weight]


class Artwork(Record, frozen=True):
    """One picture of a title, described by what it shows."""

    artwork_id: Id
    themes: Themes
    canvas: Id | None = None
    image: Annotated[str, Meta(max_length=2048)] | None = None

    def fits(self, canvas: str | None) -> bool:
        """Whether it may be shown on a canvas: one without a canvas fits all, and no canvas is as good as any."""
        return canvas is None or self.canvas is None or self.canvas == canvas


class Title(Record, frozen=True):
    """A film or series and its artworks. Key of ``catalogue``: the title; a tombstone withdraws it."""

    title_id: Id
    name: Annotated[str, Meta(min_length=1, max_length=256)]
    runtime_seconds: Annotated[float, Meta(gt=0, le=1e7)]
    themes: Themes
    artworks: Annotated[tuple[Artwork, ...], Meta(min_length=1, max_length=MAX_ARTWORKS)]

    def __post_init__(self) -> None:
        ids = [artwork.artwork_id for artwork in self.artworks]
        if len(set(ids)) < len(ids):
            twice = next(i for i in ids if ids.count(i) > 1)
            raise ValueError(f"artwork {twice!r} is listed twice")


class ModelParameters(Record, frozen=True):
    """What the posterior of every artwork of a title shares.

    ``prior_precision`` is the diagonal of the prior precision of the weights (d numbers), ``noise_precision`` one
    over the variance of a reward around its mean, ``half_life_days`` how fast evidence fades (None: never).
    """

    prior_precision: tuple[float, ...]
    noise_precision: float
    half_life_days: float | None


class ArtworkSnapshot(Record, frozen=True):
    """What was learned of one artwork: exact counts, and the Gaussian posterior of its d weights.

    ``mean`` has d numbers; ``factor`` is the lower Cholesky factor of the posterior covariance, row by row,
    d(d+1)/2 numbers. ``held`` is the mean to choose by, where it is not ``mean``: it follows that only when the
    evidence has moved enough. ``popular`` is mean and standard deviation of the reward, whoever looks; where it
    is missing the counts say.
    """

    artwork_id: Id
    impressions: Annotated[int, Meta(ge=0)]
    plays: Annotated[int, Meta(ge=0)]
    reward: float
    prior_mean: tuple[float, ...]
    mean: tuple[float, ...]
    factor: tuple[float, ...]
    canvas: Id | None = None
    held: tuple[float, ...] | None = None
    popular: tuple[float, float] | None = None


class Snapshot(Record, frozen=True):
    """Everything a serving node needs to choose an artwork of one title. Key of ``snapshots``: the title.

    ``version`` is the number of records learned for the title: a function of the state, not of who publishes it.
    ``policies`` is what each policy has earned: exact impressions, plays and reward by group of members, see
    :mod:`stream.worth.policies`.
    """

    title_id: Id
    version: Annotated[int, Meta(ge=0)]
    published_ms: Milliseconds
    learned_through_ms: Milliseconds
    features: tuple[Name, ...]
    model: ModelParameters
    artworks: tuple[ArtworkSnapshot, ...]
    policies: dict[str, tuple[tuple[float, ...], ...]] = {}

    def __post_init__(self) -> None:
        d = len(self.features)
        if len(self.model.prior_precision) != d:
            raise ValueError("prior_precision does not have one number per feature")
        for artwork in self.artworks:
            held = artwork.mean if artwork.held is None else artwork.held
            lengths = len(artwork.prior_mean), len(artwork.mean), len(held), len(artwork.factor)
            if lengths != (d, d, d, d * (d + 1) // 2):
                raise ValueError(f"artwork {artwork.artwork_id!r} has vectors of the wrong length")


__all__ = [
    "MAX_ARTWORKS",
    "MAX_FEATURES",
    "MAX_NAME",
    "MAX_NESTING",
    "MAX_RECORD_BYTES",
    "Artwork",
    "ArtworkSnapshot",
    "Context",
    "EventContext",
    "EventId",
    "Impression",
    "ModelParameters",
    "Play",
    "Policy",
    "Record",
    "RewardChange",
    "Snapshot",
    "Taste",
    "Title",
]
