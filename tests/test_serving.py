"""The serving node over HTTP, without a broker: a real chooser on tables in memory, events kept in sight."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
import pytest
from builders import START_MS, some_settings, some_title
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.testclient import TestClient
from structlog.testing import capture_logs
from tables import MemoryTables, some_snapshot, some_taste

from consumers import ArtworkChooser
from consumers.serving import build_app, http
from consumers.serving.http import Refused, read
from consumers.serving.node import listening, url_of
from producers import EventProducer
from producers.token import sign
from stream.codec import decode
from stream.errors import ConfigurationError
from stream.records import Artwork, Impression, Play
from stream.topics import CATALOGUE, IMPRESSIONS, PLAYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from httpx2 import Response

    from stream.kafka import Output

SECRET = "a secret for the tests"
#: In the personal policy, so that a taste shows.
ANN = "ann"
MAX_BYTES = 4096


class Outbox:
    """Where the producer's records end up."""

    def __init__(self, *_: object) -> None:
        self.records: list[Output] = []
        self.room: int | None = None
        self.dropped: dict[str, int] = {}
        self.queued = 0

    @property
    def delivered(self) -> int:
        """All of them."""
        return len(self.records)

    def put(self, output: Output) -> bool:
        """Take a record, as long as there is room."""
        if self.room is not None and len(self.records) >= self.room:
            self.dropped[output.topic.name] = self.dropped.get(output.topic.name, 0) + 1
            return False
        self.records.append(output)
        return True

    def close(self) -> None:
        """Nothing is on its way."""


class Node:
    """A node and everything behind it."""

    def __init__(self, tables: MemoryTables, outbox: Outbox, *, ready: bool = True, **changes: Any) -> None:
        self.tables = tables
        self.outbox = outbox
        settings = some_settings(token_secrets=(SECRET,), http_max_bytes=MAX_BYTES, **changes)
        self.now_ms = START_MS
        self.chooser = ArtworkChooser(settings, now_ms=lambda: self.now_ms, open_tables=tables.open)
        if ready:
            self.chooser.wait_ready(20)
        self.events = EventProducer(settings, now_ms=lambda: self.now_ms)
        self.events._outbox = outbox  # type: ignore[assignment]
        self.registry = CollectorRegistry()
        # Starlette's client raises what escapes an application: then a test fails, as it should.
        self.http = TestClient(build_app(settings, self.chooser, self.events, self.registry))

    def choose(self, **body: Any) -> Response:
        """``POST /choose``."""
        return self.http.post("/choose", json={"member_id": ANN} | body)

    def token(self, title_id: str = "film") -> str:
        """The token of a choice made now."""
        token: str = self.choose(title_id=title_id).json()["choices"][0]["token"]
        return token

    def metrics(self) -> dict[tuple[str, str], float]:
        """Every sample by name and labels."""
        families = text_string_to_metric_families(self.http.get("/metrics").text)
        return {
            (sample.name, ",".join(sample.labels.values())): sample.value for f in families for sample in f.samples
        }


@pytest.fixture
def outbox(monkeypatch: pytest.MonkeyPatch) -> Outbox:
    """In place of a connection to Kafka."""
    outbox = Outbox()
    monkeypatch.setattr("producers.events.Outbox", lambda *_: outbox)
    return outbox


@pytest.fixture
def node(outbox: Outbox) -> Iterator[Node]:
    """A node that knows a film, with a snapshot, and a series, without."""
    tables = MemoryTables(some_title(), some_title("series"), some_snapshot(), some_taste(ANN, romance=1.0))
    node = Node(tables, outbox)
    yield node
    node.chooser.close()


