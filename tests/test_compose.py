"""docker-compose.yml and what it mounts, checked as data against the code and against each other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from command_tree import parse
from prometheus_client import CollectorRegistry

from consumers.demo.settings import METRICS_PORTS
from stream import health
from stream.settings import ENV_PREFIX, Settings, load

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DEPLOY = ROOT / "deploy"

KEYART = sorted(name for name, service in SERVICES.items() if service["image"].startswith("keyart:"))
WORKERS = sorted(name for name in KEYART if SERVICES[name]["command"][0] in {"viewing", "learner"})
ONE_SHOT = sorted(name for name, service in SERVICES.items() if service["restart"] == "no")
CHECKED = sorted(name for name, service in SERVICES.items() if "healthcheck" in service)


def _resolved(value: object) -> str:
    """A value as a container gets it when nothing is set outside."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))


@pytest.fixture
def in_force(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The settings that a service's process reads."""

    def read(name: str) -> Settings:
        for variable in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
            monkeypatch.delenv(variable)
        for variable, value in SERVICES[name]["environment"].items():
            monkeypatch.setenv(variable, _resolved(value))
        monkeypatch.chdir(tmp_path)  # where there is no keyart.toml
        return load()

    return read


# --- the services


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_image_is_pinned(name: str) -> None:
    """An image that changes under its tag breaks a set-up that worked."""
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])


