"""The whole loop on this machine: a broker, the processes as deployed, an audience, and a look at what it learns.

The broker is embedded (:mod:`consumers.embedded`), each process is a ``keyart`` command of its own. The audience
runs in this process, with an :class:`~consumers.chooser.ArtworkChooser` and an
:class:`~producers.events.EventProducer` as an app has them. More members than usual get uniform choices, so that
there is something to compare with, and people care a lot about what an artwork shows, so that a minute is enough.
"""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from consumers import logs
from consumers.chooser import ArtworkChooser
from consumers.demo.processes import Processes
from consumers.demo.scene import DemoRules, Scene
from consumers.demo.settings import demo_settings, environment, metrics_ports
from consumers.demo.view import Screen, closing_words
from consumers.demo.watch import Watch, empty_summary
from consumers.embedded import EmbeddedBroker
from consumers.serving.metrics import serve_metrics
from producers.catalogue import load_catalogue
from producers.event_clock import EventClock, room_ms
from producers.events import EventProducer
from producers.simulate import simulate
from stream.errors import InputError
from stream.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stream.settings import Settings

#: The catalogue beside the packages in a checkout; an installation does not carry one.
CATALOGUE = Path(__file__).resolve().parent.parent.parent / "deploy" / "catalogue.json"

_LONGEST_SECONDS = 900.0  # some 2 GB
_START_SECONDS = 60.0
_DRAIN_SECONDS = 15.0
_FRAME_SECONDS = 0.5