def fault(response: Response, status: int) -> str:
    """The sentence of a refusal."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert "Traceback" not in response.text
    sentence: str = response.json()["error"]
    return sentence


# --- choosing


def test_choose_answers_with_the_choosers_choices(node: Node) -> None:
    """In the order asked for, each with everything an app needs; unknown titles are named, once."""
    answer = node.choose(title_ids=["series", "lost", "film", "lost"])
    assert answer.status_code == 200
    assert answer.json()["unknown"] == ["lost"]
    first, second = answer.json()["choices"]
    expected = msgspec.structs.asdict(node.chooser.choose(ANN, "film"))
    for own in ("impression_id", "token"):
        assert second.pop(own)
        expected.pop(own)
    assert second == expected
    assert second["artwork_id"] == "kiss"
    assert (first["title_id"], first["artwork_id"], first["snapshot_version"]) == ("series", "face", None)


def test_choose_lays_a_context_over_the_taste(node: Node) -> None:
    """What the app knows of the moment counts."""
    choice = node.choose(title_id="film", context={"romance": 0, "comedy": 1}).json()["choices"][0]
    assert choice["context"] == {"romance": 0.0, "comedy": 1.0}
    assert choice["artwork_id"] == "face"


def test_one_unknown_title_is_not_found(node: Node) -> None:
    """Asked for alone, it is an error and not an empty answer."""
    assert "'lost' is not in the catalogue" in fault(node.choose(title_id="lost"), 404)


class TestCanvases:
    """A request may name where the artwork will be shown."""

    @pytest.fixture
    def node(self, node: Node) -> Node:
        """The film has a face for the billboard and a kiss for the box; the series' artworks fit any canvas."""
        node.tables.write(
            some_title(artworks=(Artwork("face", {}, canvas="billboard"), Artwork("kiss", {}, canvas="box")))
        )
        node.tables.settle()
        return node

    def test_artwork_made_for_the_canvas_is_chosen(self, node: Node) -> None:
        """Ann would see the kiss; on the billboard there is none. The token holds where it was to be shown."""
        assert node.choose(title_id="film").json()["choices"][0]["artwork_id"] == "kiss"
        (choice,) = node.choose(title_id="film", canvas="billboard").json()["choices"]
        assert (choice["artwork_id"], choice["propensity"]) == ("face", 1.0)
        node.http.post("/impressions", json={"tokens": [choice["token"]]})
        assert decode(Impression, node.outbox.records[0].value).canvas == "billboard"

    def test_one_title_without_the_canvas_is_not_found(self, node: Node) -> None:
        """The sentence says which canvases there are."""
        sentence = fault(node.choose(title_id="film", canvas="panel"), 404)
        assert sentence == "title 'film' has no artwork for canvas 'panel', only for 'billboard', 'box'"

    def test_a_page_lists_what_has_no_artwork_for_it(self, node: Node) -> None:
        """Apart from the titles that the catalogue does not have, and each once."""
        answer = node.choose(title_ids=["film", "lost", "series", "film"], canvas="panel").json()
        assert [choice["title_id"] for choice in answer["choices"]] == ["series"]
        assert (answer["unknown"], answer["without_canvas"]) == (["lost"], ["film"])
        answer = node.choose(title_ids=["film", "series"]).json()
        assert (answer["unknown"], answer["without_canvas"]) == ([], [])


FAULTS = {
    "not JSON": ("{", "not JSON"),
    "nothing": ("", "not JSON"),
    "not UTF-8": (b'{"member_id": "\xff"}', "not JSON"),
    "nested beyond measure": ("[" * 4000, "body"),
    "a list": ("[]", "Expected `object`, got `array`"),
    "no member": ('{"title_id": "film"}', "missing required field `member_id`"),
    "a member's number": ('{"member_id": 7, "title_id": "film"}', r"got `int` - at `\$\.member_id`"),
    "an empty member": ('{"member_id": "", "title_id": "film"}', r"at `\$\.member_id`"),
    "a misspelt field": ('{"member_id": "a", "title_id": "film", "contxt": {}}', "unknown field `contxt`"),
    "no title": ('{"member_id": "a"}', "title_id or title_ids"),
    "both": ('{"member_id": "a", "title_id": "a", "title_ids": []}', "title_id or title_ids"),
    "a canvas's number": ('{"member_id": "a", "title_id": "film", "canvas": 7}', r"at `\$\.canvas`"),
    "an empty canvas": ('{"member_id": "a", "title_id": "film", "canvas": ""}', r"at `\$\.canvas`"),
    "a context of text": ('{"member_id": "a", "title_id": "film", "context": {"x": "1"}}', r"at `\$\.context"),
    "not a number": ('{"member_id": "a", "title_id": "film", "context": {"x": NaN}}', "not JSON"),
    "beyond floats": ('{"member_id": "a", "title_id": "film", "context": {"x": 1e999}}', "context"),
    "too large a number": ('{"member_id": "a", "title_id": "film", "context": {"x": 1e7}}', r"at `\$\.context"),
    "too many titles": (json.dumps({"member_id": "a", "title_ids": ["x"] * 201}), r"at `\$\.title_ids"),
    "too many features": (
        json.dumps({"member_id": "a", "title_id": "film", "context": {f"f{i}": 1 for i in range(65)}}),
        r"at `\$\.context",
    ),
}


