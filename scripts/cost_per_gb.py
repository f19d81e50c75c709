"""What a GB of JSON events costs beside Firehose, by packing and by the memory of the function ingest: `costs.py --per-gb`.

All of it is what `cost_model` says of a million events, divided by their GB. In sums commit has the memory that the environment
gives it: it never sees events.
"""

from dataclasses import dataclass, replace

import cost_model as model
from cost_flow import GB, CostError, Workload, most_events
from cost_text import money, number, share, summed

MEMORY_MB = [128, 512, 1769, 3008]
ARCHITECTURES = ["arm64", "x86_64"]
PACKINGS = [1, 10, 100, 1000]
FUNCTIONS = ["ingest", "commit"]
TOO_SMALL = "too small"


def tables(values, inputs, workload, chosen=None):
    """The name, title and rows of each, the first row the heading."""
    every = list(packings(workload, inputs, chosen))
    yield "requests", "Requests for a GB of events, and what they cost in US dollars", requests_table(values, inputs, every)
    yield "lambda", "Lambda: billed ms of an invocation, and millions of MB-ms for a GB", lambda_table(values, inputs, every)
    yield "lambda-usd", "Lambda for a GB, both functions, US dollars, by the memory of ingest", lambda_usd_table(values, inputs, every)
    yield "sum", "All of it for a GB, US dollars, by the memory of ingest", sum_table(values, inputs, every)


@dataclass
class Packing:
    """Events that travel together, and how."""

    name: str
    workload: Workload
    fits: bool


def packings(workload, inputs, chosen=None):
    """So many events in a message of the queue, and in a request to the Function URL; by default some, and as many as fit."""
    for by_url, name in ((False, "queue, {:,} in a message"), (True, "URL, {:,} in a request")):
        load = replace(workload, by_url=by_url)
        most = most_events(load, inputs.assumed)
        for n in sorted({*(chosen or [*PACKINGS, max(1, most)])}):
            remark = f" (only {most:,} fit)" if n > most else " (all that fit)" if n == most else ""
            yield Packing(name.format(n) + remark, replace(load, events_per_message=n), n <= most)


def bill(values, inputs, workload, memory_mb=None, architecture=None, function="ingest"):
    """Lines of a GB of events; with other memory of this function, and another architecture."""
    compute = dict(values["compute"])
    if memory_mb:
        compute[function] = compute[function] | {"memory_mb": memory_mb}
    if architecture:
        compute["architecture"] = architecture
    lines = model.per_million(values | {"compute": compute}, inputs, workload)
    return [replace(line, factors=[*line.factors, (1 / workload.gb_of_million, "for a GB")]) for line in lines]


def kind(line):
    if line.name.startswith(tuple(f"{function}:" for function in FUNCTIONS)):
        return "lambda"
    is_request = line.name.startswith(("events queue:", "receipts queue:", "Glue requests")) or line.name.endswith(("PUT", "GET"))
    return "requests" if is_request else "rest"


def of_kind(lines, chosen):
    return [line for line in lines if kind(line) == chosen]


def fits(function, memory_mb, inputs):
    """Whether a full payload does not take more memory than there is."""
    return inputs.assumed[f"{function}_peak_mib"] <= memory_mb


def sizes_of(function, inputs):
    """The sizes of memory that a full payload fits in, rising."""
    sizes = [size for size in MEMORY_MB if fits(function, size, inputs)]
    if not sizes:
        raise CostError(f"a full payload takes {inputs.assumed[f'{function}_peak_mib']} MiB in {function}: more than the largest size, {MEMORY_MB[-1]:,} MB")
    return sizes


@dataclass
class Duration:
    """What Lambda bills a function for: its duration."""

    n_invocations: float
    billed_ms: float
    memory_mb: float

    @property
    def mb_ms(self):
        return self.n_invocations * self.billed_ms * self.memory_mb


def duration(values, inputs, workload, memory_mb, function="ingest"):
    """For a GB of events, with so much memory."""
    lines = bill(values, inputs, workload, memory_mb, function=function)
    n_million, seconds, gigabytes, per_gb = (factor for line in lines if line.name == f"{function}: duration" for factor, _ in line.factors)
    return Duration(n_million * per_gb, seconds * 1e3, gigabytes * 1024)


