"""How Kafka is spoken to safely: whether the settings of login and TLS make sense together, and TLS itself."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

if TYPE_CHECKING:
    from stream.settings import Settings

_BY_PASSWORD = ("sasl_username", "sasl_password")
_BY_TOKEN = ("sasl_token_file",)
_LOGIN = ("sasl_mechanism", *_BY_PASSWORD, *_BY_TOKEN)
_TLS = ("ssl_ca_file", "ssl_certificate_file", "ssl_key_file", "ssl_key_password")

#: Settings that turn it all off, whatever is in force: for a broker of this machine that has none of it.
UNSECURED = {"security_protocol": "PLAINTEXT"} | dict.fromkeys((*_LOGIN, *_TLS), "")


def given(value: str | SecretStr) -> bool:
    """Whether a setting is set to anything."""
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


def check(settings: Settings) -> None:
    """What is set must be used, and what is used must be set: half a login would be none, unnoticed.

    Raises
    ------
    ValueError
        One sentence that names the settings, and no secret.
    """
    _check_login(settings)
    _check_tls(settings)


def _check_login(settings: Settings) -> None:
    protocol, mechanism = settings.security_protocol, settings.sasl_mechanism
    if not settings.uses_sasl:
        if unused := _first(settings, _LOGIN):
            raise ValueError(
                f"{unused} is set, but security_protocol is {protocol}, which is without a login: make it SASL_SSL"
            )
        return
    if not mechanism:
        raise ValueError(
            f"sasl_mechanism is not set, but security_protocol is {protocol}: give PLAIN, SCRAM-SHA-256, "
            "SCRAM-SHA-512 or OAUTHBEARER"
        )
    needed, others = (_BY_TOKEN, _BY_PASSWORD) if mechanism == "OAUTHBEARER" else (_BY_PASSWORD, _BY_TOKEN)
    if missing := _first(settings, needed, is_given=False):
        raise ValueError(f"{missing} is not set, but sasl_mechanism is {mechanism}, which needs it")
    if unused := _first(settings, others):
        raise ValueError(f"{unused} is set, but sasl_mechanism is {mechanism}, which does not use it")
    if settings.sasl_token_file and not Path(settings.sasl_token_file).is_file():
        raise ValueError(f"sasl_token_file: {settings.sasl_token_file!r} is not a file")
    if "\0" in settings.sasl_username + settings.sasl_password.get_secret_value():
        raise ValueError("sasl_username and sasl_password cannot hold a null character")


def _check_tls(settings: Settings) -> None:
    if not settings.uses_tls:
        if unused := _first(settings, _TLS):
            raise ValueError(
                f"{unused} is set, but security_protocol is {settings.security_protocol}, which is without TLS: "
                "make it SSL or SASL_SSL"
            )
        return
    if (alone := _first(settings, ("ssl_key_file", "ssl_key_password"))) and not settings.ssl_certificate_file:
        raise ValueError(f"{alone} is set, but ssl_certificate_file is not: a key proves nothing without it")
    tls_context(settings)


def _first(settings: Settings, names: tuple[str, ...], *, is_given: bool = True) -> str | None:
    """The first of some settings that is set, or is not."""
    return next((name for name in names if given(getattr(settings, name)) is is_given), None)


def tls_context(settings: Settings) -> ssl.SSLContext:
    """What TLS connections are made with: it verifies brokers and their names, by TLS 1.2 or later.

    Raises
    ------
    ValueError
        A file is missing or not what it should be; the sentence names the setting.
    """
    for name in ("ssl_ca_file", "ssl_certificate_file", "ssl_key_file"):
        path = getattr(settings, name)
        if path and not Path(path).is_file():
            raise ValueError(f"{name}: {path!r} is not a file")
    ca_file, certificate_file = settings.ssl_ca_file, settings.ssl_certificate_file
    key_file = settings.ssl_key_file
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificates and names
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except (ssl.SSLError, OSError) as error:
            raise ValueError(f"ssl_ca_file: no certificate can be read from {ca_file!r} ({_why(error)})") from None
    else:
        context.load_default_certs()
    if certificate_file:
        _load_own(context, certificate_file, key_file or certificate_file, settings.ssl_key_password)
    return context


def _load_own(context: ssl.SSLContext, certificate_file: str, key_file: str, password: SecretStr) -> None:
    """Load this client's certificate and its key."""
    asked = []

    def ask() -> str:  # a function even if there is no password: OpenSSL would ask for it on the terminal
        asked.append(key_file)
        return password.get_secret_value()

    try:
        context.load_cert_chain(certificate_file, key_file, ask)
    except (ssl.SSLError, OSError, ValueError) as error:
        if asked and getattr(error, "reason", None) != "KEY_VALUES_MISMATCH":
            raise ValueError(
                f"ssl_key_password does not open the key {key_file!r}: give the one that it was encrypted with"
                if given(password)
                else f"ssl_key_password is not set, but the key {key_file!r} is encrypted: give its password"
            ) from None
        raise ValueError(
            f"ssl_certificate_file: {certificate_file!r} and its key {key_file!r} cannot be used "
            f"({_why(error)}); are both PEM, and do they belong together?"
        ) from None


def _why(error: Exception) -> str:
    """What OpenSSL says, without the place in its source."""
    said = getattr(error, "reason", None) or getattr(error, "strerror", None) or "it is not understood"
    return re.sub(r"^\[\w+\] | \(_ssl\.c:\d+\)$", "", said)
