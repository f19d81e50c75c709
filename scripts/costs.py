#!/usr/bin/env python3
"""Prints what each environment costs, at rest and for a million events, with the arithmetic.

usage: python3 scripts/costs.py [--environment prod] [--events-per-message 10] [--event-bytes 909] [--markdown]
       python3 scripts/costs.py --per-gb               what a GB of JSON events costs, by packing and memory, beside Firehose
       python3 scripts/costs.py --write | --check      the figures of docs/costs.md and README.md: writes them, or fails when they are stale

It reads infrastructure/prices.json (list prices, their dates and sources; or --prices), infrastructure/measured.json (what
invocations took), infrastructure/assumed.json (what could not be measured), the values of the environments, and telemetry.rs for the number of metrics.
With --environment every line of that environment is shown; without, the sums of all.
"""

import argparse
import copy
import json
import sys
from dataclasses import replace
from pathlib import Path

import cost_model as model
import cost_per_gb
from cost_flow import FUNCTION_DEFAULTS, CostError, Inputs, Workload, commit_flow, ingest_flow, with_defaults
from cost_text import arithmetic, money, number, share, shown, summed

ROOT = Path(__file__).resolve().parent.parent
INFRASTRUCTURE = ROOT / "infrastructure"
PRICES = INFRASTRUCTURE / "prices.json"
DOCUMENT = ROOT / "docs" / "costs.md"
README = ROOT / "README.md"
TELEMETRY = ROOT / "crates" / "pipeline" / "src" / "telemetry.rs"
SHOWN = "prod"  # The environment whose lines the document shows.
PACKINGS = [1, 10, 100]
RATES = [1, 10, 100, 1_000, 10_000]


def main():
    options = arguments()
    try:
        inputs = read_inputs(options.prices)
        environments = read_environments(options.environments)
        if options.write or options.check:
            sys.exit(keep_document(environments, inputs, options.write))
        if options.environment and options.environment not in environments:
            raise CostError(f"no environment `{options.environment}` that is paid for; there are {', '.join(environments)}")
        workload = Workload(event_bytes=options.event_bytes, events_per_second=options.events_per_second, messages_per_send=options.messages_per_send)
        for title, table in chosen_tables(environments, inputs, workload, options):
            print(f"{'## ' if options.markdown else ''}{title}\n\n{shown(table, options.markdown)}\n")
        print(inputs.origin)
    except (CostError, OSError) as error:
        sys.exit(f"error: {error}")


def chosen_tables(environments, inputs, workload, options):
    if not options.per_gb:
        yield from tables(environments, inputs, workload, options.events_per_message or PACKINGS, options.environment)
        return
    name = options.environment or (SHOWN if SHOWN in environments else next(iter(environments)))
    for _, title, table in cost_per_gb.tables(environments[name], inputs, workload, options.events_per_message):
        yield f"{name}: {title}", table


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--environment", help="show every line of this one")
    parser.add_argument("--environments", type=Path, default=INFRASTRUCTURE / "environments", help="where the values are")
    parser.add_argument("--events-per-message", type=positive(int), action="append", help="may be repeated; 1, 10 and 100 by default")
    parser.add_argument("--event-bytes", type=positive(float), default=Workload.event_bytes, help="909, the mock events' mean, by default")
    parser.add_argument("--events-per-second", type=positive(float), default=Workload.events_per_second, help="1000 by default")
    parser.add_argument("--messages-per-send", type=positive(int), default=1, help="up to 10 messages go in one request of the sender; 1 by default")
    parser.add_argument("--per-gb", action="store_true", help="a GB of JSON events by packing and memory, beside Firehose; of prod by default")
    parser.add_argument("--prices", type=Path, default=PRICES, help="another list of prices")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--write", action="store_true", help="write the figures of docs/costs.md and README.md")
    parser.add_argument("--check", action="store_true", help="fail when those are stale")
    return parser.parse_args()


def positive(kind):
    def parse(text):
        number = kind(text)
        if number <= 0:
            raise ValueError
        return number

    parse.__name__ = f"positive {kind.__name__}"
    return parse


# What is read.


