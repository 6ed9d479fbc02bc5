"""The serving node on a broker: what reaches it, what it writes, and that nothing upsets it."""

from __future__ import annotations

import re
import socket
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import traffic
from hanging import Stopped, needs_proc
from waiting import until
from wire import Wire, values

from consumers import ArtworkChooser
from consumers.embedded import EmbeddedBroker, free_port
from producers import EventProducer
from stream.choosing.choice import key_of, policy_of
from stream.errors import TopicError
from stream.kafka import Admin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processes import Process

    from stream.settings import Settings

TITLES = traffic.catalogue(titles=3)
PERSONAL = next(m for m in map("member-{}".format, range(20)) if policy_of(key_of(m), 0.02, 0.05) == "personal")


class Node:
    """A ``keyart serving`` process, spoken to over HTTP."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.url = ""
        self.http = httpx2.Client(timeout=20)

    def wait_ready(self) -> None:
        """Wait until it has announced itself."""

        def announced() -> str:
            assert self.process.running, self.process.output()
            told = re.search(r"serving on (http://\S+)", self.process.output())
            return told[1] if told else ""

        self.url = until(announced, "the node announces itself")

    def get(self, path: str) -> Any:
        """The JSON at a path."""
        return self.http.get(self.url + path).json()

    def post(self, path: str, **body: Any) -> httpx2.Response:
        """Send JSON to a path."""
        return self.http.post(self.url + path, json=body)

    def choose(self, title_id: str = "title-0", **body: Any) -> dict[str, Any]:
        """One choice."""
        answer = self.post("/choose", member_id=PERSONAL, title_id=title_id, **body)
        assert answer.status_code == 200, answer.text
        choice: dict[str, Any] = answer.json()["choices"][0]
        return choice


@pytest.fixture
def serve(keyart: Callable[..., Process]) -> Iterator[Callable[[Settings], Node]]:
    """Starts nodes, on any free port."""
    nodes = []

    def start(settings: Settings) -> Node:
        node = Node(keyart(settings.model_copy(update={"http_port": 0}), "serving"))
        nodes.append(node)
        node.wait_ready()
        return node

    yield start
    for node in nodes:
        node.http.close()


@pytest.fixture
def own_broker() -> Iterator[EmbeddedBroker]:
    """A broker that a test may stop without stopping the others."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def on_own_broker(settings: Settings, own_broker: EmbeddedBroker) -> Settings:
    """Settings and topics of this test, on the broker of this test."""
    ours = settings.model_copy(
        update={"bootstrap_servers": own_broker.bootstrap, "transaction_seconds": 4.0, "connect_seconds": 5.0}
    )
    with Admin(ours) as admin:
        admin.create()
    return ours


def load(wire: Wire, titles: dict[str, Any] = TITLES) -> None:
    """Publish a catalogue."""
    wire.send(("catalogue", title_id, title) for title_id, title in titles.items())


def ended(node: Node, within: float = 10.0) -> float:
    """Ask a node to end; how long that took."""
    began = time.monotonic()
    node.process.terminate()
    assert node.process.wait(within) == 0, node.process.output()
    assert "Traceback" not in node.process.output()
    return time.monotonic() - began


def test_the_loop_closes_over_http(
    settings: Settings, wire: Wire, serve: Callable[[Settings], Node], keyart: Callable[..., Process]
) -> None:
    """Choose, show, play over HTTP; the workers learn it; the node chooses from what they learned."""
    load(wire)
    node = serve(settings)
    before = node.choose()
    assert (before["snapshot_version"], before["propensity"], before["artwork_id"]) == (None, 1.0, "art-0")
    shown = [node.choose(context={"romance": 1.0}) for _ in range(5)]
    assert node.post("/impressions", tokens=[choice["token"] for choice in shown]).json() == {"accepted": 5}
    assert node.post("/plays", token=shown[0]["token"], watched_seconds=5000).status_code == 202
    until(lambda: len(wire.read("impressions")) == 5 and len(wire.read("plays")) == 1, "the events are written")
    written = {record["impression_id"]: record for record in values(wire.read("impressions"))}
    assert set(written) == {choice["impression_id"] for choice in shown}
    assert {record["context"]["romance"] for record in written.values()} == {1.0}
    keyart(settings, "viewing", "--until-drained").succeed()
    keyart(settings, "learner", "--until-drained").succeed()
    learned = until(
        lambda: (choice := node.choose())["snapshot_version"] is not None and choice, "a snapshot has arrived"
    )
    assert learned["snapshot_version"] == 6  # five impressions and a reward
    assert 0 < learned["propensity"] < 1
    taste = until(lambda: node.choose()["context"], "the taste has arrived")
    assert taste == pytest.approx(dict.fromkeys(traffic.THEMES, 1 / 3))
    assert ended(node) < 10


