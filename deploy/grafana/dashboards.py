"""Grafana's dashboards, written here and made into the JSON that Grafana reads: ``make docs``.

Each answers questions in an order, one a row. A panel says what it shows and what to make of it; colours begin
where the alert rules (``deploy/prometheus/alerts.yml``) begin to wake people up.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "dashboards"
DATASOURCE = {"type": "prometheus", "uid": "keyart-prometheus"}

WORKER = 'job=~"$job", instance=~"$instance"'
NODE = 'instance=~"$instance"'
RATE = "[$__rate_interval]"

#: From green to red, where red begins; or the other way round.
GOOD, WARN, BAD = "green", "orange", "red"

Query = tuple[str, str]  # an expression, and what its lines are called


def quantile(share: float, metric: str, by: str = "", where: str = "") -> str:
    """A quantile of a histogram over the last moments."""
    labels = ", ".join(filter(None, ("le", by)))
    selector = f"{{{where}}}" if where else ""
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{selector}{RATE})))"


def panel(  # noqa: PLR0917 - one panel's parts
    kind: str,
    title: str,
    description: str,
    unit: str,
    queries: list[Query],
    size: tuple[int, int],
    steps: list[tuple[float | None, str]] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A panel; ``steps`` are the values from which it has a colour."""
    defaults: dict[str, Any] = {"unit": unit} | more.pop("defaults", {})
    if steps:
        colours = [{"value": value, "color": colour} for value, colour in steps]
        defaults["thresholds"] = {"mode": "absolute", "steps": colours}
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + i), "datasource": DATASOURCE, "expr": expr, "legendFormat": legend}
            | ({"instant": True, "range": False} if kind == "stat" else {})
            for i, (expr, legend) in enumerate(queries)
        ],
        "size": size,
    } | more