def read_inputs(prices=PRICES):
    measured = read_json(INFRASTRUCTURE / "measured.json")["measured"]
    listed = read_json(prices)
    if missing := {"region", "collected", "prices"} - listed.keys():
        raise CostError(f"{prices} has no `{min(missing)}`")
    assumed = read_json(INFRASTRUCTURE / "assumed.json")["assumed"]
    return Inputs(
        prices=listed["prices"],
        ingest=measured["ingest"],
        commit=measured["commit"],
        assumed={name: entry["value"] for name, entry in assumed.items()},
        metrics=model.embedded_metrics(TELEMETRY.read_text()),
        origin=f"List prices of {listed['region']} as collected on {listed['collected']}; invocations measured on {measured['date']} ({measured['how']}; {measured['machine']}).",
    )


def read_environments(folder):
    """The values of those that are deployed to AWS, by name."""
    every = {path.parent.name: read_json(path) for path in sorted(folder.glob("*/values.json"))}
    if not every:
        raise CostError(f"no values.json in {folder}")
    return {name: with_defaults(values) for name, values in every.items() if not values.get("emulator")}


def read_json(path):
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise CostError(f"{path} is no JSON: {error}") from None


# The tables: rows of cells, the first the heading; numbers are right-aligned.


def tables(environments, inputs, workload, packings, chosen):
    if chosen:
        values = environments[chosen]
        yield f"{chosen}: at rest, a month", bill(model.at_rest(values, inputs))
        yield f"{chosen}: beside that in a month in which events arrive", bill(model.while_events_arrive(values, inputs))
        yield f"{chosen}: how {workload.events_per_second:,.0f} events/s of {workload.event_bytes:.0f} bytes flow", flow_table(values, inputs, workload, packings)
        for packing in packings:
            packed = replace(workload, events_per_message=packing)
            yield f"{chosen}: a million events, {packing} in a message", bill(model.per_million(values, inputs, packed))
            yield f"{chosen}: what they leave behind, for each month kept", bill(model.stored(values, inputs, packed))
        yield "Instead: a million events", bill(model.firehose(inputs, workload))
    else:
        yield "At rest, US dollars a month", rest_table(environments, inputs)
        yield f"A million events at {workload.events_per_second:,.0f} events/s, US dollars", million_table(environments, inputs, workload, packings)
        yield "By rate of events", rate_table(environments.get(SHOWN) or next(iter(environments.values())), inputs, workload, packings)


def bill(lines):
    rows = [["position", "arithmetic", "US dollars"]]
    for line in lines:
        rows.append([line.name + (f" ({line.words})" if line.words else ""), arithmetic(line), money(line.usd)])
    return [*rows, ["**sum**", "", f"**{summed(lines)}**"]]


def rest_table(environments, inputs):
    """A row for each line, a column for each environment."""
    resting = {name: model.at_rest(values, inputs) for name, values in environments.items()}
    busy = {name: model.while_events_arrive(values, inputs) for name, values in environments.items()}
    return [
        ["a month", *environments],
        *side_by_side(resting),
        ["**at rest**", *(f"**{summed(lines)}**" for lines in resting.values())],
        *side_by_side(busy),
        ["**beside it, in a month in which events arrive**", *(f"**{summed(lines)}**" for lines in busy.values())],
    ]


def side_by_side(bills):
    names = list(dict.fromkeys(line.name for lines in bills.values() for line in lines))
    found = {column: {line.name: line for line in lines} for column, lines in bills.items()}
    return [[name, *(money(of[name].usd) if name in of else "–" for of in found.values())] for name in names]


def million_table(environments, inputs, workload, packings):
    rows = [["a million events", *(f"{packing} in a message" for packing in packings)]]
    packed = [replace(workload, events_per_message=packing) for packing in packings]
    for name, values in environments.items():
        rows.append([name, *(summed(model.per_million(values, inputs, one)) for one in packed)])
    return [*rows, ["Firehose", *(summed(model.firehose(inputs, one)) for one in packed)]]