@pytest.mark.parametrize(("body", "sentence"), FAULTS.values(), ids=FAULTS)
def test_a_bad_body_is_named(body: str | bytes, sentence: str, node: Node) -> None:
    """400, and a sentence that says which field and what is wrong with it."""
    assert re.search(sentence, fault(node.http.post("/choose", content=body), 400))


@pytest.mark.parametrize("path", ["/choose", "/impressions", "/plays"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_long_body_is_refused(path: str, chunked: bool, node: Node) -> None:
    """One byte more than allowed is too long, whether its length was said or not."""
    body = b" " * (MAX_BYTES + 1)
    answer = node.http.post(path, content=iter([body[:100], body[100:]]) if chunked else body)
    assert fault(answer, 413) == "the body is longer than 4096 bytes"


@pytest.mark.parametrize(
    ("declared", "most_read"), [(None, 5), ("20000", 0), ("9" * 5000, 0), ("1", 5), ("-1", 5)]
)
def test_a_long_body_is_not_read_to_its_end(declared: str | None, most_read: int) -> None:
    """Of twenty chunks none is taken if the length is said, and no more than fit if it is not, or is a lie."""
    taken = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b" " * 1000, "more_body": taken < 20}

    headers = [] if declared is None else [(b"content-length", declared.encode())]
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)
    with pytest.raises(Refused, match="longer than 4096"):
        asyncio.run(read(request, msgspec.Struct, MAX_BYTES))
    assert taken == most_read


