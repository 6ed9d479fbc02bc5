"""Apache Kafka with everything locked: TLS, logins of every kind, and access control; and who may log in."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)
from waiting import until

from benchmarks.apache import ApacheBroker, NoApacheKafka
from consumers.embedded import free_port
from stream import access
from stream.kafka.client import options

if TYPE_CHECKING:
    from pathlib import Path

    from stream.settings import Settings

ADMIN = "admin"
#: The digest of each SCRAM user's login; the others may log in by PLAIN.
SCRAM = "SCRAM-SHA-512"
#: The other digest, which a port of its own takes.
SHORTER_SCRAM = "SCRAM-SHA-256"
_KINDS = {
    access.Kind.TOPIC: ResourceType.TOPIC,
    access.Kind.GROUP: ResourceType.GROUP,
    access.Kind.TRANSACTIONAL_ID: ResourceType.TRANSACTIONAL_ID,
}
#: A user whose name needs care on the wire.
AWKWARD = "who=me"
#: Who has a certificate, with an encrypted key.
CERTIFIED = access.user_of("viewing")
#: Who has a login by the other digest.
SHORTER = access.user_of("learner")


def password_of(user: str) -> str:
    """A user's password: recognisable, so that it can be looked for."""
    return f"password-of-{user.encode().hex()}-to-be-kept-quiet"


class SecuredBroker(ApacheBroker):
    """One node whose clients must speak TLS and log in; who is allowed nothing may do nothing.

    Attributes
    ----------
    certificates
        The folder with ``ca.pem`` and the certificates that it has signed.
    by_shorter_scram
        The ``host:port`` where clients log in by SCRAM-SHA-256.
    by_certificate
        That where a certificate is the login: it says who shows it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.certificates = self._folder / "certificates"
        self.by_shorter_scram = self.by_certificate = ""
        try:
            make_certificates(self.certificates, "broker", "client", CERTIFIED)
            encrypt_key(self.certificates / f"{CERTIFIED}.key", password_of(CERTIFIED))
        except BaseException:
            self.close()
            raise

    def login(self, user: str, mechanism: str = SCRAM) -> dict[str, Any]:
        """The settings with which a user logs in."""
        return {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": mechanism,
            "sasl_username": user,
            "sasl_password": password_of(user),
            "ssl_ca_file": str(self.certificates / "ca.pem"),
        }

    def shorter_login(self) -> dict[str, Any]:
        """What differs where one logs in by SCRAM-SHA-256."""
        return {"bootstrap_servers": self.by_shorter_scram, "sasl_mechanism": SHORTER_SCRAM}

    def certificate(self) -> dict[str, Any]:
        """What differs where one shows a certificate."""
        own = self.certificates / CERTIFIED
        return {
            "bootstrap_servers": self.by_certificate,
            "security_protocol": "SSL",
            "sasl_mechanism": "",
            "sasl_username": "",
            "sasl_password": "",
            "ssl_certificate_file": str(own.with_suffix(".crt")),
            "ssl_key_file": str(own.with_suffix(".key")),
            "ssl_key_password": password_of(CERTIFIED),
        }

    def allow(self, settings: Settings, role: str) -> None:
        """Give the user of a role what the role needs, and nothing else."""
        wanted = set(acls(settings.topic_prefix, role))
        admin = KafkaAdminClient(**options(settings, "acls"))

        def known() -> bool:
            found, _ = admin.describe_acls(
                ACLFilter(
                    *(f"User:{access.user_of(role)}", None, ACLOperation.ANY, ACLPermissionType.ANY),
                    ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
                )
            )
            return wanted <= set(found)

        try:
            answer = admin.create_acls(list(wanted))
            assert not answer["failed"], answer
            until(known, "the broker knows what its controller agreed to")
        finally:
            admin.close()

    def _login(self) -> dict[str, object]:
        return self.login(ADMIN, "PLAIN")

    def _more_format_options(self) -> tuple[str, ...]:
        users = [(SCRAM, user) for user in (*map(access.user_of, access.ROLES), "nobody", AWKWARD)]
        return tuple(
            f"--add-scram={digest}=[name={_quoted(user)},password={password_of(user)}]"
            for digest, user in (*users, (SHORTER_SCRAM, SHORTER))
        )

    def _more_properties(self, client: str, controller: str) -> dict[str, object]:
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required"
        oauth = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"
        listener = "listener.name.secured"
        self.by_shorter_scram, self.by_certificate = (f"127.0.0.1:{free_port()}" for _ in range(2))
        places = {"SECURED": client, "SHORTER": self.by_shorter_scram, "CERTIFIED": self.by_certificate}
        listeners = ",".join(f"{name}://{place}" for name, place in places.items())
        protocols = {"CONTROLLER": "PLAINTEXT"} | dict.fromkeys(places, "SASL_SSL") | {"CERTIFIED": "SSL"}
        who = f'username="{ADMIN}" password="{password_of(ADMIN)}" user_{ADMIN}="{password_of(ADMIN)}"'
        return {
            "listeners": f"{listeners},CONTROLLER://{controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": ",".join(f"{name}:{how}" for name, how in protocols.items()),
            "inter.broker.listener.name": "SECURED",
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            f"{listener}.sasl.enabled.mechanisms": f"PLAIN,{SCRAM},OAUTHBEARER",
            f"{listener}.plain.sasl.jaas.config": f"{plain} {who};",
            f"{listener}.{SCRAM.lower()}.sasl.jaas.config": f"{scram};",
            # Tokens that nobody has signed: the broker reads them, and that is all that is wanted here.
            f"{listener}.oauthbearer.sasl.jaas.config": f'{oauth} unsecuredLoginStringClaim_sub="{ADMIN}";',
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.certificates / "broker.pem",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.certificates / "ca.pem",
            "ssl.client.auth": "requested",
            "listener.name.shorter.sasl.enabled.mechanisms": SHORTER_SCRAM,
            f"listener.name.shorter.{SHORTER_SCRAM.lower()}.sasl.jaas.config": f"{scram};",
            "listener.name.certified.ssl.client.auth": "required",
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+)$/$1/",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # The node's own controller and broker meet on a port that no client is told of.
            "super.users": f"User:{ADMIN};User:ANONYMOUS",
        }


def acls(prefix: str, role: str) -> list[ACL]:
    """A role's grants, as the client writes them."""
    return [
        ACL(
            principal=f"User:{access.user_of(role)}",
            host="*",
            operation=_operation(operation),
            permission_type=ACLPermissionType.ALLOW,
            resource_pattern=ResourcePattern(
                _KINDS[grant.kind],
                name,
                ACLResourcePatternType.PREFIXED if grant.is_prefix else ACLResourcePatternType.LITERAL,
            ),
        )
        for grant in access.ROLES[role]
        for name in grant.full_names(prefix)
        for operation in grant.operations
    ]


