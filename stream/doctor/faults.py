"""Everything that may be wrong: a stable code, what it means, and what to do about it.

Codes are part of Keyart's interface, as those of dead letters are: a code is never given another meaning.
"""

from __future__ import annotations

from stream.doctor.finding import Fault, Severity, Subject


def _failure(subject: Subject, code: str, meaning: str, remedy: str) -> Fault:
    return Fault(code, subject, Severity.FAILURE, meaning, remedy)


def _warning(subject: Subject, code: str, meaning: str, remedy: str) -> Fault:
    return Fault(code, subject, Severity.WARNING, meaning, remedy)


_REPAIR = "Run keyart topics --repair."
_S, _T, _W = Subject.SETTINGS, Subject.TOPICS, Subject.WORKERS

SETTINGS_REFUSED = _failure(
    _S,
    "settings_refused",
    "The settings cannot be used.",
    "Mend the setting that is named, in keyart.toml or in its KEYART_ variable; keyart config lists them all.",
)
TOKEN_SECRETS_MISSING = _failure(
    _S,
    "token_secrets_missing",
    "No key signs play tokens, so that serving nodes and apps do not start.",
    "Set KEYART_TOKEN_SECRETS (or KEYART_TOKEN_SECRETS_FILE) to a secret, for example openssl rand -hex 32: the "
    "same on every serving node and app.",
)
TOKEN_SECRET_PUBLIC = _failure(
    _S,
    "token_secret_public",
    "A key that signs play tokens is one that is printed in Keyart's own files: anybody can claim plays.",
    "Put a secret of your own first in token_secrets everywhere, and take the old one out a day later.",
)
TOKEN_SECRET_WEAK = _warning(
    _S,
    "token_secret_weak",
    "A key that signs play tokens is short, or repeats itself: it may be guessed.",
    "Put a longer one first in token_secrets everywhere (openssl rand -hex 32), and take this one out a "
    "day later.",
)
KAFKA_IN_CLEAR = _warning(
    _S,
    "kafka_in_clear",
    "Member ids cross the network unencrypted: security_protocol has no TLS, and a broker is not on this machine.",
    "Set security_protocol to SSL or SASL_SSL; docs/security.md says how.",
)
HTTP_OPEN = _warning(
    _S,
    "http_open",
    "Anybody who reaches the serving node may call it: it listens beyond this machine, and http_api_keys "
    "is empty.",
    "Set http_api_keys, or let a proxy ask who is calling.",
)
NOTHING_EXPLORES = _warning(
    _S,
    "nothing_explores",
    "No member gets a uniform choice: there is nothing unbiased to judge by what choosing is worth.",
    "Set explore_share above 0; 0.02 costs little.",
)
BROKER_UNREACHABLE = _failure(
    Subject.BROKER,
    "broker_unreachable",
    "No broker answers.",
    "Start Kafka, or mend bootstrap_servers and security_protocol; from this machine its advertised addresses "
    "must be reachable too.",
)
LOGIN_REFUSED = _failure(
    Subject.BROKER,
    "login_refused",
    "The cluster does not let us in.",
    "Mend sasl_username, sasl_password and the certificates' files, or let the cluster know this user.",
)
PARTITION_OFFLINE = _failure(
    Subject.BROKER,
    "partition_offline",
    "No broker answers for a partition: what belongs there is neither written nor read.",
    "Bring back the brokers that hold it; until then serving goes on with what it has.",
)
UNDER_REPLICATED = _warning(
    Subject.BROKER,
    "under_replicated",
    "Fewer copies of a partition are up to date than there should be.",
    "See which broker is away or slow: kafka-topics --describe --under-replicated-partitions names it.",
)
SINGLE_REPLICA = _warning(
    Subject.BROKER,
    "single_replica",
    "Topics have one copy each: a broker that is lost takes them along, and one that is killed may leave a "
    "transaction open that holds readers up.",
    "Set replication_factor to 3 before keyart topics creates them; for existing topics "
    "kafka-reassign-partitions adds copies.",
)
ONE_COPY_ENOUGH = _warning(
    Subject.BROKER,
    "one_copy_enough",
    "A record counts as written once a single broker has it, although there should be several copies.",
    "Set min.insync.replicas of these topics to 2.",
)
PERMISSION_REFUSED = _failure(
    Subject.PERMISSIONS,
    "permission_refused",
    "The cluster does not let our user see something that has to be looked at.",
    "keyart topics --acls prints the kafka-acls commands for every process; keyart doctor needs the rights to "
    "Describe and Read topics and groups, and DescribeConfigs.",
)
PERMISSION_MISSING = _failure(
    Subject.PERMISSIONS,
    "permission_missing",
    "Our user may not do what the role that was asked for has to.",
    "Run the kafka-acls commands that keyart topics --acls prints for that role.",
)
TOPIC_MISSING = _failure(_T, "topic_missing", "A topic does not exist.", "Run keyart topics.")
PARTITIONS_DIFFER = _failure(
    _T,
    "partitions_differ",
    "Topics of one key have different numbers of partitions: what belongs together is read by different workers.",
    "Stop the workers and make the topics anew with the same number; partitions can be added, but then keys move.",
)
PARTITIONS_UNLIKE_SETTING = _warning(
    _T,
    "partitions_unlike_setting",
    "Topics have another number of partitions than the setting says.",
    "Set partitions to the topics' number, or the next topic that is created will differ from them.",
)
CLEANUP_POLICY = _failure(
    _T,
    "cleanup_policy",
    "A topic is cleaned up in a way that loses records which are needed, or keeps those that are not.",
    _REPAIR,
)
MESSAGE_LIMIT = _failure(
    _T,
    "message_limit",
    "A topic takes smaller records than a worker may have to write: a checkpoint with a large one can "
    "never commit.",
    _REPAIR,
)
RETENTION_SHORT = _failure(
    _T,
    "retention_short",
    "A topic drops records before they have had their effect: sooner than a play may earn its "
    "impression something.",
    "Run keyart topics --repair, or lower attribution_hours and late_hours.",
)
TOPIC_SETTING = _warning(_T, "topic_setting", "A topic has other settings than keyart topics gives.", _REPAIR)
TRANSACTION_HANGING = _failure(
    Subject.TRANSACTIONS,
    "transaction_hanging",
    "A transaction stays open long past transaction_seconds: whoever reads the partition waits for its end.",
    "kafka-transactions find-hanging names it, and kafka-transactions abort ends it; a single copy of a topic on "
    "a broker that was killed is how it comes about.",
)
WORKER_ABSENT = _failure(
    _W,
    "worker_absent",
    "Nobody reads: no worker of a kind runs.",
    "Start it (keyart viewing, keyart learner) and see its log; or let the supervisor do so.",
)
WORKER_BEHIND = _warning(
    _W,
    "worker_behind",
    "Workers are behind: their oldest unread record is older than a minute.",
    "Start more of them, up to one for each partition; see whether one is restoring or rebalancing over and over.",
)
WORKER_FAR_BEHIND = _failure(
    _W,
    "worker_far_behind",
    "Workers are so far behind that retention will delete records before they are read.",
    "Start more of them now, and raise retention.ms of the topic until they have caught up.",
)
UNREAD_LOST = _failure(
    _W,
    "unread_lost",
    "Records were deleted before a worker had read them.",
    "What is lost stays lost; start the worker, which says where it goes on, and raise retention.ms.",
)
CLOCK_SKEW = _warning(
    Subject.CLOCK,
    "clock_skew",
    "Our own clock and that of whoever writes records differ by seconds.",
    "Let all machines set their clocks by NTP.",
)
CLOCK_WRONG = _failure(
    Subject.CLOCK,
    "clock_wrong",
    "Our own clock and that of whoever writes records differ by so much that events become dead letters "
    "(max_ahead_seconds).",
    "Set the clocks by NTP; keyart dead-letters puts back what died.",
)
CATALOGUE_EMPTY = _failure(
    Subject.CATALOGUE,
    "catalogue_empty",
    "The catalogue has no title: there is nothing to choose, and every event is a dead letter.",
    "keyart catalogue load FILE; deploy/catalogue.json is an example.",
)
TITLES_WITHOUT_SNAPSHOT = _warning(
    Subject.CATALOGUE,
    "titles_without_snapshot",
    "Titles have no snapshot: members see their first artwork.",
    "A learner publishes a title as soon as it knows it: see whether one runs, and "
    "keyart_snapshots_refused_total.",
)
SNAPSHOTS_STALE = _failure(
    Subject.FRESHNESS,
    "snapshots_stale",
    "Rewards come in, but no snapshot has followed them: choices go by what was learned before.",
    "See whether learners run and keep up, and whether they refuse what they have "
    "(keyart_snapshots_refused_total).",
)
NO_IMPRESSIONS = _warning(
    Subject.TRAFFIC,
    "no_impressions",
    "No app says what it shows: there were no impressions within the hour, or ever.",
    "Let the app send every impression that a member saw: EventProducer.impression, or POST /impressions.",
)
NO_PLAYS = _warning(
    Subject.TRAFFIC,
    "no_plays",
    "Members are shown artwork, but no app says what they play.",
    "Let the app send plays with the choice's token: EventProducer.play, or POST /plays.",
)
NO_REWARDS = _warning(
    Subject.TRAFFIC,
    "no_rewards",
    "Members play, but no play has earned its impression anything.",
    "See whether plays carry the token of the choice that led to them, and watched_seconds above min_seconds.",
)
DEAD_LETTERS_COME = _warning(
    Subject.DEAD_LETTERS,
    "dead_letters_come",
    "Records that could not be used came within the last hour.",
    "keyart dead-letters list says why and what to do.",
)
DEAD_LETTERS_MANY = _failure(
    Subject.DEAD_LETTERS,
    "dead_letters_many",
    "More than one in a hundred records of the last hour could not be used.",
    "keyart dead-letters list says why; mend the app that writes them, then put them back.",
)

FAULTS: tuple[Fault, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Fault))
"""All of them, by subject."""


def table() -> str:
    """Everything that may be wrong, as a table in Markdown."""
    lines = ["| code | | what is wrong | what to do |", "|---|---|---|---|"]
    lines += [
        f"| `{fault.code}` | {fault.severity.value} | {fault.meaning} | {fault.remedy} |" for fault in FAULTS
    ]
    return "\n".join(lines)
