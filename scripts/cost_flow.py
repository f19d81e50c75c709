"""How often both functions are invoked, with how much, and what each invocation takes: the base of what events cost.

What goes in is a deployment's values, a workload, measured and assumed figures. GB and KB are binary, as AWS bills them.
"""

import math
from dataclasses import dataclass, field

GB = 1 << 30
MILLION = 1_000_000
SQS_MESSAGE_BYTES = 256 << 10

# What the modules take where an environment's values say nothing.
DEFAULTS = {
    "networking": {"enabled": False, "n_zones": 1, "interface_endpoints": ["sqs"], "nat": False, "nat_per_zone": False},
    "storage": {"catalog": "glue", "kms_key_arn": None},
    "queues": {"kinesis": None, "http_api": False},
    "observability": {"alarms": True, "log_retention_days": 30, "kms_key_arn": None},
    "compute": {"architecture": "arm64", "mode": "staged", "tracing": True, "extra_settings": {}, "ingest": {}, "commit": {}},
}
FUNCTION_DEFAULTS = {
    "ingest": {"memory_mb": 1769, "batch_size": 1000, "window_seconds": 1, "maximum_concurrency": None},
    "commit": {"memory_mb": 1024, "batch_size": 1000, "window_seconds": 2, "maximum_concurrency": 2},
}


class CostError(Exception):
    """Input that no cost can be worked out from; the text is for a person."""


@dataclass
class Workload:
    """What is sent."""

    events_per_message: int = 1
    event_bytes: float = 909
    events_per_second: float = 1000
    messages_per_send: int = 1
    by_url: bool = False  # Requests to the Function URL, each an invocation, instead of messages of the queue.

    @property
    def message_bytes(self):
        return self.events_per_message * self.event_bytes

    @property
    def gb_of_million(self):
        return MILLION * self.event_bytes / GB


@dataclass
class Inputs:
    """The files beside the environments: prices, measured and assumed figures, and how many embedded metrics there are."""

    prices: dict
    ingest: list
    commit: list
    assumed: dict
    metrics: dict = field(default_factory=dict)
    origin: str = ""  # Of when prices and measurements are, for people.

    def price(self, name):
        if name not in self.prices:
            raise CostError(f"the list of prices has no `{name}`")
        return self.prices[name]

    @property
    def measured_event_bytes(self):
        largest = max(self.ingest, key=lambda row: row["n_events"])
        return largest["event_bytes"] / largest["n_events"]


def with_defaults(values):
    """The values of an environment with what the modules take by default where it says nothing (or null)."""
    given = {module: {key: value for key, value in (values.get(module) or {}).items() if value is not None} for module in DEFAULTS}
    full = {module: DEFAULTS[module] | given[module] for module in DEFAULTS}
    for function, defaults in FUNCTION_DEFAULTS.items():
        own = {key: value for key, value in full["compute"][function].items() if value is not None}
        full["compute"][function] = defaults | own
    return full


@dataclass
class Flow:
    """How a function is invoked: how often, with how much, and what each time takes."""

    per_second: float
    n_messages: float
    took: dict


def invocations(messages_per_second, mapping, largest, assumed):
    """Invocations in a second: what an event source mapping makes of so many messages.

    Each of its pollers waits for a message, gathers for the window and hands over. So with few messages each is handed over
    by itself, with more there is one batch for each poller in a window, and when those are full more are made.
    """
    gatherers = min(assumed["pollers"], mapping["maximum_concurrency"] or assumed["pollers"])
    window = mapping["window_seconds"]
    if window == 0:
        return messages_per_second / min(largest, assumed["messages_per_receive"])
    by_window = gatherers * messages_per_second / (window * messages_per_second + gatherers)
    return max(by_window, messages_per_second / largest)


def most_events(workload, assumed):
    """Events of this size that a message of the queue may have, or a request to the Function URL, whose body is a text of the payload."""
    if workload.by_url:
        return int((assumed["payload_limit_bytes"] - assumed["record_overhead_bytes"]) / (workload.event_bytes * assumed["json_escape_factor"]))
    return int(SQS_MESSAGE_BYTES / workload.event_bytes)


def largest_batch(mapping, message_bytes, assumed):
    """Messages that one invocation may have."""
    by_bytes = int(assumed["payload_limit_bytes"] / (message_bytes * assumed["json_escape_factor"] + assumed["record_overhead_bytes"]))
    return max(1, min(mapping["batch_size"], by_bytes))


def interpolated(rows, key, at, figures):
    """The figures at this place, on straight lines between the rows; proportional beyond the last one."""
    rows = sorted(rows, key=lambda row: row[key])
    if at <= rows[0][key]:
        return {figure: rows[0][figure] for figure in figures}
    for low, high in zip(rows, rows[1:], strict=False):
        if at <= high[key]:
            share = (at - low[key]) / (high[key] - low[key])
            return {figure: low[figure] + share * (high[figure] - low[figure]) for figure in figures}
    return {figure: rows[-1][figure] * at / rows[-1][key] for figure in figures}


def of_packing(rows, events_per_message):
    """For each number of events the row that was packed most alike."""
    best = {}
    for row in rows:
        distance = abs(math.log(row["n_events"] / row["n_messages"] / events_per_message))
        at = row["n_events"]
        if at not in best or distance < best[at][0]:
            best[at] = (distance, row)
    return [row for _, row in best.values()]


FIGURES = ["cpu_ms", "s3_puts", "s3_gets", "s3_put_bytes", "catalog_requests", "queue_requests", "log_bytes", "metric_bytes"]


def ingest_flow(values, inputs, workload):
    mapping = values["compute"]["ingest"]
    messages_per_second = workload.events_per_second / workload.events_per_message
    rows = of_packing(inputs.ingest, workload.events_per_message)
    # Events of another size count as so many of those that were measured.
    alike = workload.message_bytes / inputs.measured_event_bytes
    if workload.by_url:
        return Flow(messages_per_second, 1, interpolated(rows, "n_events", alike, FIGURES))
    largest = largest_batch(mapping, workload.message_bytes, inputs.assumed)
    per_second = invocations(messages_per_second, mapping, largest, inputs.assumed)
    n_messages = messages_per_second / per_second
    return Flow(per_second, n_messages, interpolated(rows, "n_events", n_messages * alike, FIGURES))


def commit_flow(values, inputs, ingest):
    mapping = values["compute"]["commit"]
    receipts_per_second = ingest.per_second * ingest.took["queue_requests"]
    largest = largest_batch(mapping, inputs.commit[0]["message_bytes"], inputs.assumed)
    per_second = invocations(receipts_per_second, mapping, largest, inputs.assumed)
    n_messages = receipts_per_second / per_second
    return Flow(per_second, n_messages, interpolated(inputs.commit, "n_messages", n_messages, FIGURES))


def of_million(flow, workload):
    """Invocations for a million events."""
    return flow.per_second / workload.events_per_second * MILLION