def test_a_body_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who sends nothing more does not hold a connection for ever."""
    monkeypatch.setattr(http, "BODY_SECONDS", 0.02)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(3600)
        raise AssertionError

    request = Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)
    with pytest.raises(Refused, match="did not end within") as refused:
        asyncio.run(read(request, msgspec.Struct, MAX_BYTES))
    assert refused.value.status == 408


def test_a_body_of_the_allowed_length_is_read(node: Node) -> None:
    """The limit itself is allowed."""
    body = json.dumps({"member_id": ANN, "title_id": "film"}).ljust(MAX_BYTES)
    assert node.http.post("/choose", content=body).status_code == 200


def test_a_node_that_has_not_read_its_tables_says_so(outbox: Outbox) -> None:
    """It lives, it is not ready, it does not choose; nobody is told that a title is unknown."""
    tables = MemoryTables(some_title())
    tables.hold(0)
    node = Node(tables, outbox, ready=False)
    try:
        assert node.http.get("/livez").json() == {"live": True}
        refused = node.choose(title_id="film")
        assert "not read" in fault(refused, 503)
        assert refused.headers["retry-after"] == "1"
        assert "not read" in fault(node.http.get("/readyz"), 503)
        tables.hold(None)
        node.chooser.follower._settled.wait(20)
        assert node.http.get("/readyz").json() == {"ready": True, "connected": True, "titles": 1}
        assert node.choose(title_id="film").status_code == 200
    finally:
        node.chooser.close()


def test_a_ready_node_stays_ready_without_kafka(node: Node) -> None:
    """Members are served from what is known; whoever watches sees that it is cut off."""
    node.tables.break_with(OSError("gone"))
    node.tables.wait(lambda: node.chooser.follower.failures > 0, "a failure")
    assert node.http.get("/readyz").json() == {"ready": True, "connected": False, "titles": 2}
    assert node.choose(title_id="film").json()["choices"][0]["snapshot_version"] == 10


# --- events


def test_impressions_are_those_of_the_tokens(node: Node) -> None:
    """What was signed is what is written, under its title."""
    tokens = [node.token("film"), node.token("series")]
    answer = node.http.post("/impressions", json={"tokens": tokens})
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2})
    written = [(out.topic, out.key, decode(Impression, out.value)) for out in node.outbox.records]
    assert [(topic, key, record.title_id, record.member_id) for topic, key, record in written] == [
        (IMPRESSIONS, b"film", "film", ANN),
        (IMPRESSIONS, b"series", "series", ANN),
    ]
    assert written[0][2].context == {"romance": 1.0}


def test_a_forged_token_is_forbidden_and_the_others_count(node: Node) -> None:
    """The sentence says which; nothing of it is written."""
    impression = node.chooser.choose(ANN, "film")
    forged = impression.token[:-4] + ("AAAA" if impression.token[-4:] != "AAAA" else "BBBB")
    answer = node.http.post("/impressions", json={"tokens": [node.token(), forged, node.token()]})
    assert fault(answer, 403).startswith("tokens[1]: the token was altered")
    assert answer.json()["accepted"] == 2
    assert len(node.outbox.records) == 2


def test_an_expired_token_is_forbidden(node: Node) -> None:
    """A day and an hour after its choice, by default."""
    token = node.token()
    node.now_ms += 25 * 3_600_000 + 1
    assert "expired" in fault(node.http.post("/impressions", json={"tokens": [token]}), 403)
    assert "expired" in fault(node.http.post("/plays", json={"token": token, "watched_seconds": 60}), 403)


def test_what_is_not_queued_is_not_accepted(node: Node) -> None:
    """503 with how many were taken; the rest is not tried one after another, each waiting as long."""
    node.outbox.room = 1
    answer = node.http.post("/impressions", json={"tokens": [node.token() for _ in range(3)]})
    assert "Kafka takes no impressions" in fault(answer, 503)
    assert answer.json()["accepted"] == 1
    assert node.outbox.dropped == {"impressions": 1}
    answer = node.http.post("/plays", json={"token": node.token(), "watched_seconds": 60})
    assert "Kafka takes no plays" in fault(answer, 503)


def test_a_play_credits_its_impression(node: Node) -> None:
    """With a token nothing else is needed."""
    answer = node.http.post("/plays", json={"token": node.token(), "watched_seconds": 300.5})
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1})
    (output,) = node.outbox.records
    play = decode(Play, output.value)
    assert (output.topic, output.key) == (PLAYS, ANN.encode())
    assert (play.member_id, play.title_id, play.watched_seconds) == (ANN, "film", 300.5)
    assert play.impression is not None
    assert play.play_id == play.impression.impression_id


def test_a_play_may_come_without_a_token(node: Node) -> None:
    """Nobody was shown anything; then it says itself who, what and which."""
    body = {
        "token": None,
        "watched_seconds": 60,
        "play_id": "p1",
        "member_id": ANN,
        "title_id": "film",
        "played_ms": 5,
    }
    assert node.http.post("/plays", json=body).status_code == 202
    play = decode(Play, node.outbox.records[0].value)
    assert (play.play_id, play.played_ms, play.impression) == ("p1", 5, None)


PLAY_FAULTS = {
    "no token field": ({"watched_seconds": 60}, 400, "missing required field `token`"),
    "nothing else": ({"token": None, "watched_seconds": 60}, 400, "needs member_id, title_id and play_id"),
    "negative": ({"token": "T", "watched_seconds": -1}, 400, "watched_seconds"),
    "text": ({"token": "T", "watched_seconds": "60"}, 400, "watched_seconds"),
    "another's": ({"token": "T", "watched_seconds": 60, "member_id": "bob"}, 400, "the token is of another"),
    "nonsense": ({"token": "nonsense", "watched_seconds": 60}, 403, "token"),
    "unknown field": ({"token": "T", "watched_seconds": 60, "watched": 1}, 400, "unknown field `watched`"),
}


@pytest.mark.parametrize(("body", "status", "sentence"), PLAY_FAULTS.values(), ids=PLAY_FAULTS)
def test_a_bad_play_is_named(body: dict[str, Any], status: int, sentence: str, node: Node) -> None:
    """And nothing of it is written."""
    if body.get("token") == "T":
        body = body | {"token": node.token()}
    assert sentence in fault(node.http.post("/plays", json=body), status)
    assert node.outbox.records == []


def test_a_token_of_another_secret_is_forbidden(node: Node) -> None:
    """Nobody can claim plays for a choice that was never made."""
    choice = node.chooser.choose(ANN, "film")
    made_up = Impression(choice.impression_id, START_MS, ANN, "film", "kiss", {}, "personal", 0.5, 10)
    token = sign(made_up, b"somebody else's secret")
    assert "altered" in fault(node.http.post("/plays", json={"token": token, "watched_seconds": 9}), 403)


# --- what can go wrong anywhere


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/choose", 405), ("DELETE", "/", 405), ("POST", "/metrics", 405)],
)
def test_a_wrong_path_or_method_is_answered_in_json(method: str, path: str, status: int, node: Node) -> None:
    """Machines need not expect anything else."""
    assert fault(node.http.request(method, path), status)


def test_a_fault_of_ours_shows_nothing_of_its_inside(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """500 and a sentence; the log says where, and holds neither a member nor a message that may name one."""

    def broken(*_: object, **__: object) -> None:
        raise KeyError(ANN)

    monkeypatch.setattr(node.chooser, "choose", broken)
    with capture_logs() as lines:
        sentence = fault(node.choose(title_id="film"), 500)
    assert sentence == "something went wrong in the serving node; its log says where"
    (line,) = lines
    assert (line["event"], line["route"], line["error"]) == ("request failed", "/choose", "KeyError")
    assert "broken" in line["where"]
    assert ANN not in str(line)


# --- who may ask, and what becomes of the answer

KEY, OTHER_KEY = "the key of the apps", "the key that comes next"
PATHS = ["/", "/page/page.css", "/titles", "/metrics", "/posters/film/kiss.svg"]


@pytest.fixture
def guarded(outbox: Outbox) -> Iterator[Node]:
    """A node that asks for keys."""
    node = Node(MemoryTables(some_title()), outbox, http_api_keys=(KEY, OTHER_KEY))
    yield node
    node.chooser.close()


@pytest.mark.parametrize(
    "shown",
    [
        None,
        "",
        KEY,
        "Bearer",
        "Bearer ",
        f"Basic {KEY}",
        f"Bearer {KEY[:-1]}",
        f"Bearer {KEY}x",
        f"Bearer {KEY},{OTHER_KEY}",
        "Bearer clé",
    ],
)
def test_who_shows_no_key_is_told_nothing(guarded: Node, shown: str | None) -> None:
    """Whatever is asked, but for whether the node lives; nor is a body read that nobody may send."""
    headers = {} if shown is None else {"Authorization": shown.encode("latin-1")}
    for path in ("/choose", "/impressions", "/plays", "/look"):
        answer = guarded.http.post(path, content=b"x" * (MAX_BYTES + 1), headers=headers)
        assert "Authorization: Bearer" in fault(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
    assert {guarded.http.get(path, headers=headers).status_code for path in PATHS} == {401}
    assert {guarded.http.get(path, headers=headers).status_code for path in ("/livez", "/readyz")} == {200}


@pytest.mark.parametrize("shown", [f"Bearer {KEY}", f"bearer  {OTHER_KEY} "])
def test_any_of_the_keys_will_do(guarded: Node, shown: str) -> None:
    """So that a key can be changed without a pause: first the nodes learn the new one, then the callers."""
    headers = {"Authorization": shown}
    body = {"member_id": ANN, "title_id": "film"}
    assert guarded.http.post("/choose", json=body, headers=headers).status_code == 200
    assert {guarded.http.get(path, headers=headers).status_code for path in PATHS} == {200}


def test_keys_are_compared_in_constant_time(guarded: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them, also when the first is right: the time an answer takes tells nobody how close a guess was."""
    compared = []
    compare = hmac.compare_digest

    def noted(given: bytes, key: bytes) -> bool:
        compared.append(key)
        return compare(given, key)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    guarded.http.get("/titles", headers={"Authorization": f"Bearer {KEY}"})
    assert compared == [KEY.encode(), OTHER_KEY.encode()]