def test_a_second_node_agrees_with_the_first(
    settings: Settings, wire: Wire, serve: Callable[[Settings], Node], keyart: Callable[..., Process]
) -> None:
    """Started later, from compacted topics alone, it gives the same artwork with the same propensity."""
    load(wire)
    first = serve(settings)
    tokens = [first.choose(title_id)["token"] for title_id in TITLES for _ in range(3)]
    first.post("/impressions", tokens=tokens)
    until(lambda: len(wire.read("impressions")) == len(tokens), "the impressions are written")
    keyart(settings, "learner", "--until-drained").succeed()
    until(lambda: all(first.choose(title_id)["snapshot_version"] == 3 for title_id in TITLES), "all is learned")
    second = serve(settings)
    for title_id in TITLES:
        here, there = first.choose(title_id), second.choose(title_id)
        assert here.pop("impression_id") != there.pop("impression_id")
        assert here.pop("token") != there.pop("token")
        assert here == there


def test_an_app_can_do_without_http(settings: Settings, wire: Wire) -> None:
    """A chooser and a producer inside an app do the same; the catalogue's changes reach it."""
    load(wire)
    with ArtworkChooser(settings) as chooser, EventProducer(settings) as events:
        chooser.wait_ready(30)
        assert set(chooser.titles) == set(TITLES)
        page = chooser.choose_page(PERSONAL, [*TITLES, "nothing"])
        assert [choice.title_id for choice in page] == list(TITLES)
        assert all(events.impression(choice) for choice in page)
        wire.send([("catalogue", "title-1", None)])
        until(lambda: chooser.title("title-1") is None, "the title is withdrawn")
        assert [choice.title_id for choice in chooser.choose_page(PERSONAL, TITLES)] == ["title-0", "title-2"]
    assert {record["impression_id"] for record in values(wire.read("impressions"))} == {
        choice.impression_id for choice in page
    }


def test_many_records_are_read_to_their_end_before_it_is_ready(settings: Settings, wire: Wire) -> None:
    """The last of each key counts, and nobody is served from a table that is half read."""
    load(wire)
    for i in range(5):
        wire.send(
            (
                "tastes",
                f"member-{m}",
                {"member_id": f"member-{m}", "updated_ms": i, "views": i, "taste": {"drama": 1}},
            )
            for m in range(2000)
        )
    wire.send([("tastes", PERSONAL, None), ("snapshots", "title-0", "nonsense"), ("tastes", b"\xff", {})])
    with ArtworkChooser(settings) as chooser:
        chooser.wait_ready(30)
        view = chooser.follower.view
        assert len(view.tastes) == 1999
        assert view.refused == {"catalogue": 0, "snapshots": 1, "tastes": 1}
        assert chooser.choose(PERSONAL, "title-0").context == {}
        assert chooser.choose("member-1999", "title-0").context == {"drama": 1.0}


# --- what cannot start says so


def test_without_topics_it_does_not_start(settings: Settings, keyart: Callable[..., Process]) -> None:
    """78 and the command that creates them."""
    nowhere = settings.model_copy(update={"topic_prefix": "no-such-topics.", "http_port": 0})
    process = keyart(nowhere, "serving")
    assert process.wait() == TopicError.exit_code
    assert_one_sentence(process, "run keyart topics")