# The tables.


def requests_table(values, inputs, every):
    heading = [
        "", "events of an ingest", "ingests", "commits", "queue requests", "S3 PUT", "S3 GET", "catalog requests",
        "all of them", "of that the events queue", "Kinesis on demand instead",
    ]  # fmt: skip
    return [heading, *(row_of(packing, heading, lambda load: requests_cells(values, inputs, load)) for packing in every)]


def requests_cells(values, inputs, workload):
    lines = bill(values, inputs, workload)

    def n(prefix="", suffix=""):
        return sum(line.quantity for line in lines if line.name.startswith(prefix) and line.name.endswith(suffix))

    ingests, queues = n("ingest: invocations"), n("events queue:") + n("receipts queue:")
    counts = [GB / workload.event_bytes / ingests, ingests, n("commit: invocations"), queues, n(suffix="PUT"), n(suffix="GET"), n("Glue requests")]
    stream = model.total(model.kinesis(inputs, workload)) / workload.gb_of_million
    events_queue = summed([line for line in lines if line.name.startswith("events queue:")])
    ways_in = ["–", "–"] if workload.by_url else [events_queue, money(stream)]
    return [*(f"{count:,.0f}" for count in counts), summed(of_kind(lines, "requests")), *ways_in]


def lambda_table(values, inputs, every):
    """A row for each function and packing."""
    heading = ["", *(f"{size:,} MB: ms" for size in MEMORY_MB), *(f"{size:,} MB: million MB-ms" for size in MEMORY_MB)]
    rows = [heading]
    for function in FUNCTIONS:
        for packing in every:
            name, *cells = row_of(packing, heading, lambda load, function=function: lambda_cells(values, inputs, load, function))
            rows.append([f"{function}: {name}", *cells])
    return rows


def lambda_cells(values, inputs, workload, function):
    found = [duration(values, inputs, workload, size, function) if fits(function, size, inputs) else None for size in MEMORY_MB]
    billed = [f"{one.billed_ms:,.0f}" if one else TOO_SMALL for one in found]
    return [*billed, *(number(one.mb_ms / 1e6) if one else TOO_SMALL for one in found)]


def lambda_usd_table(values, inputs, every):
    heading = ["", *(f"{architecture}, {size:,} MB" for architecture in ARCHITECTURES for size in MEMORY_MB)]
    return [heading, *(row_of(packing, heading, lambda load: by_memory(values, inputs, load, lambda lines: of_kind(lines, "lambda"))) for packing in every)]


def sum_table(values, inputs, every):
    heading = ["", "requests", "logs, traces and so on", *(f"{architecture}, {size:,} MB" for architecture in ARCHITECTURES for size in MEMORY_MB), "Firehose"]
    return [heading, *(row_of(packing, heading, lambda load: sum_cells(values, inputs, load)) for packing in every)]


def sum_cells(values, inputs, workload):
    lines = bill(values, inputs, workload)
    beside = [summed(of_kind(lines, "requests")), summed(of_kind(lines, "rest"))]
    return [*beside, *by_memory(values, inputs, workload, list), money(firehose(inputs, workload))]


def by_memory(values, inputs, workload, chosen):
    """A sum of the chosen lines for each architecture and size of memory."""
    return [
        summed(chosen(bill(values, inputs, workload, size, architecture))) if fits("ingest", size, inputs) else TOO_SMALL
        for architecture in ARCHITECTURES
        for size in MEMORY_MB
    ]


def row_of(packing, heading, cells):
    return [packing.name, *(cells(packing.workload) if packing.fits else ["–"] * (len(heading) - 1))]


def firehose(inputs, workload):
    return model.total(model.firehose(inputs, workload)) / workload.gb_of_million


# What is worth a decision.