def test_the_image_is_built_once_and_is_this_version() -> None:
    """One service builds what the others use; its tag is the distribution's version."""
    builders = [name for name in KEYART if "build" in SERVICES[name]]
    assert len(builders) == 1
    build = SERVICES[builders[0]]["build"]
    assert (ROOT / build["context"] / build["dockerfile"]).is_file()
    assert {SERVICES[name]["image"] for name in KEYART} == {f"keyart:{PROJECT['project']['version']}"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_dependencies_can_come_true(name: str) -> None:
    """What a service waits for exists, and can become what it waits for."""
    for other, wanted in SERVICES[name].get("depends_on", {}).items():
        condition = wanted["condition"]
        assert condition in {"service_healthy", "service_completed_successfully"}
        assert other in (CHECKED if condition == "service_healthy" else ONE_SHOT)


def test_no_service_waits_for_itself() -> None:
    """The dependencies have an order, and Kafka is the first of all that is Keyart's."""
    order: list[str] = []
    while len(order) < len(SERVICES):
        ready = [
            name
            for name, service in SERVICES.items()
            if name not in order and set(service.get("depends_on", {})) <= set(order)
        ]
        assert ready, f"these wait for each other: {sorted(set(SERVICES) - set(order))}"
        order += ready
    assert all(order.index("kafka") < order.index(name) for name in KEYART)


def test_everything_that_stays_is_checked() -> None:
    """Only what ends by itself, and the audience that nobody waits for, has no health check."""
    assert set(SERVICES) - set(CHECKED) == {*ONE_SHOT, "simulate"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_ports_are_published_on_this_machine_only(name: str) -> None:
    """Nothing in this file asks for a password, so nothing may be reached from outside."""
    for port in SERVICES[name].get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_mounts_exist_and_volumes_are_declared(name: str) -> None:
    """A path that is not there would be mounted as an empty folder, without a word."""
    for mount in SERVICES[name].get("volumes", ()):
        source, _, rest = mount.partition(":")
        if source.startswith("."):
            assert (ROOT / source).exists()
            assert rest.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]


def test_every_declared_volume_is_used() -> None:
    """A volume that nobody mounts keeps nothing."""
    mounts = [mount.partition(":")[0] for service in SERVICES.values() for mount in service.get("volumes", ())]
    assert set(COMPOSE["volumes"]) <= set(mounts)


# --- keyart's own


@pytest.mark.parametrize("name", KEYART)
def test_every_command_exists_with_its_options(name: str) -> None:
    """The command line understands what the service runs."""
    words, _ = parse(SERVICES[name]["command"])
    assert words


@pytest.mark.parametrize("name", KEYART)
def test_every_variable_is_a_setting_with_a_value_that_loads(name: str, in_force: Any) -> None:
    """What is set is what is in force: no name is misspelt, and no value refused."""
    settings = in_force(name)
    for variable, value in SERVICES[name]["environment"].items():
        field = variable.removeprefix(ENV_PREFIX).lower()
        found = getattr(settings, field)
        if field == "token_secrets":
            assert [secret.get_secret_value() for secret in found] == [_resolved(value)]
        else:
            assert found == type(found)(_resolved(value))


def test_the_token_key_can_be_replaced_and_is_no_real_secret() -> None:
    """Every service signs and accepts the same key; the default says what it is."""
    (given,) = {SERVICES[name]["environment"]["KEYART_TOKEN_SECRETS"] for name in KEYART}
    assert re.fullmatch(r"\$\{KEYART_TOKEN_SECRETS:-[a-z-]*demo[a-z-]*\}", given)


def test_workers_have_names_of_their_own(in_force: Any) -> None:
    """Two workers of one name would fence each other for ever."""
    named = [(SERVICES[name]["command"][0], in_force(name).worker_id) for name in WORKERS]
    assert all(worker_id for _, worker_id in named)
    assert len(set(named)) == len(named) == 3


@pytest.mark.parametrize("name", KEYART)
def test_a_signal_reaches_keyart_in_time(name: str) -> None:
    """A worker commits and leaves in under 10 s; it is given longer before it is killed."""
    assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > 10
    assert SERVICES[name]["init"] is True


@pytest.mark.parametrize("name", WORKERS)
@pytest.mark.parametrize(("ready", "healthy"), [(1, True), (0, False), (None, False)])
def test_a_worker_is_healthy_when_it_is_ready(name: str, ready: int | None, healthy: bool, in_force: Any) -> None:
    """The health check's own code, against a worker that is ready, one that is not, and none at all."""
    kind, interpreter, option, code = SERVICES[name]["healthcheck"]["test"]
    assert (kind, interpreter, option) == ("CMD", "python", "-c")
    port = f":{in_force(name).metrics_port}/readyz"
    assert port in code
    server = health.serve(CollectorRegistry(), "127.0.0.1", 0, ready=lambda: bool(ready))
    try:
        if ready is None:
            server.shutdown()
            server.server_close()
        ours = code.replace(port, f":{server.server_port}/readyz")
        done = subprocess.run([sys.executable, "-c", ours], check=False, capture_output=True, timeout=30)
    finally:
        server.shutdown()
        server.server_close()
    assert (done.returncode == 0) is healthy


def test_the_serving_node_is_reachable_and_checked(in_force: Any) -> None:
    """It listens on every address of its container, on the port that is published and asked for readiness."""
    settings, service = in_force("serving"), SERVICES["serving"]
    assert settings.http_host == "0.0.0.0"
    assert service["ports"] == [f"127.0.0.1:{settings.http_port}:{settings.http_port}"]
    code = service["healthcheck"]["test"][-1]
    compile(code, "healthcheck", "exec")
    assert f"http://127.0.0.1:{settings.http_port}/readyz" in code


# --- Kafka


def _listeners(value: str) -> dict[str, tuple[str, int]]:
    """Listeners by name: host and port."""
    found = {}
    for listener in value.split(","):
        name, _, place = listener.partition("://")
        host, _, port = place.rpartition(":")
        found[name] = (host, int(port))
    return found


def test_kafka_is_where_everybody_looks_for_it(in_force: Any) -> None:
    """Containers find the inside listener, a keyart on the host finds the other where it looks by default."""
    given = SERVICES["kafka"]["environment"]
    listens = _listeners(given["KAFKA_LISTENERS"])
    advertised = _listeners(given["KAFKA_ADVERTISED_LISTENERS"])
    controller = given["KAFKA_CONTROLLER_LISTENER_NAMES"]
    assert set(listens) == {*advertised, controller}
    assert all(port == listens[name][1] for name, (_, port) in advertised.items())
    inside, host = advertised["INSIDE"], advertised["HOST"]
    assert given["KAFKA_INTER_BROKER_LISTENER_NAME"] == "INSIDE"
    assert inside[0] == "kafka"
    assert {in_force(name).bootstrap_servers for name in KEYART} == {f"kafka:{inside[1]}"}
    assert f"kafka:{inside[1]}" in SERVICES["kafka"]["healthcheck"]["test"]
    assert SERVICES["kafka"]["ports"] == [f"127.0.0.1:{host[1]}:{host[1]}"]
    assert Settings.model_fields["bootstrap_servers"].default == f"{host[0]}:{host[1]}"
    assert given["KAFKA_CONTROLLER_QUORUM_VOTERS"] == f"{given['KAFKA_NODE_ID']}@kafka:{listens[controller][1]}"
    protocols = dict(pair.split(":") for pair in given["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert set(protocols) == set(listens)


def test_kafka_keeps_its_data_and_makes_up_no_topics() -> None:
    """One broker replicates nothing, writes to the volume, and creates only what it is told to."""
    given = SERVICES["kafka"]["environment"]
    single = {name: value for name, value in given.items() if re.search(r"REPLICATION_FACTOR|MIN_ISR", name)}
    assert {"KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR"} <= set(single)
    assert set(single.values()) == {1}
    assert given["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert f"kafka-data:{given['KAFKA_LOG_DIRS']}" in SERVICES["kafka"]["volumes"]


def test_kafka_is_the_version_that_the_tests_run_on() -> None:
    """What was tested is what is started."""
    pinned = ET.parse(ROOT / "benchmarks" / "apache" / "pom.xml").find(".//{*}kafka.version")
    assert pinned is not None
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{pinned.text}"


# --- watching


def test_prometheus_asks_everybody_where_they_answer(in_force: Any) -> None:
    """Each worker and serving node is scraped under its kind, on the port that it serves metrics on."""
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    asked = {
        target: job["job_name"]
        for job in config["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    }
    answers = {f"{name}:{in_force(name).metrics_port}": SERVICES[name]["command"][0] for name in WORKERS}
    answers |= {f"serving:{in_force('serving').http_port}": "serving"}
    answers |= {f"simulate:{in_force('simulate').metrics_port}": "app"}
    assert asked == answers
    assert {in_force(name).metrics_host for name in (*WORKERS, "simulate")} == {"0.0.0.0"}


def test_prometheus_finds_the_demo() -> None:
    """The configuration for a Prometheus beside the demo names the ports that its processes take if they can."""
    config = yaml.safe_load((DEPLOY / "prometheus" / "demo.yml").read_text())
    asked = {
        (job["job_name"], target)
        for job in config["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    }
    answers = {(name.partition("-")[0], f"127.0.0.1:{port}") for name, port in METRICS_PORTS.items()}
    assert asked == answers | {("serving", f"127.0.0.1:{Settings.model_fields['http_port'].default}")}
    assert (DEPLOY / "prometheus" / config["rule_files"][0]).is_file()


def _container_path(service: str, path: str) -> Path:
    """Where in the repository a path of a container comes from."""
    for mount in SERVICES[service]["volumes"]:
        source, target, *_ = mount.split(":")
        if source.startswith(".") and Path(path).is_relative_to(target):
            return ROOT / source / Path(path).relative_to(target)
    raise AssertionError(f"nothing is mounted at {path}")


def test_prometheus_reads_the_mounted_file() -> None:
    """The file that it is told to read is the one in the repository."""
    options = dict(option.split("=", 1) for option in SERVICES["prometheus"]["command"])
    assert _container_path("prometheus", options["--config.file"]) == DEPLOY / "prometheus" / "prometheus.yml"
    assert f"prometheus-data:{options['--storage.tsdb.path']}" in SERVICES["prometheus"]["volumes"]


def test_prometheus_finds_the_alert_rules() -> None:
    """Beside its configuration, where that looks for them; a file that is not there it passes over in silence."""
    options = dict(option.split("=", 1) for option in SERVICES["prometheus"]["command"])
    config = _container_path("prometheus", options["--config.file"])
    (rules,) = yaml.safe_load(config.read_text())["rule_files"]
    assert (config.parent / rules).is_file()


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    """The datasource's address is the service's, and the provisioned folder is the mounted one."""
    provisioning = _container_path("grafana", "/etc/grafana/provisioning")
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    address = urlsplit(source["url"])
    assert address.hostname in SERVICES
    assert SERVICES[address.hostname]["ports"] == [f"127.0.0.1:{address.port}:{address.port}"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "keyart.yml").read_text())["providers"]
    assert _container_path("grafana", provider["options"]["path"]) == DEPLOY / "grafana" / "dashboards"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert json.loads(_container_path("grafana", home).read_text())["title"]


def test_grafana_can_be_looked_at_and_not_changed() -> None:
    """Visitors are viewers, and there is no administrator whose password could be guessed."""
    given = SERVICES["grafana"]["environment"]
    assert given["GF_AUTH_ANONYMOUS_ENABLED"] == "true"
    assert given["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert given["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