def _operation(name: str) -> ACLOperation:
    return {operation.name.replace("_", "").lower(): operation for operation in ACLOperation}[name.lower()]


def _quoted(user: str) -> str:
    return f'"{user}"' if "=" in user else user


def unsigned_token(user: str, now_seconds: float, lives_seconds: float = 3600) -> str:
    """A JSON web token that nobody has signed."""
    claims = {"sub": user, "iat": now_seconds - 60, "exp": now_seconds + lives_seconds}
    parts = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "none"}, claims)
    )
    return b".".join(parts).decode() + "."


def encrypt_key(key: Path, password: str) -> None:
    """Let a private key be opened by a password alone from now on."""
    encrypted = key.with_suffix(".encrypted")
    _openssl(
        key.parent, "pkcs8", "-topk8", "-in", key.name, "-out", encrypted.name, "-passout", f"pass:{password}"
    )
    encrypted.replace(key)


def _openssl(folder: Path, *arguments: str) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        raise NoApacheKafka("there is no 'openssl' on the path to make certificates with")
    subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def make_certificates(folder: Path, *names: str) -> None:
    """An authority (``ca.pem``), and certificates that it has signed, each with its key in ``<name>.pem``."""
    folder.mkdir()
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    _openssl(folder, "req", "-x509", *key, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
    for name in names:
        _openssl(
            folder,
            *("req", "-x509", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt"),
            *("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-addext", "basicConstraints=CA:FALSE"),
        )
        pem = (folder / f"{name}.key").read_text() + (folder / f"{name}.crt").read_text()
        (folder / f"{name}.pem").write_text(pem)
