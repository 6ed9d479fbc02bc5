"""The settings of the demo's processes, and how they are given them: those in force, but for what a demo needs."""

from __future__ import annotations

import secrets
import socket

from pydantic import SecretStr

from consumers.embedded import free_port
from stream.security import UNSECURED
from stream.settings import ENV_PREFIX, SECRETS, UNLIMITED, Settings, file_variable, load

#: Where each process tells of itself; the serving node does on its own port.
METRICS_PORTS = {"viewing-1": 9101, "learner-1": 9102, "learner-2": 9103, "app": 9104}


def metrics_ports(*, fixed: bool = True) -> dict[str, int]:
    """A port for each process's metrics: those that ``deploy/prometheus/demo.yml`` names, where they are free.

    Not ``fixed``: any free ones.
    """
    return {name: port if fixed and _is_free(port) else free_port() for name, port in METRICS_PORTS.items()}


def demo_settings(bootstrap: str) -> Settings:
    """The settings in force, with what the demo needs otherwise."""
    given = load()
    return load(
        bootstrap_servers=bootstrap,
        topic_prefix="keyart.",
        replication_factor=1,
        partitions=4,
        token_secrets=(SecretStr(secrets.token_hex(16)),),
        explore_share=0.2,
        popular_share=0.2,
        checkpoint_seconds=min(given.checkpoint_seconds, 2.0),
        # The embedded broker makes members wait for each other: longer the longer their sessions are, and longest
        # those that keep a name.
        session_seconds=min(given.session_seconds, 6.0),
        worker_id="",
        metrics_port=0,
        http_host="127.0.0.1",
        http_port=given.http_port if _is_free(given.http_port) else free_port(),
        http_api_keys=(),
        **UNSECURED,
        **UNLIMITED,  # its members see in minutes what people see in weeks
    )


def environment(settings: Settings) -> dict[str, str]:
    """The variables that give another process these settings."""
    variables = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, tuple):
            value = ",".join(v.get_secret_value() if isinstance(v, SecretStr) else v for v in value)
        elif isinstance(value, SecretStr):
            value = value.get_secret_value()
        variables[ENV_PREFIX + name.upper()] = str(value)
    # Files of secrets that this process was given are about another cluster.
    return variables | {file_variable(name): "" for name in SECRETS}


def _is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return port != 0