def test_no_get_changes_anything(node: Node) -> None:
    """What a link or an image may fetch writes no event; what writes one takes nothing but POST."""
    routes = {route.path: route.methods for route in node.http.app.routes}
    posted = {path for path, methods in routes.items() if methods == {"POST"}}
    assert posted == {"/choose", "/impressions", "/plays", "/look"}
    assert all(methods <= {"GET", "HEAD"} for methods in routes.values() if methods != {"POST"})
    for path in [*PATHS, "/livez", "/readyz", "/impressions", "/plays", f"/plays?token={node.token()}"]:
        node.http.get(path)
        node.http.head(path)
    assert node.outbox.records == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://shown.example"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"}, 403),
        ({"Origin": "http://testserver"}, 200),
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_page_of_another_site_cannot_ask(node: Node, headers: dict[str, str], status: int) -> None:
    """A browser inside a network is no way in; apps, which are no browsers, notice nothing."""
    body = json.dumps({"member_id": ANN, "title_id": "film"})
    answer = node.http.post("/choose", content=body, headers={"Content-Type": "text/plain"} | headers)
    assert answer.status_code == status


def test_every_answer_tells_browsers_to_be_careful(node: Node) -> None:
    """Refusals and faults too: nothing is guessed, framed or run, and what may be about a member is not kept."""
    answers = [node.http.get(path) for path in (*PATHS, "/livez", "/readyz", "/nothing", "/choose")]
    answers += [node.choose(title_id="film"), node.choose(title_id="lost"), node.http.post("/plays", content=b"{")]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; ")
        assert answer.headers["cache-control"] in {"no-store", "no-cache"}
    assert answers[-3].headers["cache-control"] == "no-store"


