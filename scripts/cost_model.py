"""What a deployment costs: at rest, while events arrive, for a million events; and what else could be had instead.

Pure arithmetic: `costs.py` reads the files and prints. Every sum is made of `Line`s, each a product of named factors and one
price, so that a reader can redo it. Money is US dollars.
"""

import math
import re
from dataclasses import dataclass

from cost_flow import GB, MILLION, SQS_MESSAGE_BYTES, CostError, commit_flow, ingest_flow, most_events, of_million

HOURS_OF_MONTH = 730
SECONDS_OF_MONTH = HOURS_OF_MONTH * 3600
DAYS_OF_MONTH = HOURS_OF_MONTH / 24
SQS_CHUNK_BYTES = 64 << 10


@dataclass
class Line:
    """One position of a bill: the product of its factors, at a price."""

    name: str
    factors: list  # of (number, what it counts)
    price: dict
    words: str = ""

    @property
    def quantity(self):
        return math.prod(number for number, _ in self.factors)

    @property
    def usd(self):
        """None: there is no price."""
        return None if self.price["usd"] is None else self.quantity * self.price["usd"] / self.price["per"]


def total(lines):
    """The sum of the lines that have a price."""
    return sum(line.usd for line in lines if line.usd is not None)


def without_price(lines):
    return [line.name for line in lines if line.usd is None]


def embedded_metrics(source):
    """How many CloudWatch metrics each list in the text of `telemetry.rs` names."""
    sizes = {name: int(size) for name, size in re.findall(r"const (\w+): \[(?:\(&str, &str\)|&str); (\d+)\]", source)}
    try:
        return {"run": sizes["METRICS"], "landed": sizes["LANDED_METRICS"], "table": sizes["TABLE_METRICS"], "commit": sizes["MESSAGE_METRICS"]}
    except KeyError as missing:
        raise CostError(f"telemetry.rs has no list {missing}") from None


def n_embedded_metrics(metrics, n_tables=1, n_sources=1):
    """How many metrics both functions make together: names times values of dimensions.

    Of a run each is filed under its table, and under table and source. With routes to several tables (each of which gets
    events of each source) only what landed is, and the others are filed under the source.
    """
    commit = n_tables * metrics["table"] + metrics["commit"]
    if n_tables == 1:
        return metrics["run"] * (1 + n_sources) + commit
    return (metrics["run"] - metrics["landed"]) * n_sources + metrics["landed"] * n_tables * (1 + n_sources) + commit


def emits_metrics(values):
    return str(values["compute"]["extra_settings"].get("CALVE_EMBEDDED_METRICS", "true")).lower() != "false"


# What is paid for while nothing happens.


def at_rest(values, inputs):
    """Lines of one month without an event."""
    networking, queues, observability = values["networking"], values["queues"], values["observability"]
    assumed, price = inputs.assumed, inputs.price
    lines = []
    if networking["enabled"]:
        services = {*networking["interface_endpoints"], *catalog_endpoints(values)}
        zones = (networking["n_zones"], "zones")
        if services:
            lines.append(Line("interface endpoints", [(len(services), "services"), zones, (HOURS_OF_MONTH, "h")], price("interface_endpoint_hour"), ", ".join(sorted(services))))
        if networking["nat"]:
            gateways = (networking["n_zones"] if networking["nat_per_zone"] else 1, "gateways")
            lines.append(Line("NAT gateways", [gateways, (HOURS_OF_MONTH, "h")], price("nat_gateway_hour")))
            lines.append(Line("their public addresses", [gateways, (HOURS_OF_MONTH, "h")], price("public_ipv4_hour")))
    receives = SECONDS_OF_MONTH / assumed["long_poll_s"]
    lines.append(Line("empty receives of the queues", [(assumed["pollers"], "pollers"), (2, "queues"), (receives, "receives")], price("sqs_request")))
    if observability["alarms"]:
        n_alarms = assumed["alarms"] + (assumed["stream_alarms"] if queues["kinesis"] else 0)
        lines.append(Line("alarms", [(n_alarms, "alarms")], price("alarm")))
    lines.append(Line("dashboard", [(1, "dashboard")], price("dashboard")))
    keys = {arn for arn in (values["storage"]["kms_key_arn"], observability["kms_key_arn"]) if arn}
    if keys:
        lines.append(Line("KMS keys", [(len(keys), "keys")], price("kms_key")))
    if queues["kinesis"]:
        lines.append(Line("metrics of the stream's mapping", [(assumed["stream_metrics"], "metrics")], price("custom_metric")))
    return lines + kinesis_at_rest(queues["kinesis"], inputs)


def catalog_endpoints(values):
    return {"glue": ["glue"], "s3tables": ["s3tables"]}.get(values["storage"]["catalog"], [])


def kinesis_at_rest(kinesis, inputs):
    if not kinesis:
        return []
    if kinesis.get("shards"):
        return [Line("Kinesis stream", [(kinesis["shards"], "shards"), (HOURS_OF_MONTH, "h")], inputs.price("kinesis_shard_hour"))]
    return [Line("Kinesis stream, on demand", [(HOURS_OF_MONTH, "h")], inputs.price("kinesis_on_demand_hour"))]