def stat(
    title: str,
    description: str,
    unit: str,
    queries: list[Query],
    steps: list[tuple[float | None, str]],
    *,
    width: int = 4,
    height: int = 4,
    mappings: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """One number, or one for each line, with a colour behind it."""
    return panel(
        *("stat", title, description, unit, queries, (width, height), steps),
        defaults={"mappings": mappings or [], "noValue": "none yet"},
        options={
            "colorMode": "background",
            "graphMode": "none",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "value_and_name" if queries[0][1] else "value",
        },
    )


def graph(
    title: str,
    description: str,
    unit: str,
    queries: list[Query],
    *,
    width: int = 8,
    height: int = 8,
    limit: float | None = None,
    stacked: bool = False,
    most: float | None = None,
) -> dict[str, Any]:
    """Lines over time; ``limit`` is where it begins to be too much."""
    custom: dict[str, Any] = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}
    if stacked:
        custom |= {"fillOpacity": 30, "stacking": {"mode": "normal", "group": "A"}}
    if limit is not None:
        custom["thresholdsStyle"] = {"mode": "line+area"}
    defaults: dict[str, Any] = {"custom": custom, "min": 0}
    if most is not None:
        defaults["max"] = most
    steps: list[tuple[float | None, str]] = [(None, GOOD)] + ([] if limit is None else [(limit, BAD)])
    return panel(
        *("timeseries", title, description, unit, queries, (width, height), steps),
        defaults=defaults,
        options={
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    )


def variable(name: str, label: str, query: str) -> dict[str, Any]:
    """What one may choose from: the values of a label."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def window() -> dict[str, Any]:
    """How long a time is summed up."""
    choices = ["10m", "1h", "6h", "1d", "7d"]
    return {
        "type": "interval",
        "name": "window",
        "label": "Over the last",
        "query": ",".join(choices),
        "auto": False,
        "current": {"text": "1h", "value": "1h"},
        "options": [{"text": one, "value": one, "selected": one == "1h"} for one in choices],
    }


def dashboard(
    name: str,
    title: str,
    description: str,
    rows: dict[str, list[dict[str, Any]]],
    variables: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """A dashboard whose rows are filled from left to right."""
    panels: list[dict[str, Any]] = []
    y = 0
    for heading, row in rows.items():
        panels.append({"type": "row", "title": heading, "collapsed": False, "gridPos": _place(0, y, 24, 1)})
        x, y, tallest = 0, y + 1, 0
        for one in row:
            width, height = one.pop("size")
            if x + width > 24:
                x, y, tallest = 0, y + tallest, 0
            panels.append(one | {"gridPos": _place(x, y, width, height)})
            x, tallest = x + width, max(tallest, height)
        y += tallest
    firing = {
        "name": "Alerts",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": BAD,
        "expr": 'ALERTS{alertstate="firing", alertname=~"Keyart.*"}',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{job}} {{instance}}",
        "useValueForTime": False,
    }
    return {
        "uid": f"keyart-{name}",
        "title": title,
        "description": description,
        "tags": ["keyart"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": [firing]},
        "links": [
            {"type": "dashboards", "title": "Keyart", "tags": ["keyart"], "asDropdown": False, "keepTime": True}
        ],
        "templating": {"list": variables or []},
        "panels": [{"id": i + 1} | one for i, one in enumerate(panels)],
    }


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


# --- what several dashboards show

ZERO_IS_GOOD: list[tuple[float | None, str]] = [(None, GOOD), (1, BAD)]
READY = [
    {
        "type": "value",
        "options": {"0": {"text": "not ready", "color": BAD}, "1": {"text": "ready", "color": GOOD}},
    }
]
#: The path of an event, in its three parts.
PATH = {
    "taken in": ("keyart_worker_record_age_seconds", 'topic="impressions"'),
    "published": ("keyart_publish_delay_seconds", ""),
    "to choose from": ("keyart_snapshot_delay_seconds", ""),
}


def path(share: float) -> list[Query]:
    """How long each part of the path takes."""
    return [(quantile(share, metric, where=where), part) for part, (metric, where) in PATH.items()]


def ratio(one: str, other: str) -> str:
    """A quotient."""
    return f"{one} / {other}"


OVERVIEW = dashboard(
    "overview",
    "Keyart: overview",
    "Is it healthy, is it fresh, does it learn, is it worth it.",
    {
        "Healthy?": [
            stat(
                "Alerts",
                "How many fire. docs/runbook.md says of each what it means and what to do.",
                "none",
                [('count(ALERTS{alertstate="firing", alertname=~"Keyart.*"}) or vector(0)', "")],
                ZERO_IS_GOOD,
                width=3,
            ),
            stat(
                "Processes",
                "Workers are ready when they own partitions and have restored their state; a process that does "
                "not answer is not ready.",
                "none",
                [
                    (
                        'keyart_worker_ready or on (job, instance) (up{job=~"learner|viewing"} == 0)',
                        "{{job}} {{instance}}",
                    ),
                    ('up{job=~"serving|app"}', "{{job}} {{instance}}"),
                ],
                [(None, BAD), (1, GOOD)],
                width=9,
                mappings=READY,
            ),
            stat(
                "Partitions of nobody",
                "Nothing of the titles or members on them is learned. More than 0 for longer than a rebalance: "
                "start a worker.",
                "none",
                [
                    (
                        "max by (job) (keyart_worker_group_partitions) - sum by (job) (keyart_worker_partitions)",
                        "{{job}}",
                    )
                ],
                ZERO_IS_GOOD,
            ),
            stat(
                "Dead letters, last hour",
                "The part of what was read that could not be used. keyart dead-letters list says why, and replay "
                "brings back what can be mended.",
                "percentunit",
                [
                    (
                        ratio(
                            "sum(increase(keyart_dead_letters_total[1h]))",
                            "sum(increase(keyart_worker_records_total[1h]))",
                        ),
                        "",
                    )
                ],
                [(None, GOOD), (0.001, WARN), (0.01, BAD)],
            ),
            stat(
                "Starts over, last hour",
                "Times a worker dropped its state and read it back: after a lost broker, a lost membership or a "
                "failed commit. Nothing is lost by it.",
                "none",
                [("sum(increase(keyart_worker_failures_total[1h]))", "")],
                [(None, GOOD), (1, WARN), (12, BAD)],
            ),
        ],
        "Fresh?": [
            graph(
                "From an event to a choice, median",
                "Taken in: from when the app wrote an impression to when a learner had it. Published: until a "
                "snapshot held it. To choose from: until a serving node had that. The height is the whole path; a "
                "second or two is usual.",
                "s",
                path(0.5),
                stacked=True,
            ),
            graph(
                "Newest snapshot at serving nodes",
                "While people watch it stays near publish_seconds. It grows when nobody watches, and then it is "
                "no fault.",
                "s",
                [("min by (job, instance) (keyart_snapshot_age_seconds)", "{{job}} {{instance}}")],
                limit=300,
            ),
            graph(
                "Records not read yet",
                "The lag of the workers' inputs. Growing for minutes: add a worker, up to one for each partition.",
                "short",
                [("sum by (job, topic) (keyart_worker_lag_records)", "{{job}}: {{topic}}")],
            ),
        ],
        "Learning?": [
            graph(
                "Records read",
                "Impressions and rewards into the learners, plays into the viewing workers.",
                "cps",
                [(f"sum by (job, topic) (rate(keyart_worker_records_total{RATE}))", "{{job}}: {{topic}}")],
            ),
            graph(
                "Snapshots",
                "Published: titles whose models changed. Refused: unsound, so the last good one stays; the "
                "learner's log names the title.",
                "cps",
                [
                    (f"sum(rate(keyart_snapshots_published_total{RATE}))", "published"),
                    (f"sum(rate(keyart_snapshots_refused_total{RATE}))", "refused"),
                ],
            ),
            graph(
                "How different artworks are chosen",
                "How evenly a title's impressions go to its artworks: 1, all as often; near 0.1, one artwork has "
                "won every title, and only the uniform choices differ.",
                "percentunit",
                [("avg(keyart_choice_entropy_ratio >= 0)", "evenness")],
                most=1,
            ),
        ],
        "Worth it?": [
            stat(
                "Personal over the others",
                "How much more an impression earns when the artwork is chosen for the member than when it is the "
                "best single one for everyone (popular) or any by chance (explore).",
                "percentunit",
                [("max by (over) (keyart_live_lift_ratio) - 1", "{{over}}")],
                [(None, BAD), (0, GOOD)],
                height=8,
            ),
            stat(
                "At least",
                "The lower end of its interval, which holds with 95 % certainty however often one looks. Above 0:"
                " it is worth it.",
                "percentunit",
                [("max by (over) (keyart_live_lift_low_ratio) - 1", "{{over}}")],
                [(None, WARN), (0, GOOD)],
                height=8,
            ),
            graph(
                "Reward of an impression, by policy",
                "Reward credited over impressions learned, over the window. explore is a uniform choice for few "
                "members: its line is the noisiest.",
                "percentunit",
                [
                    (
                        ratio(
                            "sum by (policy) (increase(keyart_rewards_learned_total[$window]))",
                            "sum by (policy) (increase(keyart_impressions_learned_total[$window]))",
                        ),
                        "{{policy}}",
                    )
                ],
                width=16,
            ),
        ],
    },
    [window()],
)

WORKERS = dashboard(
    "workers",
    "Keyart: learners and viewing workers",
    "Are they at work, do they keep up, what does it cost, and what became of the records.",
    {
        "At work?": [
            stat(
                "Workers",
                "Ready: it owns partitions and has restored their state.",
                "none",
                [(f"keyart_worker_ready{{{WORKER}}}", "{{instance}}")],
                [(None, BAD), (1, GOOD)],
                width=8,
                height=6,
                mappings=READY,
            ),
            graph(
                "Partitions by worker",
                "How they are dealt. The height is the partition count of the topics.",
                "none",
                [(f"sum by (job, instance) (keyart_worker_partitions{{{WORKER}}})", "{{job}} {{instance}}")],
                stacked=True,
                height=6,
            ),
            graph(
                "Since the loop last turned",
                "Stays below a second, and up to some tens of seconds while a broker is away. /livez fails beyond "
                "poll_seconds, connect_seconds and three times transaction_seconds together.",
                "s",
                [(f"keyart_worker_still_seconds{{{WORKER}}}", "{{instance}}")],
                limit=120,
                height=6,
            ),
            graph(
                "Rebalances and starts over",
                "Every start, stop or loss of a worker deals the partitions again. Starting over drops the state "
                "and reads it back.",
                "none",
                [
                    (
                        f"sum by (job) (increase(keyart_worker_rebalances_total{{{WORKER}}}{RATE}))",
                        "{{job}}: rebalances",
                    ),
                    (
                        f"sum by (job) (increase(keyart_worker_failures_total{{{WORKER}}}{RATE}))",
                        "{{job}}: starts over",
                    ),
                ],
            ),
            graph(
                "Time to restore",
                "What bringing partitions back took each time, on average since the processes started.",
                "s",
                [
                    (
                        ratio(
                            f"sum by (job) (keyart_worker_restore_seconds_sum{{{WORKER}}})",
                            f"sum by (job) (keyart_worker_restore_seconds_count{{{WORKER}}})",
                        ),
                        "{{job}}",
                    )
                ],
                limit=60,
            ),
            graph(
                "State",
                "Titles that learners, and members that viewing workers hold in memory.",
                "short",
                [
                    (f"sum by (instance) (keyart_learner_titles{{{WORKER}}}) > 0", "{{instance}}: titles"),
                    (f"sum by (instance) (keyart_viewing_members{{{WORKER}}}) > 0", "{{instance}}: members"),
                ],
            ),
        ],
        "Keeping up?": [
            graph(
                "Records read",
                "By input.",
                "cps",
                [
                    (
                        f"sum by (job, topic) (rate(keyart_worker_records_total{{{WORKER}}}{RATE}))",
                        "{{job}}: {{topic}}",
                    )
                ],
            ),
            graph(
                "Records not read yet, by partition",
                "One partition that lags alone has a busy title, or a worker that is slower than the others.",
                "short",
                [
                    (
                        f"sum by (topic, partition) (keyart_worker_lag_records{{{WORKER}}})",
                        "{{topic}} {{partition}}",
                    )
                ],
            ),
            graph(
                "Age of records once taken in",
                "Nineteen of twenty batches were younger. It grows with the lag.",
                "s",
                [
                    (
                        quantile(0.95, "keyart_worker_record_age_seconds", "job, topic", WORKER),
                        "{{job}}: {{topic}}",
                    )
                ],
                limit=60,
            ),
        ],
        "What does it cost?": [
            graph(
                "Time to handle a batch",
                "Nineteen of twenty took less. Longer than poll_seconds (60), and the group puts the worker out.",
                "s",
                [(quantile(0.95, "keyart_worker_batch_seconds", "job, topic", WORKER), "{{job}}: {{topic}}")],
            ),
            graph(
                "Share of the time spent learning",
                "How busy learners are with reading records, and with adding them up. At 1 one of its processors "
                "is full.",
                "percentunit",
                [
                    (
                        f"sum by (instance) (rate(keyart_learner_decode_seconds_sum{{{WORKER}}}{RATE}))",
                        "{{instance}}: decode",
                    ),
                    (
                        f"sum by (instance) (rate(keyart_learner_learn_seconds_sum{{{WORKER}}}{RATE}))",
                        "{{instance}}: learn",
                    ),
                ],
                limit=0.8,
            ),
            graph(
                "Time of a checkpoint",
                "Nineteen of twenty took less. Kafka aborts one that takes longer than transaction_seconds (10).",
                "s",
                [(quantile(0.95, "keyart_worker_checkpoint_seconds", "job", WORKER), "{{job}}")],
                limit=5,
            ),
            graph(
                "From a change to its snapshot",
                "Median, and what nineteen of twenty titles stayed below. It grows when solving takes longer than "
                "publish_seconds: add learners.",
                "s",
                [
                    (quantile(0.5, "keyart_publish_delay_seconds", where=WORKER), "median"),
                    (quantile(0.95, "keyart_publish_delay_seconds", where=WORKER), "95 of 100"),
                ],
                limit=10,
            ),
            graph(
                "Size of snapshots",
                "Median, and what nineteen of twenty stayed below. It grows with artworks, and with the square of"
                " the features; Kafka takes 16 MiB.",
                "bytes",
                [
                    (quantile(0.5, "keyart_snapshot_bytes", where=WORKER), "median"),
                    (quantile(0.95, "keyart_snapshot_bytes", where=WORKER), "95 of 100"),
                ],
                limit=8 * 1024 * 1024,
            ),
            graph(
                "Processors in use",
                "A worker is one loop: more than one processor it cannot fill.",
                "none",
                [(f"rate(process_cpu_seconds_total{{{WORKER}}}{RATE})", "{{instance}}")],
                width=4,
            ),
            graph(
                "Memory",
                "It grows with titles, artworks and the square of the features; with members in viewing workers.",
                "bytes",
                [(f"process_resident_memory_bytes{{{WORKER}}}", "{{instance}}")],
                width=4,
            ),
        ],
        "What became of the records?": [
            graph(
                "Dead letters, by fault",
                "unknown_title and unknown_artwork: the catalogue is behind the app. The others: an app writes "
                "what is not as agreed; docs/dead-letters.md has each code.",
                "cps",
                [(f"sum by (code) (rate(keyart_dead_letters_total{{{WORKER}}}{RATE}))", "{{code}}")],
            ),
            graph(
                "Counted before, late, or beyond a limit",
                "Duplicates are counted once. Late plays came after attribution_hours. Uncredited and over the "
                "limit: what one member can teach in a day and in an hour has an end.",
                "cps",
                [
                    (f"sum(rate(keyart_duplicates_total{{{WORKER}}}{RATE}))", "duplicates"),
                    (f"sum(rate(keyart_late_plays_total{{{WORKER}}}{RATE}))", "late plays"),
                    (f"sum(rate(keyart_plays_uncredited_total{{{WORKER}}}{RATE}))", "uncredited plays"),
                    (f"sum(rate(keyart_impressions_over_limit_total{{{WORKER}}}{RATE}))", "over the limit"),
                ],
            ),
            graph(
                "Members forgotten, features unknown",
                "Members who asked to be forgotten; and context features that no model has a weight for: they say "
                "nothing, until a catalogue or the setting features names them.",
                "cps",
                [
                    (f"sum(rate(keyart_members_forgotten_total{{{WORKER}}}{RATE}))", "members forgotten"),
                    (f"sum(rate(keyart_unknown_features_total{{{WORKER}}}{RATE}))", "features unknown"),
                ],
            ),
        ],
    },
    [
        variable("job", "Kind", "label_values(keyart_worker_ready, job)"),
        variable("instance", "Worker", 'label_values(keyart_worker_ready{job=~"$job"}, instance)'),
    ],
)

SERVING = dashboard(
    "serving",
    "Keyart: serving nodes",
    "Do they answer, what do they choose from, and do events arrive.",
    {
        "Do they answer?": [
            graph(
                "Requests, by status",
                "4xx: the app asks wrongly. 503: the node has not read its tables yet, or Kafka takes no events.",
                "reqps",
                [(f"sum by (status) (rate(keyart_http_requests_total{{{NODE}}}{RATE}))", "{{status}}")],
            ),
            graph(
                "Errors of their own",
                "The share of answers that are 500 or 503.",
                "percentunit",
                [
                    (
                        ratio(
                            f'sum by (instance) (rate(keyart_http_requests_total{{status=~"5..", {NODE}}}{RATE}))',
                            f"sum by (instance) (rate(keyart_http_requests_total{{{NODE}}}{RATE}))",
                        ),
                        "{{instance}}",
                    )
                ],
                limit=0.01,
            ),
            graph(
                "Time to answer, p99",
                "By route. A choice takes well under a millisecond of a node's own, a page of fifty titles a few; "
                "more of it is waiting for the processor.",
                "s",
                [(quantile(0.99, "keyart_http_request_seconds", "route", NODE), "{{route}}")],
                limit=0.05,
            ),
        ],
        "What do they choose from?": [
            graph(
                "Choices, by policy",
                "Of nodes, and of apps that choose by themselves.",
                "cps",
                [(f"sum by (policy) (rate(keyart_choices_total{{{NODE}}}{RATE}))", "{{policy}}")],
            ),
            graph(
                "Choices without a snapshot",
                "The share of choices for which nothing was known of the title: the catalogue's first artwork.",
                "percentunit",
                [
                    (
                        ratio(
                            f"sum by (instance) (rate(keyart_choices_without_snapshot_total{{{NODE}}}{RATE}))",
                            f"sum by (instance) (rate(keyart_choices_total{{{NODE}}}{RATE}))",
                        ),
                        "{{instance}}",
                    )
                ],
                limit=0.05,
            ),
            graph(
                "Titles, and those with a snapshot",
                "Titles of the catalogue, and those that a learner has published.",
                "short",
                [
                    (f"keyart_titles{{{NODE}}}", "{{instance}}: titles"),
                    (f"keyart_snapshots{{{NODE}}}", "{{instance}}: with a snapshot"),
                ],
            ),
            graph(
                "From published to chosen from",
                "Median, and what nineteen of twenty snapshots stayed below.",
                "s",
                [
                    (quantile(0.5, "keyart_snapshot_delay_seconds", where=NODE), "median"),
                    (quantile(0.95, "keyart_snapshot_delay_seconds", where=NODE), "95 of 100"),
                ],
            ),
            graph(
                "Behind Kafka",
                "Time since a node was last known to have read all of its tables; it looks every five seconds.",
                "s",
                [(f"keyart_tables_behind_seconds{{{NODE}}}", "{{instance}}")],
                limit=60,
            ),
            graph(
                "Tables",
                "Read anew: Kafka was away, and meanwhile the node served what it had. Refused: a record that "
                "could not be understood; what it would have replaced stays.",
                "none",
                [
                    (
                        f"sum by (instance) (increase(keyart_table_failures_total{{{NODE}}}{RATE}))",
                        "{{instance}}: read anew",
                    ),
                    (
                        f"sum by (topic) (increase(keyart_table_records_refused_total{{{NODE}}}{RATE}))",
                        "{{topic}}: refused",
                    ),
                ],
            ),
        ],
        "Do events arrive?": [
            graph(
                "Events",
                "Accepted over HTTP, by topic; delivered to Kafka, all of them.",
                "cps",
                [
                    (
                        f"sum by (topic) (rate(keyart_events_accepted_total{{{NODE}}}{RATE}))",
                        "{{topic}}: accepted",
                    ),
                    (f"sum(rate(keyart_events_delivered_total{{{NODE}}}{RATE}))", "delivered"),
                ],
            ),
            graph(
                "Events lost",
                "Refused, or not delivered in time. What they say is never learned.",
                "cps",
                [
                    (
                        f"sum by (instance, topic) (rate(keyart_events_dropped_total{{{NODE}}}{RATE}))",
                        "{{instance}}: {{topic}}",
                    )
                ],
            ),
            graph(
                "Events on their way",
                "Queued in the node. They grow while Kafka is away, until the oldest are dropped.",
                "short",
                [(f"keyart_events_queued{{{NODE}}}", "{{instance}}")],
            ),
        ],
    },
    [variable("instance", "Node", "label_values(keyart_titles, instance)")],
)

QUALITY = dashboard(
    "quality",
    "Keyart: quality of learning",
    "Is the comparison fair, what do policies earn, and does learning go on.",
    {
        "Is the comparison fair?": [
            graph(
                "Share of impressions, by policy",
                "Members are split by a hash: explore_share, popular_share, and the rest. The lines stay where "
                "the dashed settings are; else what policies earn cannot be compared.",
                "percentunit",
                [
                    (
                        ratio(
                            "sum by (policy) (increase(keyart_impressions_learned_total[$window]))",
                            "on () group_left () sum(increase(keyart_impressions_learned_total[$window]))",
                        ),
                        "{{policy}}",
                    ),
                    ("max by (policy) (keyart_policy_share_ratio)", "{{policy}}: as set"),
                ],
                width=12,
            ),
            graph(
                "Members, by policy",
                "Those that serving nodes have counted to see whether the split is right; of many a part.",
                "short",
                [("sum by (policy) (keyart_split_members)", "{{policy}}")],
                width=6,
            ),
            graph(
                "Impressions, by policy",
                "A policy that few members have needs longer for a comparison.",
                "cps",
                [(f"sum by (policy) (rate(keyart_impressions_learned_total{RATE}))", "{{policy}}")],
                width=6,
            ),
        ],
        "What do policies earn?": [
            graph(
                "Take rate, by policy",
                "The part of impressions that earned anything, with its interval. Of all that was ever learned, "
                "so it moves slowly.",
                "percentunit",
                [
                    (f"max by (policy) (keyart_live_take_rate{end}_ratio)", "{{policy}}" + name)
                    for end, name in (("", ""), ("_low", ": at least"), ("_high", ": at most"))
                ],
                width=12,
            ),
            graph(
                "Reward of an impression lately, by policy",
                "Reward credited over impressions learned, over the window.",
                "percentunit",
                [
                    (
                        ratio(
                            "sum by (policy) (increase(keyart_rewards_learned_total[$window]))",
                            "sum by (policy) (increase(keyart_impressions_learned_total[$window]))",
                        ),
                        "{{policy}}",
                    )
                ],
                width=12,
            ),
            graph(
                "Personal over the others",
                "The mean reward of the personal choice as a multiple of the others', with its interval, which "
                "holds however often one looks. Above 1: it is worth it.",
                "none",
                [
                    (f"max by (over) (keyart_live_lift{end}_ratio)", "over {{over}}" + name)
                    for end, name in (("", ""), ("_low", ": at least"), ("_high", ": at most"))
                ],
            ),
            graph(
                "Personal over popular, busiest titles",
                "Where it is worth most, and where an artwork is best for everybody.",
                "none",
                [('max by (title) (keyart_live_title_lift_ratio{over="popular"})', "{{title}}")],
            ),
            graph(
                "Impressions worth one",
                "Members come back, so their impressions hang together: how many say as much as one that is "
                "independent of all others. The intervals allow for it.",
                "none",
                [("max(keyart_live_design_effect_ratio)", "impressions")],
            ),
            graph(
                "Apprentice: what impressions earn",
                "Of the app's own choices (app_share), those that Keyart would have made too and the others. "
                "Empty where the app makes none.",
                "percentunit",
                [
                    ("max by (agreed) (keyart_apprentice_mean_reward_ratio)", "agreed: {{agreed}}"),
                    ("max(keyart_apprentice_agreement_ratio)", "part agreed on"),
                ],
                width=12,
            ),
            graph(
                "Reward credited",
                "All of it, a second. Falling while impressions stay: members watch less of what they are shown, "
                "or plays do not arrive.",
                "cps",
                [(f"sum by (policy) (rate(keyart_rewards_learned_total{RATE}))", "{{policy}}")],
                width=12,
                stacked=True,
            ),
        ],
        "Does learning go on?": [
            graph(
                "How different artworks are chosen",
                "How evenly a title's latest impressions went to its artworks: 1, all as often; near 0.1, one "
                "artwork has won every title, and only the uniform choices differ.",
                "percentunit",
                [("keyart_choice_entropy_ratio >= 0", "{{instance}}")],
                most=1,
            ),
            graph(
                "Titles that turned",
                "Busy titles whose reward fell by more than chance allows, so that they forgot what they had "
                "learned. Looked for where drift_detection is on.",
                "none",
                [("sum(increase(keyart_titles_turned_total[$window]))", "titles")],
            ),
            graph(
                "Snapshots refused",
                "Unsound: not finite, not positive definite, or a jump beyond max_jump. The last good one stays.",
                "none",
                [("sum by (instance) (increase(keyart_snapshots_refused_total[$window]))", "{{instance}}")],
            ),
        ],
    },
    [window()],
)

DASHBOARDS = {"overview": OVERVIEW, "workers": WORKERS, "serving": SERVING, "quality": QUALITY}


def written(name: str) -> str:
    """A dashboard as its file holds it."""
    return json.dumps(DASHBOARDS[name], indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all of them."""
    for name in DASHBOARDS:
        (HERE / f"{name}.json").write_text(written(name))


if __name__ == "__main__":
    main()
