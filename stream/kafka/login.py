"""Logging in to a cluster and speaking TLS with it; and who is refused is told so at once.

The client goes on trying a broker that refuses a login or has a false certificate until its time is up, and then
says that no broker answers. Two faults lead to that, and it is given a manager of connections that mends them:

* It means to remember such a failure, but never sees it: the error stays in the future of the connection. The
  manager looks there while the client bootstraps. Later a refusal is like any other broken connection: whoever
  depends on it starts over, and meets it here.
* It throws away what it has just received if the connection's end came along with it, and a broker that refuses
  somebody hangs up. The manager's connections take what came first, and meet the end after it.
"""

from __future__ import annotations

import logging
import re
import ssl
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.sasl.oauth import AbstractTokenProvider
from kafka.net.selector import NetworkSelector

from stream.errors import ConfigurationError
from stream.security import tls_context

if TYPE_CHECKING:
    from stream.settings import Settings

#: Alerts by which the other side says what it thinks of this client's certificate, as OpenSSL names them.
_ABOUT_OURS = re.compile(r"_ALERT_(\w*CERTIFICATE\w*|UNKNOWN_CA)$")


class Refused(KafkaError):  # type: ignore[misc]
    """A cluster and we do not accept each other, which waiting does not mend."""

    def __str__(self) -> str:
        return str(self.args[0])


def login_options(settings: Settings) -> dict[str, Any]:
    """The options of every client that say how it logs in and whom it trusts.

    Raises
    ------
    ConfigurationError
        A certificate cannot be read any more.
    """
    given: dict[str, Any] = {"security_protocol": settings.security_protocol, "kafka_client": _Client}
    if settings.uses_tls:
        try:
            given["ssl_context"] = tls_context(settings)
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
    if settings.uses_sasl:
        given["sasl_mechanism"] = settings.sasl_mechanism
        if settings.sasl_mechanism == "OAUTHBEARER":
            given["sasl_oauth_token_provider"] = TokenFile(settings.sasl_token_file)
        else:
            name = settings.sasl_username
            if settings.sasl_mechanism.startswith("SCRAM-"):
                name = name.replace("=", "=3D").replace(",", "=2C")  # RFC 5802, 5.1; the client does not
            given["sasl_plain_username"] = name
            given["sasl_plain_password"] = settings.sasl_password.get_secret_value()
    return given


def who(settings: Settings) -> str:
    """Whom a cluster takes us for, for error messages."""
    if settings.sasl_username:
        return f"user {settings.sasl_username!r} ({settings.sasl_mechanism})"
    return f"this client ({settings.sasl_mechanism or settings.security_protocol})"


def keep_quiet() -> None:
    """Leave out the client's debug lines, unless somebody has asked for them by name.

    They print whole requests, logins and records included: passwords and member ids, in an app that logs them all.
    """
    logger = logging.getLogger("kafka")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


class TokenFile(AbstractTokenProvider):  # type: ignore[misc]
    """The token for OAUTHBEARER, read from its file for every login and every renewal of one.

    Whatever renews tokens writes a new file and moves it into place.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def token(self) -> str:
        """The token that the file holds now.

        Raises
        ------
        ConfigurationError
            It cannot be read, or is empty.
        """
        try:
            token = Path(self._path).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no token"
            raise ConfigurationError(f"sasl_token_file: {self._path!r} cannot be read ({why})") from None
        if not token or not token.isprintable():
            raise ConfigurationError(f"sasl_token_file: {self._path!r} holds no token")
        return token


class _Manager(KafkaConnectionManager):  # type: ignore[misc]
    """Remembers who refused us while bootstrapping, and does not ask them again."""

    def __init__(self, *args: Any, **configs: Any) -> None:
        self._refusals: dict[Any, Exception] = {}
        super().__init__(*args, **configs)

    def get_connection(self, node_id: Any, *args: Any, **options: Any) -> Any:
        """A connection to a broker."""
        if node_id in self._refusals:
            raise self._refusals[node_id]
        connection = super().get_connection(node_id, *args, **options)
        if self.cluster.is_bootstrap(node_id):
            connection.init_future.add_errback(partial(self._failed, node_id))
        return connection

    async def _build_transport(self, *args: Any, **options: Any) -> Any:
        transport = await super()._build_transport(*args, **options)
        receive = transport._sock_recv  # noqa: SLF001 - there is no public way

        def received_first() -> tuple[bytes, Exception | None]:
            data, error = receive()
            return data, None if data else error

        transport._sock_recv = received_first  # noqa: SLF001
        return transport

    def _failed(self, node_id: Any, error: Exception) -> None:
        refusal = _refusal(error)
        if refusal is not None:
            self._refusals[node_id] = refusal


class _Client(KafkaNetClient):  # type: ignore[misc]
    """What the client's consumers, producers and admin clients speak through."""

    def __init__(self, **configs: Any) -> None:
        net = NetworkSelector(**configs)
        super().__init__(net=net, manager=_Manager(net, **configs))


def _refusal(error: Exception) -> Exception | None:
    """What to say of a connection that failed and will fail again; None if trying again may help."""
    said = None
    match error:
        case ConfigurationError():
            return error
        case SaslAuthenticationFailedError():
            said = str(error.args[0] if error.args else error).removeprefix("SaslAuthenticationFailedError: ")
        case UnsupportedSaslMechanismError():
            said = "this way to log in is not enabled there"
        case IllegalSaslStateError():
            said = "there is no login at this port"
        case ValueError():  # of SCRAM's last step
            said = "it does not prove that it knows the password"
    match _of_tls(error):
        case ssl.SSLCertVerificationError() as cause:
            said = f"its certificate is not trusted ({cause.verify_message}): is ssl_ca_file right?"
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER"):
            said = "there is no TLS at this port"
        case ssl.SSLError(reason=str() as reason) if _ABOUT_OURS.search(reason):
            why = reason.rpartition("ALERT_")[2].replace("_", " ").lower()
            said = f"it asks for a certificate that it trusts ({why}): is ssl_certificate_file right?"
    return None if said is None else Refused(said)


def _of_tls(error: Exception) -> object:
    """What broke a connection that is told as broken: in the handshake, or in TLS 1.3 with what comes after it."""
    return error.__context__ or next(iter(error.args), None)