def while_events_arrive(values, inputs, n_tables=1, n_sources=1):
    """Lines of one month in each hour of which events arrive, whatever their number."""
    price = inputs.price("custom_metric")
    lines = [Line("metrics by filters of the logs", [(inputs.assumed["filter_metrics"], "metrics")], price)]
    if emits_metrics(values):
        n_metrics = n_embedded_metrics(inputs.metrics, n_tables, n_sources)
        words = f"{n_tables} table, {n_sources} kind of trigger" if n_tables == n_sources == 1 else f"{n_tables} tables, {n_sources} kinds of trigger"
        lines.append(Line("embedded metrics", [(n_metrics, "metrics")], price, words))
    return lines


# What a million events cost.


def billed_ms(took, function, memory_mb, assumed):
    """How long an invocation is paid for, each millisecond that it begins: waiting, and processor time on as much of a core as this
    memory has; on more than one core only as far as the work can be shared out."""
    cores = min(memory_mb / assumed["full_core_mb"], assumed[f"{function}_cores"])
    took_ms = took["cpu_ms"] / assumed["core_speed"] / cores + assumed[f"{function}_wait_ms"]
    return math.ceil(round(took_ms, 6))  # 60.000000001 is what 60 comes to.


def per_million(values, inputs, workload):
    """Lines of a million events, storage apart."""
    if workload.events_per_message > most_events(workload, inputs.assumed):
        of = "request of 6 MiB" if workload.by_url else "message of 256 KiB"
        raise CostError(f"{workload.events_per_message} events of {workload.event_bytes:.0f} bytes do not fit a {of}")
    if values["compute"]["mode"] != "staged":
        raise CostError("only mode `staged` was measured")
    ingest = ingest_flow(values, inputs, workload)
    commit = commit_flow(values, inputs, ingest)
    flows = {"ingest": ingest, "commit": commit}
    lines = [] if workload.by_url else events_queue_lines(inputs, workload, ingest)
    lines += receipts_queue_lines(inputs, workload, ingest, commit)
    for function, flow in flows.items():
        lines += lambda_lines(values, inputs, workload, function, flow)
    lines += storage_requests(values, inputs, workload, ingest, commit)
    return lines + telemetry_lines(values, inputs, workload, flows) + network_lines(values, inputs, workload, ingest, commit)


def chunks(n_bytes):
    """A request is billed as so many."""
    return max(1, math.ceil(n_bytes / SQS_CHUNK_BYTES)), "chunks of 64 KB"


def events_queue_lines(inputs, workload, ingest):
    price, n_messages = inputs.price("sqs_request"), MILLION / workload.events_per_message
    per_send = min(workload.messages_per_send, max(1, int(SQS_MESSAGE_BYTES / workload.message_bytes)))
    per_receive = min(inputs.assumed["messages_per_receive"], max(1, ingest.n_messages))
    return [
        Line("events queue: sends", [(n_messages / per_send, "sends"), chunks(per_send * workload.message_bytes)], price),
        Line("events queue: receives", [(n_messages / per_receive, "receives"), chunks(per_receive * workload.message_bytes)], price),
        Line("events queue: deletes", [(n_messages / per_receive, "deletes")], price),
    ]


def receipts_queue_lines(inputs, workload, ingest, commit):
    price, receipt_bytes = inputs.price("sqs_request"), inputs.commit[0]["message_bytes"]
    receipts = of_million(ingest, workload) * ingest.took["queue_requests"]
    per_receive = min(inputs.assumed["messages_per_receive"], max(1, commit.n_messages))
    return [
        Line("receipts queue: sends", [(receipts, "receipts"), chunks(receipt_bytes)], price),
        Line("receipts queue: receives", [(receipts / per_receive, "receives"), chunks(per_receive * receipt_bytes)], price),
        Line("receipts queue: deletes", [(receipts / per_receive, "deletes")], price),
    ]


def lambda_lines(values, inputs, workload, function, flow):
    memory_mb, architecture = values["compute"][function]["memory_mb"], values["compute"]["architecture"]
    n = (of_million(flow, workload), "invocations")
    seconds = (billed_ms(flow.took, function, memory_mb, inputs.assumed) / 1e3, "s")
    return [
        Line(f"{function}: duration", [n, seconds, (memory_mb / 1024, "GB")], inputs.price(f"lambda_gb_second_{architecture}")),
        Line(f"{function}: invocations", [n], inputs.price("lambda_request")),
    ]