def test_the_page_runs_its_own_scripts_alone(node: Node) -> None:
    """Files of the node's: a title's name that is a script is shown, and not run."""
    page = node.http.get("/")
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["img-src"] == "'self'"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert all(not inside.strip() for inside in re.findall(r"<script[^>]*>(.*?)</script>", page.text, re.DOTALL))
    assert not re.findall(r"\son[a-z]+=|\sstyle=|<style", page.text)
    for path in page_files(node):
        assert not re.findall(r"javascript:|innerHTML|eval\(|new Function", node.http.get(path).text)


# --- metrics


def test_what_happened_can_be_scraped(node: Node) -> None:
    """Choices by policy and without a snapshot, events taken in and dropped, latency by route, freshness."""
    node.choose(title_ids=["film", "series"])
    node.http.post("/impressions", json={"tokens": [node.token()]})
    node.outbox.room = 0
    node.http.post("/plays", json={"token": node.token(), "watched_seconds": 60})
    node.http.get("/posters/film/kiss.svg")
    found = node.metrics()
    assert found["keyart_choices_total", "personal"] == 4
    assert found["keyart_choices_without_snapshot_total", ""] == 1
    assert found["keyart_events_accepted_total", "impressions"] == 1
    assert found["keyart_events_accepted_total", "plays"] == 0
    assert found["keyart_events_dropped_total", "plays"] == 1
    assert found["keyart_events_delivered_total", ""] == 1
    assert found["keyart_http_request_seconds_count", "/choose"] == 3
    assert found["keyart_http_requests_total", "/plays,503"] == 1
    assert found["keyart_http_requests_total", "/posters,200"] == 1
    assert (found["keyart_titles", ""], found["keyart_snapshots", ""], found["keyart_tastes", ""]) == (2, 1, 1)
    assert found["keyart_tables_connected", ""] == 1
    assert 0 <= found["keyart_tables_behind_seconds", ""] < 60
    assert found["keyart_snapshot_age_seconds", ""] > 0