def lines_table(values, inputs, workload, packings):
    """A row for each line with the arithmetic of the first packing, a column for each packing."""
    bills = {packing: model.per_million(values, inputs, replace(workload, events_per_message=packing)) for packing in packings}
    by_name = {line.name: line for line in bills[packings[0]]}
    heading = ["position", f"arithmetic, {packings[0]} in a message", *(f"{packing} in a message" for packing in packings)]
    rows = [[row[0], arithmetic(by_name[row[0]]), *row[1:]] for row in side_by_side(bills)]
    return [heading, *rows, ["**sum**", "", *(f"**{summed(lines)}**" for lines in bills.values())]]


def flow_table(values, inputs, workload, packings):
    columns = []
    for packing in packings:
        packed = replace(workload, events_per_message=packing)
        ingest = ingest_flow(values, inputs, packed)
        commit = commit_flow(values, inputs, ingest)
        memory = {function: values["compute"][function]["memory_mb"] for function in ("ingest", "commit")}
        columns.append([
            number(ingest.per_second), number(ingest.n_messages * packing), number(ingest.took["cpu_ms"]),
            number(model.billed_ms(ingest.took, "ingest", memory["ingest"], inputs.assumed)), number(ingest.took["s3_put_bytes"] / 1024),
            number(commit.per_second), number(commit.n_messages), number(commit.took["cpu_ms"]),
            number(model.billed_ms(commit.took, "commit", memory["commit"], inputs.assumed)),
        ])  # fmt: skip
    names = [
        "ingest: invocations/s", "events in one", "processor ms", "billed ms", "KB of data files",
        "commit: invocations/s", "receipts in one", "processor ms", "billed ms",
    ]  # fmt: skip
    heading = ["", *(f"{packing} in a message" for packing in packings)]
    return [heading, *([name, *(column[i] for column in columns)] for i, name in enumerate(names))]


def rate_table(values, inputs, workload, packings):
    rows = [["events/s", "events a month", *(f"{packing} in a message" for packing in packings), "Firehose"]]
    for rate in RATES:
        at = [replace(workload, events_per_second=rate, events_per_message=packing) for packing in packings]
        ours = [summed(model.per_million(values, inputs, one)) for one in at]
        rows.append([number(rate), f"{number(rate * model.SECONDS_OF_MONTH / 1e6)} million", *ours, money(model.total(model.firehose(inputs, at[0])))])
    return rows


def changes_table(values, inputs, workload, packings):
    """What one thing changed does to a million events."""

    def changed(module, **settings):
        """With other settings of `compute`, or of one of its functions."""
        other = copy.deepcopy(values)
        (other["compute"][module] if module else other["compute"]).update(settings)
        return other

    rows = [
        ("as it is", values, workload),
        ("the sender puts 10 messages into a request", values, replace(workload, messages_per_send=10)),
        ("ingest gathers for 10 s", changed("ingest", window_seconds=10), workload),
        ("ingest gathers for 60 s", changed("ingest", window_seconds=60), workload),
        ("commit gathers for 2 s", changed("commit", window_seconds=2), workload),
        ("ingest with 512 MB", changed("ingest", memory_mb=512), workload),
        ("ingest with 3,008 MB", changed("ingest", memory_mb=3008), workload),
        ("no embedded metrics", changed("extra_settings", CALVE_EMBEDDED_METRICS="false"), workload),
        ("no tracing", changed(None, tracing=False), workload),
        ("x86-64", changed(None, architecture="x86_64"), workload),
        ("requests to the Function URL instead of messages", values, replace(workload, by_url=True)),
    ]
    heading = ["", *(f"{packing} in a message" for packing in packings)]
    sums = [[name, *(money(million(of, inputs, load, packing)) for packing in packings)] for name, of, load in rows]
    return [heading, *sums]


def million(values, inputs, workload, packing):
    return model.total(model.per_million(values, inputs, replace(workload, events_per_message=packing)))


def stored_table(values, inputs, workload, packings):
    bills = {packing: model.stored(values, inputs, replace(workload, events_per_message=packing)) for packing in packings}
    by_name = {line.name: line for line in bills[packings[0]]}
    heading = ["kept", f"arithmetic, {packings[0]} in a message", *(f"{packing} in a message" for packing in packings)]
    return [heading, *([row[0], arithmetic(by_name[row[0]]), *row[1:]] for row in side_by_side(bills))]