def storage_requests(values, inputs, workload, ingest, commit):
    catalog = values["storage"]["catalog"]
    names = ("s3_tables_put", "s3_tables_get") if catalog == "s3tables" else ("s3_put", "s3_get")
    put, get = (inputs.price(name) for name in names)
    n_ingest, n_commit = (of_million(ingest, workload), "invocations"), (of_million(commit, workload), "commits")
    lines = [
        Line("data files: PUT", [n_ingest, (ingest.took["s3_puts"], "files")], put),
        Line("manifests, lists, ledger: PUT", [n_commit, (commit.took["s3_puts"], "objects")], put),
        Line("manifests, lists, ledger: GET", [n_commit, (commit.took["s3_gets"], "objects")], get),
    ]
    if catalog == "glue":
        objects = (inputs.assumed["catalog_objects"], "objects")
        lines.append(Line("metadata.json: PUT", [n_commit, objects], put))
        lines.append(Line("metadata.json: GET", [n_commit, objects], get))
        lines.append(Line("Glue requests", [n_commit, (commit.took["catalog_requests"], "requests")], inputs.price("glue_request")))
    elif catalog == "s3tables":
        lines.append(Line("compaction by S3 Tables", [(ingest.took["s3_put_bytes"] * n_ingest[0] / GB, "GB")], inputs.price("s3_tables_compaction_gb")))
    return lines


def telemetry_lines(values, inputs, workload, flows):
    assumed, logged, metrics, traces = inputs.assumed, 0, 0, 0
    for flow in flows.values():
        n = of_million(flow, workload)
        logged += n * (assumed["platform_log_bytes"] + flow.took["log_bytes"]) / GB
        metrics += n * flow.took["metric_bytes"] / GB
        first = min(flow.per_second, assumed["trace_reservoir_per_s"])
        traces += n * (first + (flow.per_second - first) * assumed["trace_rate"]) / flow.per_second
    if not emits_metrics(values):
        metrics = 0
    months = values["observability"]["log_retention_days"] / DAYS_OF_MONTH
    lines = [
        Line("logs", [(logged, "GB")], inputs.price("log_ingested")),
        Line("lines of embedded metrics", [(metrics, "GB")], inputs.price("log_ingested")),
        Line("logs, stored until they expire", [(logged + metrics, "GB"), (months, "months")], inputs.price("log_stored")),
    ]
    if values["compute"]["tracing"]:
        lines.append(Line("X-Ray traces", [(traces, "traces")], inputs.price("trace")))
    return [line for line in lines if line.quantity]


def network_lines(values, inputs, workload, ingest, commit):
    networking = values["networking"]
    if not networking["enabled"]:
        return []
    receipts = of_million(ingest, workload) * inputs.commit[0]["message_bytes"]
    catalog = of_million(commit, workload) * commit.took["catalog_requests"] * inputs.assumed["metadata_json_bytes"]
    by_endpoint = catalog if catalog_endpoints(values) else 0
    by_nat = catalog if networking["nat"] and not by_endpoint else 0
    lines = [
        Line("through interface endpoints", [((receipts + by_endpoint) / GB, "GB")], inputs.price("interface_endpoint_gb")),
        Line("through NAT gateways", [(by_nat / GB, "GB")], inputs.price("nat_gateway_gb")),
    ]
    return [line for line in lines if line.quantity]


def stored(values, inputs, workload):
    """Lines of what a million events leave behind, for each month that it is kept."""
    ingest = ingest_flow(values, inputs, workload)
    commit = commit_flow(values, inputs, ingest)
    price = inputs.price("s3_tables_storage" if values["storage"]["catalog"] == "s3tables" else "s3_storage")
    n_ingest, n_commit = (of_million(ingest, workload), "invocations"), (of_million(commit, workload), "commits")
    return [
        Line("data files", [n_ingest, (ingest.took["s3_put_bytes"] / GB, "GB")], price),
        Line("manifests, lists, ledger", [n_commit, (commit.took["s3_put_bytes"] / GB, "GB")], price),
        Line("metadata.json", [n_commit, (inputs.assumed["metadata_json_bytes"] / GB, "GB")], price),
    ]


# What else could be had.


def firehose(inputs, workload):
    """Lines of a million events through Firehose into Iceberg tables."""
    flushes = (MILLION / workload.events_per_second / inputs.assumed["firehose_flush_s"], "flushes")
    objects = (7, "objects")  # Three data files, manifest, list, statistics, metadata.json.
    return [
        Line("Firehose", [(workload.gb_of_million, "GB")], inputs.price("firehose_iceberg_gb")),
        Line("its objects: PUT", [flushes, objects], inputs.price("s3_put")),
        Line("Glue requests", [flushes, (2, "requests")], inputs.price("glue_request")),
    ]


def kinesis(inputs, workload):
    """Lines of a million events through an on-demand stream, whoever reads it; its hours are beside them."""
    n_records = MILLION / workload.events_per_message
    written = n_records * math.ceil(workload.message_bytes / 1024) * 1024 / GB
    return [
        Line("Kinesis, written", [(written, "GB, records rounded up to 1 KB")], inputs.price("kinesis_on_demand_gb_in")),
        Line("Kinesis, read", [(n_records * workload.message_bytes / GB, "GB")], inputs.price("kinesis_on_demand_gb_out")),
    ]


def msk(inputs):
    """Lines of one month of the smallest Kafka cluster with one connector unit, whatever goes through it."""
    hours = (HOURS_OF_MONTH, "h")
    return [
        Line("MSK brokers", [(inputs.assumed["msk_brokers"], "brokers"), hours], inputs.price("msk_broker_hour")),
        Line("MSK Connect", [(1, "unit"), hours], inputs.price("msk_connect_hour")),
    ]