def test_without_a_broker_it_does_not_start(settings: Settings, keyart: Callable[..., Process]) -> None:
    """69 and the address that was tried."""
    port = free_port()
    nowhere = settings.model_copy(
        update={"bootstrap_servers": f"127.0.0.1:{port}", "connect_seconds": 1.0, "http_port": 0}
    )
    process = keyart(nowhere, "serving")
    assert process.wait() == 69
    assert_one_sentence(process, f"no Kafka broker answers at 127.0.0.1:{port}")


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_where_it_cannot_listen_it_does_not_start(
    host: str, settings: Settings, keyart: Callable[..., Process]
) -> None:
    """A port in use, a host that is not ours: 78 and the settings to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = keyart(settings.model_copy(update={"http_host": host, "http_port": port}), "serving")
        assert process.wait() == 78
    assert_one_sentence(process, f"cannot listen on {host} port {port}")


def test_without_a_secret_it_does_not_start(settings: Settings, keyart: Callable[..., Process]) -> None:
    """Anyone could claim plays: 78 and the setting's name."""
    process = keyart(settings.model_copy(update={"token_secrets": ()}), "serving")
    assert process.wait() == 78
    assert_one_sentence(process, "KEYART_TOKEN_SECRETS")


def assert_one_sentence(process: Process, sentence: str) -> None:
    """What a person sees is the sentence, once, and nothing of the inside."""
    said = process.output()
    assert "Traceback" not in said
    told = [line for line in said.splitlines() if line.startswith("keyart: ")]
    assert len(told) == 1, said
    assert sentence in told[0]


# --- what does not stop it


@needs_proc
def test_a_broker_that_hangs_and_comes_back(
    on_own_broker: Settings, own_broker: EmbeddedBroker, serve: Callable[[Settings], Node]
) -> None:
    """Meanwhile it chooses from what it has, and says that it is cut off; afterwards it follows again."""
    wire = Wire(on_own_broker)
    load(wire)
    node = serve(on_own_broker)
    choice = node.choose()
    with Stopped(own_broker):
        until(lambda: not node.get("/readyz")["connected"], "the node notices")
        assert node.get("/readyz")["ready"]
        again = node.choose()
        assert (again["artwork_id"], again["propensity"]) == (choice["artwork_id"], choice["propensity"])
    until(lambda: node.get("/readyz")["connected"], "the node is back")
    wire.send([("catalogue", "title-0", None)])
    until(lambda: node.post("/choose", member_id="m", title_id="title-0").status_code == 404, "it follows")
    wire.close()
    ended(node)


def test_a_broker_that_is_gone(
    on_own_broker: Settings, own_broker: EmbeddedBroker, serve: Callable[[Settings], Node]
) -> None:
    """It goes on choosing, refuses the events it cannot keep, and still ends cleanly and in time."""
    wire = Wire(on_own_broker)
    load(wire)
    wire.close()
    node = serve(on_own_broker)
    own_broker.close()
    until(lambda: not node.get("/readyz")["connected"], "the node notices", 60)
    token = node.choose()["token"]
    answer = node.post("/plays", token=token, watched_seconds=60)
    assert answer.status_code in (202, 503)  # taken in for a while, refused once it is known that nobody answers
    assert node.get("/livez") == {"live": True}
    assert ended(node) < 10


def test_a_signal_while_it_starts_ends_it(settings: Settings, keyart: Callable[..., Process]) -> None:
    """It need not have become ready: a supervisor that changes its mind is obeyed."""
    port = free_port()
    nowhere = settings.model_copy(
        update={"bootstrap_servers": f"127.0.0.1:{free_port()}", "connect_seconds": 60.0, "http_port": port}
    )
    process = keyart(nowhere, "serving")
    until(lambda: _answers(f"http://127.0.0.1:{port}/livez"), "it listens")
    began = time.monotonic()
    process.terminate()
    assert process.wait(10) == 0, process.output()
    assert time.monotonic() - began < 10
    assert "Traceback" not in process.output()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False
