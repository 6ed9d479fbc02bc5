"""From what is known to an explanation: a pure function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from consumers.chooser.contexts import merge
from stream.choosing.choice import bucket_length, key_of, left_to_app, policy_of, time_bucket
from stream.choosing.servable import ServableTitle
from stream.errors import InputError
from stream.explanation import Learned, Standing, Tendency, popular_standings, standings, tendencies
from stream.features import CAST_PREFIX, cast_affinity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from consumers.explaining.question import Question
    from stream.records import Artwork, Policy, Rule, Snapshot
    from stream.settings import Settings


class Counted(Struct, frozen=True):
    """What is counted of an artwork: exact, and of everything ever learned.

    Attributes
    ----------
    impressions, plays, reward
        How often it was shown, how often that led to a play, and what that earned.
    people
        Whom it shows, and how much.
    """

    artwork_id: str
    impressions: int
    plays: int
    reward: float
    people: dict[str, float]


class OfMember(Struct, frozen=True):
    """What a member gets.

    Attributes
    ----------
    member_id, policy, context
        Who, by which rule, and what is known of the member.
    people
        The people whom the member likes, and how much.
    artwork_id, propensity
        What the member gets now, and how likely that was. None where the policy is ``app``: the app knows.
    """

    member_id: str
    policy: Policy
    context: dict[str, float]
    people: dict[str, float]
    artwork_id: str | None
    propensity: float | None


class Report(Struct, frozen=True):
    """Which artwork, for whom, why, how sure and since when.

    Attributes
    ----------
    title_id, name, version, published_ms, learned_through_ms
        The title, and its snapshot.
    canvas
        Where it is to be shown; None: anywhere.
    against
        The artwork that effects are held against; None: the mean of the others.
    counts
        What is counted of each artwork that competes.
    favourite
        The artwork with the largest expected reward.
    since_ms
        When the first snapshot was published since which that is so.
    since_is_earliest
        That was the oldest snapshot that the topic still holds: it may be so for longer.
    standings
        How each artwork stands with the member, in the catalogue's order; without one, with members of whom
        nothing is looked at.
    tendencies
        Which artwork each feature speaks for most, whoever has it; empty for a member.
    member
        The member; None where the question is about nobody in particular.
    """

    title_id: str
    name: str
    version: int
    published_ms: int
    learned_through_ms: int
    canvas: str | None
    against: str | None
    counts: tuple[Counted, ...]
    favourite: str
    since_ms: int
    since_is_earliest: bool
    standings: tuple[Standing, ...]
    tendencies: tuple[Tendency, ...]
    member: OfMember | None

    def standing(self, artwork_id: str) -> Standing:
        """That of one artwork."""
        return next(one for one in self.standings if one.artwork_id == artwork_id)


def report(
    question: Question, settings: Settings, now_ms: int, *, canvas: str | None = None, against: str | None = None
) -> Report:
    """Explain.

    Parameters
    ----------
    question
        What is known.
    settings
        How nodes choose.
    now_ms
        When: draws depend on it.
    canvas
        Leave out artwork that is made for another one.
    against
        Hold the others against this artwork, instead of each against the mean of the others.

    Raises
    ------
    InputError
        Nothing competes, or ``against`` does not; the message says what does.
    """
    title, snapshot = question.title, question.history[-1]
    listed = {one.artwork_id: one for one in title.artworks if one.fits(canvas)}
    servable = _servable(snapshot, listed)
    if servable is None:
        raise InputError(
            f"no artwork of title {title.title_id!r} competes: its snapshot knows none that the catalogue lists"
            + ("" if canvas is None else f" for canvas {canvas!r}")
        )
    names = servable.artwork_ids
    if against is not None and against not in names:
        raise InputError(f"artwork {against!r} does not compete; these do: {', '.join(names)}")
    rule = {"floor": settings.uniform_floor, "exploration": settings.exploration}
    learned = Learned.of_snapshot(snapshot).only(names)
    context = merge(question.taste, {})
    if question.member_id is None:
        found = popular_standings(servable, **rule)
        tends = tendencies(learned, [bool(_people(listed[name].themes)) for name in names])
    else:
        cast = _cast(question.taste, listed, names)
        found, tends = standings(learned, context, cast, against=against, **rule), ()
    favourite = max(found, key=lambda one: one.mean).artwork_id
    since_ms, is_earliest = _since(question, listed, context, favourite)
    counted = {one.artwork_id: one for one in snapshot.artworks}
    return Report(
        title.title_id,
        title.name,
        snapshot.version,
        snapshot.published_ms,
        snapshot.learned_through_ms,
        canvas,
        against,
        tuple(
            Counted(name, one.impressions, one.plays, one.reward, _people(listed[name].themes))
            for name in names
            for one in (counted[name],)
        ),
        favourite,
        since_ms,
        is_earliest,
        found,
        tends,
        _member(question, servable, listed, settings, now_ms),
    )


def _servable(snapshot: Snapshot, listed: Mapping[str, Artwork]) -> ServableTitle | None:
    """What nodes choose from; None if nothing of it is listed, or it cannot be chosen from."""
    try:
        return ServableTitle(snapshot).only(listed)
    except (ValueError, OverflowError):
        return None


def _people(themes: Mapping[str, float]) -> dict[str, float]:
    """The people among some themes, by their names."""
    return {
        name.removeprefix(CAST_PREFIX): share for name, share in themes.items() if name.startswith(CAST_PREFIX)
    }


def _cast(taste: Mapping[str, float], listed: Mapping[str, Artwork], names: Sequence[str]) -> list[float]:
    return [cast_affinity(taste, listed[name].themes) for name in names]


def _since(
    question: Question, listed: Mapping[str, Artwork], context: Mapping[str, float], favourite: str
) -> tuple[int, bool]:
    """When the favourite became it, and whether that is as far back as can be seen."""
    since_ms = question.history[-1].published_ms
    for before in reversed(question.history[:-1]):
        servable = _servable(before, listed)
        if servable is None:
            return since_ms, False
        names = servable.artwork_ids
        if question.member_id is None:
            mean = servable.popular[0]
        else:
            mean = servable.scores(context, "personal", _cast(question.taste, listed, names))[0]
        if names[int(mean.argmax())] != favourite:
            return since_ms, False
        since_ms = before.published_ms
    return since_ms, True


def _member(
    question: Question,
    servable: ServableTitle,
    listed: Mapping[str, Artwork],
    settings: Settings,
    now_ms: int,
) -> OfMember | None:
    """What the member gets now."""
    if question.member_id is None:
        return None
    key = key_of(question.member_id)
    context, people = merge(question.taste, {}), _people(question.taste)
    if settings.app_share and left_to_app(key, settings.app_share):
        return OfMember(question.member_id, "app", context, people, None, None)
    rule: Rule = policy_of(key, settings.explore_share, settings.popular_share)
    place, propensity = servable.choose(
        context,
        rule,
        key,
        time_bucket(key, servable.key, now_ms, bucket_length(settings.sticky_days)),
        floor=settings.uniform_floor,
        exploration=settings.exploration,
        cast=_cast(question.taste, listed, servable.artwork_ids),
    )
    return OfMember(question.member_id, rule, context, people, servable.artwork_ids[place], propensity)