def options_table(inputs, workload):
    """What else could be had, for a month of so many events: what stands there anyhow, and what each million adds."""
    hour = inputs.price("kinesis_on_demand_hour")
    stream = [model.Line("stream", [(model.HOURS_OF_MONTH, "h")], hour)]
    packed = replace(workload, events_per_message=10)
    http = [model.Line("HTTP API", [(1e6, "requests")], inputs.price("http_api_request"))]
    return [
        ["", "a month, whatever is sent", "a million events"],
        ["Firehose into Iceberg tables", "0", money(model.total(model.firehose(inputs, workload)))],
        ["Kinesis on demand, 1 event in a record (the stream alone)", money(model.total(stream)), money(model.total(model.kinesis(inputs, workload)))],
        ["Kinesis on demand, 10 events in a record (the stream alone)", money(model.total(stream)), money(model.total(model.kinesis(inputs, packed)))],
        ["the smallest MSK with one connect unit, storage apart", money(model.total(model.msk(inputs))), "0"],
        ["MSK Serverless", "no price found", "no price found"],
        ["HTTP API in front of the events queue, 1 event in a request", "0", money(model.total(http))],
    ]


def facts(values, inputs, workload):
    """What is worth a decision, with the figures of the day."""
    metric = inputs.price("custom_metric")["usd"]
    one, more, two = (model.n_embedded_metrics(inputs.metrics, *counts) for counts in ((1, 1), (1, 2), (10, 1)))
    by_packing = {packing: model.per_million(values, inputs, replace(workload, events_per_message=packing)) for packing in PACKINGS}
    fast = copy.deepcopy(values)
    fast["compute"]["ingest"]["window_seconds"] = FUNCTION_DEFAULTS["ingest"]["window_seconds"]
    often = copy.deepcopy(values)
    often["compute"]["commit"]["window_seconds"] = FUNCTION_DEFAULTS["commit"]["window_seconds"]
    kept = next(line for line in model.stored(often, inputs, workload) if line.name == "metadata.json")
    gb_a_month = kept.quantity * workload.events_per_second * model.SECONDS_OF_MONTH / 1e6
    rest = model.at_rest(values, inputs)
    few = replace(workload, events_per_second=10)
    few_lines = model.per_million(values, inputs, few)
    url = million(values, inputs, replace(workload, by_url=True), 1)
    firehose, ours = model.total(model.firehose(inputs, workload)), {packing: model.total(lines) for packing, lines in by_packing.items()}
    return "\n".join([
        f"* **One event in a message is dear.** At 1,000 events/s it costs ${money(ours[1])} a million, {ours[1] / firehose:.1f} times Firehose (${money(firehose)}), of which {share(by_packing[1], 'events queue')} are requests to the"
        f" events queue. With 10 in a message it is ${money(ours[10])}, with 100 ${money(ours[100])}, as {SHOWN} is set.",
        f"* **The window of ingest decides the rest.** A short one makes many data files, each a PUT request. {SHOWN} gathers for {values['compute']['ingest']['window_seconds']} s. With the modules' default of {fast['compute']['ingest']['window_seconds']} s, for those who want to see"
        f" rows at once, the same events cost ${money(million(fast, inputs, workload, 10))} with 10 in a message and ${money(million(fast, inputs, workload, 100))} with 100, of which {share(model.per_million(fast, inputs, replace(workload, events_per_message=100)), 'data files')} are PUT requests.",
        f"* **Few events are dear.** At 10 events/s in single messages a million costs ${money(model.total(few_lines))}, of which {share(few_lines, 'data files')} are PUT requests of files of a few rows, {share(few_lines, 'X-Ray')} traces and {share(few_lines, 'ingest:', 'commit:')}"
        f" Lambda's; below 100 events/s use long windows. At rest {SHOWN} costs ${money(model.total(rest))} a month, Firehose nothing.",
        f"* **The Function URL is for batches.** Each request is an invocation with data files and a receipt of its own: ${money(url)} for a million single events.",
        f"* **Embedded metrics cost ${money(one * metric)} a month for a table**: {one} custom metrics, {inputs.metrics['run'] * 2} of ingest (each by table, and by table and trigger) and {inputs.metrics['table'] + inputs.metrics['commit']} of commit. A second kind of trigger adds"
        f" {more - one}, and ten tables by routes have {two} (${money(two * metric)}). `\"extra_settings\": {{ \"CALVE_EMBEDDED_METRICS\": \"false\" }}` in `compute` of `values.json` turns them off; all alarms go by filters of the logs and by AWS's own metrics, so they"
        f" keep working, while the dashboard's graphs by table are empty.",
        f"* **Interface endpoints are {share(rest, 'interface endpoints')} of {SHOWN} at rest.** A function that calls only AWS APIs needs no VPC. Logs and embedded metrics need no endpoint: they go to Lambda"
        " by the standard output, and Lambda delivers them outside of the VPC.",
        f"* **Commits leave metadata behind.** With a window of {often['compute']['commit']['window_seconds']} s, the modules' default, 1,000 events/s add {gb_a_month:.0f} GB of `metadata.json` a month, until something sweeps old ones; {SHOWN} commits every"
        f" {values['compute']['commit']['window_seconds']} s instead.",
        f"* **Computing is cheap**: {share(by_packing[10], 'ingest:', 'commit:')} of the costs with 10 events in a message are Lambda's. What memory does to it is [below](#a-gb-of-json).",
    ])  # fmt: skip


