"""What may be wrong with the settings, the cluster, its topics, and what we may do there."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from stream import access, topics
from stream.doctor import faults
from stream.doctor.words import HOUR_MS, have, many, places, some, time
from stream.topics import IMPRESSIONS, PLAYS, REWARDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream.doctor.facts import Facts, TopicFacts
    from stream.doctor.finding import Finding
    from stream.settings import Settings
    from stream.topics import Topic

#: Keys that are printed in Keyart's own files.
PUBLIC_SECRETS = frozenset({"a-demo-key-that-everybody-knows"})
#: What openssl rand -hex 16 gives has as many characters, and a good key no fewer different ones.
_STRONG_CHARACTERS, _STRONG_DIFFERENT = 32, 8
#: A transaction may be open for twice transaction_seconds (the coordinator looks now and then), and this.
_OPEN_MS = 30_000
_FULL_SIZE = str(topics.MAX_MESSAGE_BYTES)
_LOCAL_HOSTS = ("127.", "localhost:", "[::1]:")

# --- settings


def settings_faults(facts: Facts) -> Iterator[Finding]:
    """Keys, and doors left open."""
    settings = facts.settings
    if settings is None:
        yield faults.SETTINGS_REFUSED.found(facts.settings_error or "they cannot be read")
        return
    yield from _secrets(settings)
    if not settings.uses_tls and _is_away(settings):
        yield faults.KAFKA_IN_CLEAR.found(
            f"security_protocol is {settings.security_protocol}, and brokers are at {settings.bootstrap_servers}"
        )
    if not settings.http_host.startswith(("127.", "localhost", "::1")) and not settings.http_api_keys:
        yield faults.HTTP_OPEN.found(f"http_host is {settings.http_host}, and http_api_keys is empty")
    if not settings.explore_share:
        yield faults.NOTHING_EXPLORES.found("explore_share is 0")


def _secrets(settings: Settings) -> Iterator[Finding]:
    if not settings.token_secrets:
        yield faults.TOKEN_SECRETS_MISSING.found("token_secrets is not set")
    for number, hidden in enumerate(settings.token_secrets, 1):
        secret = hidden.get_secret_value()
        named = f"secret {number} of {len(settings.token_secrets)} in token_secrets"
        if secret in PUBLIC_SECRETS:
            yield faults.TOKEN_SECRET_PUBLIC.found(f"{named} is the one of docker-compose.yml")
        elif len(secret) < _STRONG_CHARACTERS or len(set(secret)) < _STRONG_DIFFERENT:
            yield faults.TOKEN_SECRET_WEAK.found(
                f"{named} has {len(secret)} characters, {len(set(secret))} different ones"
            )


# --- the cluster


def broker_faults(facts: Facts) -> Iterator[Finding]:
    """Whether brokers answer, and keep what they are given."""
    if facts.login_refused is not None:
        yield faults.LOGIN_REFUSED.found(facts.login_refused)
    if facts.unreachable is not None:
        yield faults.BROKER_UNREACHABLE.found(facts.unreachable)
    offline = places(facts, lambda partition: not partition.has_leader)
    if offline:
        yield faults.PARTITION_OFFLINE.found(f"nobody answers for {offline}")
    lagging = places(facts, lambda partition: partition.has_leader and partition.in_sync < partition.replicas)
    if lagging:
        yield faults.UNDER_REPLICATED.found(f"copies are missing of {lagging}")
    single = [name for name, topic in facts.topics.items() if any(p.replicas == 1 for p in topic.partitions)]
    if single and facts.settings is not None and (facts.brokers > 1 or _is_away(facts.settings)):
        yield faults.SINGLE_REPLICA.found(
            f"{some(single)} {have(single)} one copy on a cluster of {many(facts.brokers, 'broker')}"
        )
    lax = [
        name
        for name, topic in facts.topics.items()
        if min((p.replicas for p in topic.partitions), default=1) > 2
        and topic.config.get("min.insync.replicas") == "1"
    ]
    if lax:
        yield faults.ONE_COPY_ENOUGH.found(f"min.insync.replicas of {some(lax)} is 1")


def permissions_faults(facts: Facts) -> Iterator[Finding]:
    """What we may not see, and what a role may not do."""
    for refusal in facts.refusals:
        yield faults.PERMISSION_REFUSED.found(f"{refusal.what}: {refusal.why}")
    for grant in access.ROLES[facts.role] if facts.role else ():
        kind = grant.kind.value.strip("-")
        for name in grant.names:
            may = _operations(facts, grant.kind, name)
            missing = [one for one in grant.operations if may is not None and not may & {one, "All"}]
            if missing:
                yield faults.PERMISSION_MISSING.found(
                    f"{facts.role} has to {' and '.join(missing)} {kind} {name!r}, and our user may not"
                )


def _operations(facts: Facts, kind: access.Kind, name: str) -> frozenset[str] | None:
    """What our user may do with a thing; None where nobody says so."""
    if kind is access.Kind.TOPIC and name in facts.topics:
        return facts.topics[name].operations
    if kind is access.Kind.GROUP and name in facts.groups:
        return facts.groups[name].operations
    return None


def topics_faults(facts: Facts) -> Iterator[Finding]:
    """Topics that are missing, partitioned or set otherwise than the graph says."""
    if facts.settings is None or facts.is_dark:
        return
    prefix, hidden = facts.settings.topic_prefix, {refusal.what for refusal in facts.refusals}
    missing = [topic.full_name(prefix) for topic in topics.ALL if topic.name not in facts.topics]
    missing = [name for name in missing if f"topic {name!r}" not in hidden]
    if missing:
        yield faults.TOPIC_MISSING.found(f"there is no {some(missing)}")
    yield from _partitions(facts, facts.settings)
    for topic in topics.ALL:
        if topic.name in facts.topics:
            yield from _config(topic, facts.topics[topic.name], facts.settings)


def _partitions(facts: Facts, settings: Settings) -> Iterator[Finding]:
    counts = {name: len(topic.partitions) for name, topic in facts.topics.items()}
    for key in (topics.Key.TITLE, topics.Key.MEMBER):
        alike = {
            topic.name: counts[topic.name] for topic in topics.ALL if topic.key is key and topic.name in counts
        }
        if len(set(alike.values())) > 1:
            usual = Counter(alike.values()).most_common(1)[0][0]
            odd = ", ".join(f"{name} has {count}" for name, count in alike.items() if count != usual)
            yield faults.PARTITIONS_DIFFER.found(
                f"topics with the key {key.value} have {many(usual, 'partition')}, but {odd}"
            )
            return
    unlike = {count for count in counts.values() if count != settings.partitions}
    if unlike:
        yield faults.PARTITIONS_UNLIKE_SETTING.found(
            f"topics have {', '.join(map(str, sorted(unlike)))} partitions, the setting is {settings.partitions}"
        )


def _config(topic: Topic, found: TopicFacts, settings: Settings) -> Iterator[Finding]:
    """A topic's own settings against those that it should have."""
    name, wanted, config = topic.full_name(settings.topic_prefix), topic.config(), found.config
    if not config:
        return  # the broker does not tell
    policy = config.get("cleanup.policy", "")
    if policy and policy != wanted["cleanup.policy"]:
        yield faults.CLEANUP_POLICY.found(
            f"{name} has cleanup.policy={policy}, it needs {wanted['cleanup.policy']}"
        )
    if (
        "max.message.bytes" in wanted
        and int(config.get("max.message.bytes", _FULL_SIZE)) < topics.MAX_MESSAGE_BYTES
    ):
        yield faults.MESSAGE_LIMIT.found(
            f"{name} has max.message.bytes={config['max.message.bytes']}, it needs {_FULL_SIZE}"
        )
    needed_ms = round((settings.attribution_hours + settings.late_hours) * HOUR_MS)
    retention_ms = found.retention_ms
    if topic in (IMPRESSIONS, PLAYS, REWARDS) and retention_ms is not None and retention_ms < needed_ms:
        yield faults.RETENTION_SHORT.found(
            f"{name} keeps records for {time(retention_ms)}, and a play may come {time(needed_ms)} after its "
            "impression (attribution_hours + late_hours)"
        )
    elif "retention.ms" in wanted and retention_ms is not None and retention_ms < int(wanted["retention.ms"]):
        yield faults.TOPIC_SETTING.found(
            f"{name} has retention.ms={retention_ms}, keyart topics gives {wanted['retention.ms']}"
        )
    elif "delete.retention.ms" in wanted and int(config.get("delete.retention.ms", 0)) < int(
        wanted["delete.retention.ms"]
    ):
        yield faults.TOPIC_SETTING.found(
            f"{name} has delete.retention.ms={config.get('delete.retention.ms')}, keyart topics gives "
            f"{wanted['delete.retention.ms']}: a reader may miss that something was withdrawn"
        )


def transactions_faults(facts: Facts) -> Iterator[Finding]:
    """Transactions that should have ended."""
    if facts.settings is None:
        return
    limit_ms = round(2 * facts.settings.transaction_seconds * 1000) + _OPEN_MS
    for name, topic in facts.topics.items():
        for number, partition in enumerate(topic.partitions):
            since = partition.open_since_ms
            if since is not None and facts.now_ms - since > limit_ms:
                yield faults.TRANSACTION_HANGING.found(
                    f"{name} partition {number}: open for {time(facts.now_ms - since)} at offset "
                    f"{partition.stable}, {many(partition.end - partition.stable, 'record')} behind it"
                )


def _is_away(settings: Settings) -> bool:
    """Whether any broker is named that is not on this machine."""
    return not all(server.startswith(_LOCAL_HOSTS) for server in settings.bootstrap_servers.split(","))
