"""The catalogue that comes with Keyart as if much had been learned of it: what a node serves, without a broker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from builders import START_MS, some_settings
from prometheus_client import CollectorRegistry
from tables import MemoryTables

from consumers.serving import build_app
from producers.catalogue import load_catalogue
from stream.features import BIAS, CAST, CAST_PREFIX
from stream.learning.posterior import pack
from stream.records import ArtworkSnapshot, ModelParameters, Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.applications import Starlette

    from consumers import ArtworkChooser
    from producers import EventProducer
    from stream.records import Title

CATALOGUE = Path(__file__).parent.parent / "deploy" / "catalogue.json"
#: How much a member who watches nothing else earns an artwork that shows nothing else.
_STRENGTH = 0.45


def learned_catalogue(seed: int = 1) -> MemoryTables:
    """The catalogue, and of each title a snapshot by which members like artwork that shows what they watch."""
    titles = load_catalogue(CATALOGUE)
    tags = (
        tag for title in titles for themes in (title.themes, *(a.themes for a in title.artworks)) for tag in themes
    )
    themes = sorted({tag for tag in tags if not tag.startswith(CAST_PREFIX)})
    rng = np.random.default_rng(seed)
    return MemoryTables(*titles, *(_learned(title, themes, rng) for title in titles))


class NoEvents:
    """In place of a producer where nobody may write: whoever tries to fails."""

    delivered = queued = 0
    dropped: ClassVar[dict[str, int]] = {}


def app_on(chooser: ArtworkChooser, **changes: Any) -> Starlette:
    """A serving node's application, which writes nothing."""
    settings = some_settings(token_secrets=("a secret for the tests",), **changes)
    return build_app(settings, chooser, cast("EventProducer", NoEvents()), CollectorRegistry())


def _learned(title: Title, themes: Sequence[str], rng: np.random.Generator) -> Snapshot:
    features = (BIAS, *themes, CAST)
    d = len(features)
    artworks = []
    for artwork in title.artworks:
        mean = rng.normal(0.0, 0.015, d)
        mean[0] += 0.12
        mean[1:-1] += _STRENGTH * np.array([artwork.themes.get(theme, 0.0) - 0.15 for theme in themes])
        factor = np.diag(rng.uniform(0.05, 0.15, d))
        factor[0, 0] = 0.01
        artworks.append(
            ArtworkSnapshot(
                artwork.artwork_id,
                1200,
                300,
                180.0,
                (0.0,) * d,
                tuple(mean.tolist()),
                tuple(pack(factor).tolist()),
            )
        )
    return Snapshot(
        title.title_id,
        4321,
        published_ms=START_MS,
        learned_through_ms=START_MS - 500,
        features=features,
        model=ModelParameters((10.0,) * d, 20.0, None),
        artworks=tuple(artworks),
    )