def test_what_has_not_happened_is_told_as_nought(node: Node) -> None:
    """A series that began with its first event would hide that event from a rate."""
    found = node.metrics()
    for policy in ("personal", "popular", "explore"):
        assert found["keyart_choices_total", policy] == 0
    for topic in ("impressions", "plays"):
        assert found["keyart_events_accepted_total", topic] == found["keyart_events_dropped_total", topic] == 0
    for topic in ("catalogue", "snapshots", "tastes"):
        assert found["keyart_table_records_refused_total", topic] == 0


def test_records_that_cannot_be_read_are_counted(node: Node) -> None:
    """By their topic, whatever they are."""
    node.tables.write_raw(CATALOGUE, b"film", b"nonsense")
    node.tables.settle()
    assert node.metrics()["keyart_table_records_refused_total", "catalogue"] == 1
    assert node.choose(title_id="film").status_code == 200


def test_metrics_keep_to_conventions_and_to_privacy(node: Node) -> None:
    """A prefix, a unit, a description; no label ever holds a member or a title."""
    node.choose(title_id="film")
    node.http.get("/posters/film/kiss.svg")
    families = list(text_string_to_metric_families(node.http.get("/metrics").text))
    assert len(families) > 12
    for family in families:
        assert re.fullmatch(r"keyart_[a-z]+(_[a-z]+)*", family.name)
        assert re.fullmatch(r"\S.{10,}\.", family.documentation)
        for sample in family.samples:
            assert set(sample.labels) <= {"policy", "over", "topic", "route", "status", "le"}
            assert not {ANN, "film", "kiss"} & set(sample.labels.values())


# --- the page


def test_titles_are_what_the_page_needs(node: Node) -> None:
    """Names, themes, and posters that can be fetched."""
    listed = node.http.get("/titles").json()
    assert [title["title_id"] for title in listed["titles"]] == ["film", "series"]
    for title in listed["titles"]:
        for artwork in title["artworks"]:
            assert node.http.get(artwork["poster"]).headers["content-type"] == "image/svg+xml"