def facts(values, inputs, workload):
    """With the figures of the day."""
    single, ten, hundred = packed = [replace(workload, events_per_message=n) for n in (1, 10, 100)]
    alone = replace(single, by_url=True)
    one, of_ten, of_hundred = (money(model.total(bill(values, inputs, load))) for load in packed)
    sizes = sizes_of("ingest", inputs)
    sums = [model.total(bill(values, inputs, hundred, size)) for size in sizes]
    small, large = sizes[0], sizes[-1]
    usual = values["compute"]["ingest"]["memory_mb"]
    first, *between, last = ((f"{duration(values, inputs, hundred, size).billed_ms:,.0f}", size) for size in sorted({*sizes[:2], usual, large}))
    times = "".join([f"{first[0]} ms at {first[1]:,} MB", *(f", {ms} at {size:,}" for ms, size in between), f" and {last[0]} at {last[1]:,}"])
    return "\n".join([
        f"* **Packing decides, memory hardly matters.** With 1, 10 and 100 events in a message a GB costs ${one}, ${of_ten} and ${of_hundred} with an ingest of {usual:,} MB, through Firehose ${money(firehose(inputs, workload))};"
        f" {cheaper_from(values, inputs, workload)}. With 100 in a message it costs between ${money(min(sums))} and ${money(max(sums))} whatever the memory: {share(bill(values, inputs, hundred), 'ingest:', 'commit:')} of that are Lambda's.",
        f"* **{cheapest(values, inputs, workload)}** Up to a core, processor time costs the same at any size, since half of the memory takes twice as long; but waiting ({inputs.assumed['ingest_wait_ms']} ms) is paid for by the"
        f" MB. So single events by the URL, which mostly wait, are billed {ratio(values, inputs, alone, usual, small)} times as many MB-ms at {usual:,} MB as at {small}, the nearly full payloads of the queue {ratio(values, inputs, hundred, usual, small)} times.",
        f"* **Memory buys time.** Such a payload takes {times}, where {large / inputs.assumed['full_core_mb']:.1f} cores are paid for and"
        f" {inputs.assumed['ingest_cores']} kept busy. {too_small(inputs)}",
    ])  # fmt: skip


def summary(values, inputs, workload):
    """For the README, in a sentence."""
    one, ten, hundred = (money(model.total(bill(values, inputs, replace(workload, events_per_message=n)))) for n in (1, 10, 100))
    return (
        f"`--per-gb` prints it for a GB of JSON, by packing and memory of the functions: ${one} with 1 event in a message, ${ten} with 10, ${hundred} with 100 (at {workload.events_per_second:,.0f} events/s,"
        f" without storage), where Firehose takes ${inputs.price('firehose_iceberg_gb')['usd']}."
    )


def cheaper_from(values, inputs, workload):
    for n in range(1, most_events(workload, inputs.assumed) + 1):
        load = replace(workload, events_per_message=n)
        if model.total(bill(values, inputs, load)) < firehose(inputs, load):
            return f"it costs less than that from {n} in a message on"
    return "no packing costs less than that"


def cheapest(values, inputs, workload):
    """The size of memory that costs least, at each packing that fits."""
    best = {}
    for packing in packings(workload, inputs):
        if packing.fits:
            size = min(sizes_of("ingest", inputs), key=lambda size: model.total(bill(values, inputs, packing.workload, size)))
            best.setdefault(size, []).append(packing.name)
    if len(best) == 1:
        return f"{next(iter(best)):,} MB are cheapest at every packing."
    return "; ".join(f"{size:,} MB are cheapest with {', '.join(names)}" for size, names in sorted(best.items())) + "."


def ratio(values, inputs, workload, large, small):
    of_large, of_small = (duration(values, inputs, workload, size).mb_ms for size in (large, small))
    return f"{of_large / of_small:.1f}"


def too_small(inputs):
    sizes = sorted({size for size in MEMORY_MB for function in FUNCTIONS if not fits(function, size, inputs)})
    peaks = f"A payload of 6 MiB takes {inputs.assumed['ingest_peak_mib']} MiB in ingest and {inputs.assumed['commit_peak_mib']} MiB in commit"
    return f"{peaks}: too much for {', '.join(f'{size:,} MB' for size in sizes)}." if sizes else f"{peaks}, so every size holds it."