def run_demo(
    seconds: float | None = None,
    json_file: Path | None = None,
    *,
    catalogue: Path = CATALOGUE,
    rules: DemoRules | None = None,
    stop: threading.Event | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Run the demo until its time is up or it is told to stop; shows it, and returns the summary.

    Call it from the main thread: on Linux its processes end with the thread that started them.

    Parameters
    ----------
    seconds
        How long the audience stays; None: until ``stop``, but no longer than a quarter of an hour, because the
        embedded broker keeps everything in memory. Starting and ending take a few seconds more.
    json_file
        Where to write the summary, see :func:`consumers.demo.watch.empty_summary`.
    catalogue
        The titles.
    rules
        The audience.
    stop
        Ends it early, with a summary.
    console
        Where to show it.

    Raises
    ------
    InputError
        There is no such catalogue, or the summary cannot be written.
    ProcessEnded
        A process ended that should not have.
    """
    console, stop = console or Console(), stop or threading.Event()
    if not catalogue.is_file():
        raise InputError(f"there is no catalogue at {catalogue}: name one with --catalogue FILE")
    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise InputError(f"{json_file}: there is no directory {json_file.absolute().parent} to write it to")
    scene = Scene(load_catalogue(catalogue), rules or DemoRules())
    with ExitStack() as stack:
        summary = _run(stack, scene, catalogue, seconds, stop, console)
    if json_file is not None:
        try:
            json_file.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            raise InputError(f"{json_file}: the summary cannot be written: {error.strerror}") from None
    console.print(
        closing_words(summary, scene.names), markup=False, highlight=False, soft_wrap=not console.is_terminal
    )
    return summary


def _run(  # noqa: PLR0917 - one demo's parts
    stack: ExitStack,
    scene: Scene,
    catalogue: Path,
    seconds: float | None,
    stop: threading.Event,
    console: Console,
) -> dict[str, Any]:
    """Start, watch, drain, sum up. What must be ended is on the stack, and ends in the reverse order."""
    began = time.monotonic()
    broker = stack.enter_context(EmbeddedBroker())
    settings = demo_settings(broker.bootstrap)
    logs.configure(settings.model_copy(update={"log_level": "error"}))  # lines would tear the picture
    processes = stack.enter_context(Processes(environment(settings), also=broker.check))
    stays = _LONGEST_SECONDS if seconds is None else seconds
    clock = EventClock.ending_now(
        stays,
        scene.rules.speed,
        scene.audience.longest_ms,
        most_ms=room_ms(settings.max_behind_days, scene.audience),
    )
    with console.status("starting: a broker, a viewing worker, two learners, a serving node"):
        topics = processes.run("topics", "topics")
        if not processes.wait_until(topics, seconds=_START_SECONDS, stopped=stop.is_set):
            return empty_summary()
        ports = metrics_ports(fixed=load().http_port != 0)  # 0: any free ones
        ready = _start(processes, settings, catalogue, ports)
        chooser = stack.enter_context(ArtworkChooser(settings, now_ms=clock.now_ms))
        events = stack.enter_context(EventProducer(settings, now_ms=clock.now_ms))
        ready.append(lambda: all(chooser.snapshot(title_id) is not None for title_id in scene.names))
        if not processes.wait_until(*ready, seconds=_START_SECONDS, stopped=stop.is_set):
            return empty_summary()
        processes.started()
        app = settings.model_copy(update={"metrics_port": ports["app"]})
        stack.callback(serve_metrics(app, chooser, events).shutdown)
        watch = Watch(settings, scene, chooser)
        stack.callback(watch.close)
    started_in = time.monotonic() - began
    console.print(
        f"Started in {started_in:.1f} s: a broker on {broker.bootstrap}, one viewing worker, two learners,\n"
        f"and a serving node with a page for people on {_url(settings)}\n"
        f"For Prometheus, under /metrics: {_told(settings, ports)}\n",
        highlight=False,
        soft_wrap=True,
    )
    pool = stack.enter_context(ThreadPoolExecutor(1, "keyart-audience"))
    stack.callback(stop.set)  # whatever ends the demo, the audience goes first
    audience = pool.submit(
        simulate,
        *(settings, scene.audience, chooser, events, clock),
        seconds=stays,
        rate=scene.rules.rate,
        stop=stop,
        on_impression=watch.on_impression,
        watch=watch.on_report,
    )
    _show(audience, watch, processes, Screen(console, _url(settings), _headline(scene), seconds))
    audience.result()
    learned = _drain(watch, processes)
    return watch.summary() | {"learned_everything": learned, "started_in_seconds": round(started_in, 2)}


def _start(
    processes: Processes, settings: Settings, catalogue: Path, ports: Mapping[str, int]
) -> list[Callable[[], bool]]:
    """Start what a deployment has; returns what must hold until all of it is ready."""
    return [
        processes.run("catalogue", "catalogue", "load", str(catalogue.resolve())),
        processes.worker("viewing-1", "viewing", metrics_port=ports["viewing-1"]),
        processes.worker("learner-1", "learner", metrics_port=ports["learner-1"]),
        processes.worker("learner-2", "learner", metrics_port=ports["learner-2"]),
        processes.node("serving-1", "serving", says=_url(settings)),
    ]


def _show(audience: Future[Any], watch: Watch, processes: Processes, screen: Screen) -> None:
    """Show frames until the audience has gone."""
    with screen:
        while not audience.done():
            processes.check()
            screen.show(watch.look())
            with suppress(TimeoutError):
                audience.exception(_FRAME_SECONDS)
        screen.show(watch.look())


def _drain(watch: Watch, processes: Processes) -> bool:
    """Wait until everything that was sent is learned and served; False if that takes too long."""
    deadline = time.monotonic() + _DRAIN_SECONDS
    while not watch.settled():
        processes.check()
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _headline(scene: Scene) -> str:
    return f"{scene.rules.members:,} members, {min(scene.rules.titles, len(scene.names))} titles"


def _url(settings: Settings) -> str:
    return f"http://{settings.http_host}:{settings.http_port}"


def _told(settings: Settings, ports: Mapping[str, int]) -> str:
    """Where each process tells of itself."""
    places = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    places["serving-1"] = f"{settings.http_host}:{settings.http_port}"
    return ", ".join(f"{name} {place}" for name, place in places.items())