def test_titles_follow_the_catalogue(node: Node) -> None:
    """What is kept for the next request is kept for as long as it is true."""
    before = node.http.get("/titles")
    again = node.http.get("/titles", headers={"if-none-match": before.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    node.tables.write(some_title("third"))
    node.tables.settle()
    after = node.http.get("/titles", headers={"if-none-match": before.headers["etag"]})
    assert [title["title_id"] for title in after.json()["titles"]] == ["film", "series", "third"]


def test_a_poster_is_drawn_once_and_again_when_its_title_changes(node: Node) -> None:
    """A browser that has it is told so; a new name on it is a new poster."""
    first = node.http.get("/posters/film/kiss.svg")
    assert first.status_code == 200
    assert first.text.startswith("<svg")
    etag = first.headers["etag"]
    assert (
        node.http.get("/posters/film/kiss.svg", headers={"if-none-match": f'"other", W/{etag}'}).status_code == 304
    )
    node.tables.write(some_title(name="Another name"))
    node.tables.settle()
    second = node.http.get("/posters/film/kiss.svg", headers={"if-none-match": etag})
    assert second.status_code == 200
    assert second.headers["etag"] != etag


def test_ids_may_hold_anything_a_path_may_not(node: Node) -> None:
    """Slashes, spaces, dots, percent signs, other scripts: escaped in the address, found all the same."""
    title_id, artwork_id = "a/b ?#%2F", "../Fête.svg"
    node.tables.write(msgspec.structs.replace(some_title(title_id), artworks=(Artwork(artwork_id, {}),)))
    node.tables.settle()
    listed = node.http.get("/titles").json()["titles"][-1]
    assert (
        listed["artworks"][0]["poster"] == f"/posters/{quote(title_id, safe='')}/{quote(artwork_id, safe='')}.svg"
    )
    assert node.http.get(listed["artworks"][0]["poster"]).text.startswith("<svg")


@pytest.mark.parametrize(
    "path",
    [
        "film/none.svg",
        "none/kiss.svg",
        "film/kiss",
        "film/kiss.png",
        "kiss.svg",
        "film/kiss.svg/x",
        "a/film/kiss.svg",
    ],
)
def test_there_is_no_other_poster(path: str, node: Node) -> None:
    """404 in JSON, and nothing is drawn."""
    assert "no such artwork" in fault(node.http.get(f"/posters/{path}"), 404)


def test_posters_that_are_kept_are_bounded(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many artworks there are, memory is not filled with their posters."""
    monkeypatch.setattr("consumers.serving.shop_window._MAX_POSTERS", 2)
    drawn = []
    monkeypatch.setattr(
        "consumers.serving.shop_window.poster", lambda _, art: drawn.append(art.artwork_id) or "<svg/>"
    )
    for path in ("film/kiss", "film/face", "film/kiss", "series/kiss", "film/kiss", "film/face"):
        assert node.http.get(f"/posters/{path}.svg").status_code == 200
    assert drawn == ["kiss", "face", "kiss", "face"]


def page_files(node: Node) -> list[str]:
    """What the page asks for, and what its scripts ask for in turn."""
    named = re.findall(r'(?:src|href)="(/page/[^"]+)"', node.http.get("/").text)
    for path in named:
        imported = re.findall(r'from "\./([^"]+)"', node.http.get(path).text)
        named += [f"/page/{name}" for name in imported if f"/page/{name}" not in named]
    return named


def test_the_page_needs_nothing_but_the_node(node: Node) -> None:
    """No address but the node's own, and headers that hold it to that."""
    page = node.http.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    kinds = {path.rpartition(".")[2]: node.http.get(path).headers["content-type"] for path in page_files(node)}
    assert kinds == {
        "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
    }
    for path in ("/", *page_files(node)):
        text = node.http.get(path).text.replace("http://www.w3.org/2000/svg", "")
        assert not re.findall(r"(?:https?:)?//[a-z0-9]", text)


def test_the_pages_files_are_kept_and_asked_about(node: Node) -> None:
    """A browser that has one is told that it is still that; there are no others, whatever is on the disk."""
    for path in ("/", *page_files(node)):
        first = node.http.get(path)
        assert first.headers["cache-control"] == "no-cache"
        again = node.http.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    for name in ("index.html", "none.js", "..%2fapp.py", "../app.py", "%2e%2e/app.py"):
        assert fault(node.http.get(f"/page/{name}"), 404)


def test_the_page_reports_nothing(node: Node) -> None:
    """Whoever looks at it leaves no impression, no play and no count of choices."""
    scripts = "".join(node.http.get(path).text for path in page_files(node) if path.endswith(".js"))
    assert set(re.findall(r'fetched\("(/\w+)"', scripts)) == {"/titles", "/look", "/live"}
    node.http.post("/look", json={"watched": ["film"], "title_ids": ["film", "series"]})
    assert node.outbox.records == []
    assert sum(value for (name, _), value in node.metrics().items() if name == "keyart_choices_total") == 0


# --- where it listens


@pytest.mark.parametrize(
    ("host", "url"), [("127.0.0.1", "http://127.0.0.1:"), ("localhost", "http://"), ("::1", "http://[::1]:")]
)
def test_it_listens_where_it_is_told_and_answers_without_delay(host: str, url: str) -> None:
    """Any free port; and the head and the body of a small answer do not wait for each other (TCP_NODELAY)."""

    async def of_a_connection(listener: socket.socket) -> int:
        accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            own = writer.get_extra_info("socket")
            accepted.set_result(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(answer, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
            writer.close()
            return await accepted

    try:
        with listening(some_settings(http_host=host, http_port=0)) as listener:
            assert re.fullmatch(re.escape(url) + r"[^/]*\d+", url_of(listener))
            assert asyncio.run(of_a_connection(listener))
    except ConfigurationError as error:
        if host == "::1":
            pytest.skip(f"this machine has no IPv6: {error}")
        raise


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1", "x" * 64, "a..b"])
def test_an_address_of_another_machine_is_one_sentence(host: str) -> None:
    """Whatever is wrong with it, the settings are named."""
    with (
        pytest.raises(
            ConfigurationError, match=rf"^cannot listen on {re.escape(host)} port 0: .*KEYART_HTTP_HOST"
        ),
        listening(some_settings(http_host=host, http_port=0)),
    ):
        pytest.fail("it listens")
