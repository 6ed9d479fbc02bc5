"""Artworks come and go through the catalogue while members look: every node follows at once."""

from __future__ import annotations

import time
from contextlib import ExitStack
from statistics import median
from typing import TYPE_CHECKING

from waiting import until

from consumers import ArtworkChooser
from producers.catalogue import publish_catalogue
from stream.records import Artwork, Title

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from processes import Process

    from stream.settings import Settings

#: What a change of the catalogue may take until every node shows it.
SECONDS = 2.0
#: Members enough that each of three artworks is somebody's.
MEMBERS = [f"member-{i}" for i in range(60)]


def film(*artworks: str) -> Title:
    """A title with these artworks."""
    return Title("film", "Film", 5400.0, {"drama": 1.0}, tuple(Artwork(name, {"drama": 1.0}) for name in artworks))


def shown(node: ArtworkChooser) -> set[str]:
    """The artworks that somebody sees on a node, of those that were chosen by what a learner published."""
    choices = [node.choose(member, "film", {"drama": 1.0}) for member in MEMBERS]
    return {choice.artwork_id for choice in choices if choice.snapshot_version is not None}


def test_artworks_come_and_go_on_all_nodes(settings: Settings, keyart: Callable[..., Process]) -> None:
    """With a learner and three nodes: what is withdrawn is shown by none of them, what is added by all, in 2 s.

    Half of all members explore, so that an artwork which can be shown is seen at once.
    """
    exploring = settings.model_copy(update={"explore_share": 0.5})
    publish_catalogue(settings, [film("face", "kiss", "car")])
    keyart(settings, "learner", "--ready").wait_ready()
    with ExitStack() as stack:
        nodes: Sequence[ArtworkChooser] = [stack.enter_context(ArtworkChooser(exploring)) for _ in range(3)]
        for node in nodes:
            node.wait_ready(30)
        until(lambda: all(shown(node) == {"face", "kiss", "car"} for node in nodes), "the first snapshot")
        taken = []
        for artworks in [("face", "kiss"), ("face", "kiss", "door"), ("door", "kiss"), ("face", "kiss", "car")]:
            publish_catalogue(settings, [film(*artworks)])
            begun = time.monotonic()
            until(
                lambda wanted=set(artworks): all(shown(node) == wanted for node in nodes), f"{artworks} everywhere"
            )
            taken.append(time.monotonic() - begun)
    assert median(taken) < SECONDS, taken