def prices_table(inputs):
    rows = [["price", "US dollars", "for", "as of", "sources"]]
    for name, price in inputs.prices.items():
        usd = "not found" if price["usd"] is None else f"{price['usd']:.10f}".rstrip("0").rstrip(".")
        unit = price["unit"] if price["per"] == 1 else f"{price['per']:,} × {price['unit']}"
        sources = ", ".join(f"[{n}]({source['url']})" for n, source in enumerate(price["sources"], 1))
        rows.append([f"`{name}`", usd, unit, price["as_of"] or "no date", sources or "–"])
    return rows


# The document.


def keep_document(environments, inputs, write):
    """Writes the figures into the documents; or returns 1 and says so when they differ."""
    if SHOWN not in environments:
        raise CostError(f"no environment `{SHOWN}`")
    values, workload = environments[SHOWN], Workload()
    blocks = {
        "rest": rest_table(environments, inputs),
        "rest-lines": bill(model.at_rest(values, inputs) + model.while_events_arrive(values, inputs)),
        "million": million_table(environments, inputs, workload, PACKINGS),
        "flow": flow_table(values, inputs, workload, PACKINGS),
        "lines": lines_table(values, inputs, workload, PACKINGS),
        "rates": rate_table(values, inputs, workload, PACKINGS),
        "changes": changes_table(values, inputs, workload, PACKINGS),
        "stored": stored_table(values, inputs, workload, PACKINGS),
        "options": options_table(inputs, workload),
        "prices": prices_table(inputs),
    }
    blocks |= {f"gb-{name}": table for name, _, table in cost_per_gb.tables(values, inputs, workload)}
    blocks = {name: shown(table, True) for name, table in blocks.items()}
    blocks |= {"facts": facts(values, inputs, workload), "gb-facts": cost_per_gb.facts(values, inputs, workload), "origin": inputs.origin}
    kept = [keep(DOCUMENT, blocks, write), keep(README, {"gb": cost_per_gb.summary(values, inputs, workload)}, write)]
    return 0 if all(kept) else 1


def keep(path, blocks, write):
    """Whether the file has these blocks, at the latest after this."""
    text = path.read_text()
    fresh = filled(text, blocks, path.name)
    if write:
        path.write_text(fresh)
    elif fresh != text:
        print(f"error: the figures of {path.relative_to(ROOT)} are stale\n\nhint: python3 scripts/costs.py --write", file=sys.stderr)
        return False
    return True


def filled(text, blocks, where):
    """The text with each block between its markers."""
    for name, block in blocks.items():
        begin, end = f"<!-- costs:begin {name} -->\n", f"<!-- costs:end {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise CostError(f"{where} must have the markers of `{name}` once")
        before, rest = text.split(begin)
        text = f"{before}{begin}{block}\n{end}{rest.split(end)[1]}"
    return text


if __name__ == "__main__":
    main()
