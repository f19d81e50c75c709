"""Tests of the arithmetic of costs.py: `python3 scripts/costs_test.py`."""

import json
import re
import unittest
from dataclasses import replace

import cost_flow as flow
import cost_model as model
import cost_per_gb as per_gb
import costs

MODULES = costs.INFRASTRUCTURE / "modules"
# Prices, measured and assumed figures that are easy to reckon with.
PRICES = {name: {"usd": 1.0, "per": 1, "unit": ""} for name in costs.read_inputs().prices}
ROW = {"cpu_ms": 10, "s3_puts": 2, "s3_gets": 1, "s3_put_bytes": 1024, "catalog_requests": 1, "queue_requests": 1, "log_bytes": 0, "metric_bytes": 0}
ASSUMED = costs.read_inputs().assumed | {
    "ingest_wait_ms": 40, "commit_wait_ms": 90, "core_speed": 1, "full_core_mb": 1769, "ingest_cores": 1.25, "commit_cores": 1,
    "ingest_peak_mib": 30, "commit_peak_mib": 50,
}  # fmt: skip
INPUTS = flow.Inputs(
    prices=PRICES,
    ingest=[ROW | {"n_messages": 1, "n_events": n, "event_bytes": 100 * n} for n in (1, 1000)],
    commit=[ROW | {"n_messages": n, "message_bytes": 100} for n in (1, 1000)],
    assumed=ASSUMED,
    metrics={"run": 5, "landed": 2, "table": 3, "commit": 1},
)
PLAIN = flow.with_defaults({"observability": {"alarms": False}, "compute": {"tracing": False, "commit": {"memory_mb": 1769}}})


def mapping(**settings):
    return {"batch_size": 1000, "window_seconds": 1, "maximum_concurrency": None} | settings


def variable(name, text):
    """The block of a variable in Terraform's language."""
    return re.search(rf'^variable "{name}" {{$.*?^}}$', text, re.M | re.S)[0]


def default_of(name, text):
    """What the variable is by default; None where that is nothing, or false, or empty."""
    found = re.search(r"^  default\s+= (.*)$", variable(name, text), re.M)
    return json.loads(found[1]) or None if found else None


class Lines(unittest.TestCase):
    def test_a_line_is_the_product_of_its_factors_at_a_price_for_so_many(self):
        line = model.Line("x", [(3, "a"), (4, "b")], {"usd": 0.5, "per": 6})
        self.assertEqual(line.usd, 1)

    def test_a_line_without_a_price_counts_nothing_and_is_named(self):
        lines = [model.Line("x", [(3, "a")], {"usd": None, "per": 1}), model.Line("y", [(2, "a")], {"usd": 1, "per": 1})]
        self.assertEqual((model.total(lines), model.without_price(lines)), (2, ["x"]))

    def test_a_request_is_billed_for_each_64_kib_that_it_begins(self):
        found = [model.chunks(n_bytes)[0] for n_bytes in (1, 65536, 65537, 262144)]
        self.assertEqual(found, [1, 1, 2, 4])


class Invocations(unittest.TestCase):
    def check(self, messages_per_second, expected, largest=1000, **settings):
        found = flow.invocations(messages_per_second, mapping(**settings), largest, ASSUMED)
        self.assertAlmostEqual(found, expected, places=3)

    def test_few_messages_are_handed_over_one_by_one(self):
        self.check(0.001, 0.001)

    def test_with_more_each_poller_hands_over_once_in_a_window_and_the_wait_for_its_first_message(self):
        self.check(5, 2.5)

    def test_no_more_pollers_gather_than_may_be_invoked_side_by_side(self):
        self.check(1e6, 1, largest=1e9, window_seconds=2, maximum_concurrency=2)

    def test_full_batches_do_not_wait_for_the_window(self):
        self.check(10_000, 100, largest=100)

    def test_without_a_window_a_batch_is_what_one_receive_brings(self):
        self.check(100, 10, window_seconds=0)

    def test_a_batch_has_no_more_than_6_mib(self):
        found = flow.largest_batch(mapping(), 250_000, ASSUMED | {"json_escape_factor": 1, "record_overhead_bytes": 0})
        self.assertEqual(found, 25)


class Measured(unittest.TestCase):
    def check(self, at, expected):
        rows = [{"n": 10, "ms": 20}, {"n": 100, "ms": 110}]
        self.assertEqual(flow.interpolated(rows, "n", at, ["ms"])["ms"], expected)

    def test_below_the_smallest_row_its_figures_count(self):
        self.check(1, 20)

    def test_between_rows_figures_lie_on_a_straight_line(self):
        self.check(55, 65)

    def test_beyond_the_largest_row_they_grow_in_proportion(self):
        self.check(200, 220)

    def test_less_memory_than_a_core_s_makes_processor_time_longer_but_no_wait(self):
        found = model.billed_ms({"cpu_ms": 10}, "ingest", 1769 / 2, ASSUMED)
        self.assertEqual(found, 10 * 2 + 40)


class Memory(unittest.TestCase):
    SIZES = range(128, 10_241, 64)

    def billed(self, cpu_ms, memory_mb, function="ingest"):
        return model.billed_ms({"cpu_ms": cpu_ms}, function, memory_mb, ASSUMED)

    def test_a_second_core_helps_as_far_as_the_work_can_be_shared_out(self):
        found = [self.billed(10, memory_mb, function) for function in ("ingest", "commit") for memory_mb in (1769, 2 * 1769)]
        self.assertEqual(found, [40 + 10, 40 + 8, 90 + 10, 90 + 10])

    def test_each_millisecond_that_is_begun_is_billed(self):
        self.assertEqual([self.billed(cpu_ms, 1769) for cpu_ms in (10, 10.01, 10.99)], [50, 51, 51])

    def test_more_memory_never_makes_an_invocation_longer(self):
        for function in ("ingest", "commit"):
            for cpu_ms in (0, 3.8, 81.4, 1444):
                took = [self.billed(cpu_ms, memory_mb, function) for memory_mb in self.SIZES]
                self.assertEqual(took, sorted(took, reverse=True))

    def test_below_a_core_memory_hardly_changes_what_work_costs(self):
        mb_ms = [memory_mb * self.billed(10_000, memory_mb) for memory_mb in (128, 512, 1024, 1769)]
        self.assertLess(max(mb_ms) / min(mb_ms), 1.005)

    def test_above_a_core_work_costs_more_as_soon_as_cores_are_idle(self):
        mb_ms = [memory_mb * self.billed(10_000, memory_mb) for memory_mb in (1769, 3538)]
        self.assertAlmostEqual(mb_ms[1] / mb_ms[0], 2 / 1.25, places=2)

    def test_waiting_costs_as_much_more_as_there_is_more_memory(self):
        mb_ms = [memory_mb * self.billed(0, memory_mb) for memory_mb in (128, 512)]
        self.assertEqual(mb_ms[1], 4 * mb_ms[0])


class Environments(unittest.TestCase):
    def test_at_rest_two_queues_are_polled_and_there_is_a_dashboard(self):
        lines = {line.name: line.usd for line in model.at_rest(PLAIN, INPUTS)}
        self.assertEqual(lines, {"empty receives of the queues": 5 * 2 * 730 * 3600 / 20, "dashboard": 1})

    def test_endpoints_are_paid_for_by_service_and_zone_with_the_catalog_s_once(self):
        values = flow.with_defaults({"networking": {"enabled": True, "n_zones": 3, "interface_endpoints": ["sqs", "glue"]}})
        lines = {line.name: line.usd for line in model.at_rest(values, INPUTS)}
        self.assertEqual(lines["interface endpoints"], 2 * 3 * 730)

    def test_nat_gateways_are_one_or_one_for_each_zone_and_have_addresses(self):
        networking = {"enabled": True, "n_zones": 3, "nat": True, "nat_per_zone": True}
        lines = {line.name: line.usd for line in model.at_rest(flow.with_defaults({"networking": networking}), INPUTS)}
        self.assertEqual((lines["NAT gateways"], lines["their public addresses"]), (3 * 730, 3 * 730))

    def test_null_means_the_module_s_default(self):
        values = flow.with_defaults({"compute": {"tracing": None, "ingest": {"memory_mb": None, "window_seconds": 7}}})
        ingest = values["compute"]["ingest"]
        self.assertEqual((values["compute"]["tracing"], ingest["memory_mb"], ingest["window_seconds"]), (True, 1769, 7))

    def test_defaults_are_those_of_the_modules(self):
        for module, defaults in flow.DEFAULTS.items():
            text = (MODULES / module / "variables.tf").read_text()
            for name, value in defaults.items():
                with self.subTest(f"{module}.{name}"):
                    self.assertEqual(default_of(name, text), value or None)

    def test_defaults_of_functions_are_those_of_the_module(self):
        text = (MODULES / "compute" / "variables.tf").read_text()
        for function, defaults in flow.FUNCTION_DEFAULTS.items():
            block = variable(function, text)
            found = {name: json.loads(value) for name, value in re.findall(r"(\w+)\s+= optional\(number, (-?\d+)\)", block)}
            self.assertEqual({name: found.get(name) for name in defaults}, defaults)

    def test_emulated_environments_are_not_paid_for(self):
        names = costs.read_environments(costs.INFRASTRUCTURE / "environments")
        self.assertNotIn("local", names)


class Metrics(unittest.TestCase):
    def test_those_of_the_source_are_61_for_a_table_and_a_kind_of_trigger(self):
        found = model.n_embedded_metrics(model.embedded_metrics(costs.TELEMETRY.read_text()))
        self.assertEqual(found, 61)

    def test_each_further_kind_of_trigger_adds_those_of_a_run(self):
        found = [model.n_embedded_metrics(INPUTS.metrics, 1, n_sources) for n_sources in (1, 2)]
        self.assertEqual(found, [5 * 2 + 3 + 1, 5 * 3 + 3 + 1])

    def test_with_routes_what_landed_is_a_table_s_and_the_rest_the_trigger_s(self):
        found = model.n_embedded_metrics(INPUTS.metrics, 4, 1)
        self.assertEqual(found, (5 - 2) * 1 + 2 * 4 * 2 + 3 * 4 + 1)

    def test_the_setting_turns_them_off(self):
        quiet = flow.with_defaults({"compute": {"extra_settings": {"CALVE_EMBEDDED_METRICS": "false"}}})
        lines = model.while_events_arrive(quiet, INPUTS)
        self.assertEqual([line.name for line in lines], ["metrics by filters of the logs"])

    def test_alarms_and_filters_are_as_many_as_the_module_makes(self):
        alarms, filters = ((MODULES / "observability" / name).read_text() for name in ("alarms.tf", "main.tf"))
        by_log = alarms[alarms.index("by_log = {") : alarms.index("by_dead_letters = {")].count("metric_name")
        pairs = len(re.findall(r"for key, (?:queue|function) in local\.\w+ :", alarms))
        found = {"alarms": by_log + 2 * pairs, "filter_metrics": len(re.findall(r"^\s+pattern\s+= \"", filters, re.M))}
        self.assertEqual(found, {name: ASSUMED[name] for name in found})

    def test_alarms_of_a_stream_are_as_many_as_the_modules_make(self):
        of_age = (MODULES / "observability" / "alarms.tf").read_text().split("by_stream = ")[1].split("alarms = ")[0].count("metric_name")
        given_up = (MODULES / "compute" / "alarms.tf").read_text().split("resource ")[0].count("metric_name")
        self.assertEqual(ASSUMED["stream_alarms"], of_age + given_up)


class Million(unittest.TestCase):
    def bill(self, **workload):
        lines = model.per_million(PLAIN, INPUTS, flow.Workload(event_bytes=100, **workload))
        return {line.name: line.usd for line in lines}

    def test_of_single_requests_to_the_url_each_is_an_invocation(self):
        bill = self.bill(by_url=True)
        self.assertEqual(bill["ingest: invocations"], 1e6)
        self.assertAlmostEqual(bill["ingest: duration"], 1e6 * 0.050 * 1769 / 1024)
        self.assertEqual(bill["data files: PUT"], 2e6)
        self.assertEqual(bill["receipts queue: sends"], 1e6)
        self.assertNotIn("events queue: sends", bill)

    def test_messages_are_sent_one_by_one_and_received_and_deleted_by_ten(self):
        bill = self.bill(events_per_message=10)
        found = [bill[f"events queue: {what}"] for what in ("sends", "receives", "deletes")]
        self.assertEqual(found, [1e5, 1e4, 1e4])

    def test_a_sender_that_batches_sends_a_tenth_of_the_requests(self):
        bill = self.bill(events_per_message=10, messages_per_send=10)
        self.assertEqual(bill["events queue: sends"], 1e4)

    def test_a_commit_is_paid_for_with_its_objects_and_the_catalog_s(self):
        bill = self.bill()
        commits = bill["commit: invocations"]
        found = [bill[name] / commits for name in ("manifests, lists, ledger: PUT", "metadata.json: PUT", "Glue requests")]
        for n, expected in zip(found, (2, 1, 1), strict=True):
            self.assertAlmostEqual(n, expected)

    def test_a_message_of_more_than_256_kib_is_refused(self):
        with self.assertRaisesRegex(flow.CostError, "do not fit"):
            self.bill(events_per_message=2622)

    def test_a_request_of_more_than_6_mib_is_refused(self):
        most = flow.most_events(flow.Workload(event_bytes=100, by_url=True), ASSUMED)
        self.assertGreater(self.bill(events_per_message=most, by_url=True)["ingest: invocations"], 0)
        with self.assertRaisesRegex(flow.CostError, "do not fit a request"):
            self.bill(events_per_message=most + 1, by_url=True)

    def test_firehose_does_not_care_for_the_packing(self):
        found = {model.total(model.firehose(INPUTS, flow.Workload(events_per_message=n))) for n in (1, 100)}
        self.assertEqual(len(found), 1)

    def test_kinesis_rounds_each_record_up_to_a_kib(self):
        written = model.kinesis(INPUTS, flow.Workload(event_bytes=100))[0]
        self.assertAlmostEqual(written.usd, 1e6 * 1024 / flow.GB)


class PerGb(unittest.TestCase):
    """Requests of 1,000 events of 100 bytes, one in a second, to an ingest of 512 MB: so many of them are a GB."""

    N = 2**30 / 100_000
    LOAD = flow.Workload(event_bytes=100, events_per_message=1000, by_url=True)

    def test_a_function_is_billed_for_invocations_times_milliseconds_times_mb(self):
        found = per_gb.duration(PLAIN, INPUTS, self.LOAD, 512)
        self.assertAlmostEqual(found.mb_ms, self.N * 75 * 512)  # 40 ms + 10 ms × 1769 / 512 = 74.6 ms

    def test_all_of_it_by_hand(self):
        # Two gatherers of 2 s each make a commit of two receipts every 2 s.
        commits = self.N / 2
        ingest = self.N * (0.075 * 0.5 + 1)
        commit = commits * (0.100 * 1769 / 1024 + 1)
        receipts = self.N + commits + commits  # Sent, received and deleted.
        storage = self.N * 2 + commits * (2 + 1) + commits * (1 + 1)  # Data files; PUT and GET, metadata.json with them.
        logs = (self.N + commits) * 700 / 2**30
        months = 30 / (730 / 24)
        found = model.total(per_gb.bill(PLAIN, INPUTS, self.LOAD, 512))
        self.assertAlmostEqual(found, ingest + commit + receipts + storage + commits + logs * (1 + months))

    def test_requests_of_the_queue_are_chunks_sent_and_tens_received_and_deleted(self):
        load = flow.Workload(event_bytes=100, events_per_message=1000, events_per_second=1e6)
        lines = {line.name: line.quantity for line in per_gb.bill(PLAIN, INPUTS, load)}
        found = [lines[f"events queue: {what}"] for what in ("sends", "receives", "deletes")]
        # 100 KB are two chunks of 64 KiB, ten times as much are 16.
        for n, expected in zip(found, (self.N * 2, self.N / 10 * 16, self.N / 10), strict=True):
            self.assertAlmostEqual(n, expected)

    def test_what_does_not_fit_a_message_has_no_figures_and_says_what_does(self):
        load = flow.Workload(event_bytes=100)
        tables = {name: table for name, _, table in per_gb.tables(PLAIN, INPUTS, load, [2622])}
        for name, table in tables.items():
            row = next(row for row in table if "queue" in row[0])
            with self.subTest(name):
                self.assertIn("(only 2,621 fit)", row[0])
                self.assertEqual({*row[1:]}, {"–"})

    def test_events_that_no_message_holds_have_no_figures_of_the_queue(self):
        found = [packing.fits for packing in per_gb.packings(flow.Workload(event_bytes=300_000), INPUTS, [1])]
        self.assertEqual(found, [False, True])

    def test_by_default_there_is_a_row_of_as_many_as_fit(self):
        found = [packing.name for packing in per_gb.packings(flow.Workload(event_bytes=100), INPUTS) if "all that fit" in packing.name]
        self.assertEqual(found, ["queue, 2,621 in a message (all that fit)", "URL, 55,669 in a request (all that fit)"])

    def test_memory_that_a_payload_does_not_fit_in_has_no_figures(self):
        inputs = replace(INPUTS, assumed=ASSUMED | {"ingest_peak_mib": 129})
        of_ingest, of_commit = (row for row in per_gb.lambda_table(PLAIN, inputs, [per_gb.Packing("x", self.LOAD, True)])[1:])
        self.assertEqual([at for at, cell in enumerate(of_ingest) if cell == "too small"], [1, 5])
        self.assertNotIn("too small", of_commit)
        self.assertIn("too much for 128 MB", per_gb.too_small(inputs))

    def test_memory_that_a_payload_does_not_fit_in_is_no_fact(self):
        load = flow.Workload(event_bytes=100)
        inputs = replace(INPUTS, assumed=ASSUMED | {"ingest_peak_mib": 513})
        facts = per_gb.facts(PLAIN, inputs, load)
        sums = [model.total(per_gb.bill(PLAIN, inputs, replace(load, events_per_message=100), size)) for size in (1769, 3008)]
        self.assertIn(f"it costs between ${per_gb.money(min(sums))} and ${per_gb.money(max(sums))} whatever the memory", facts)
        self.assertIn("1,769 MB are cheapest", facts)
        self.assertRegex(facts, r"Such a payload takes [\d,]+ ms at 1,769 MB and [\d,]+ at 3,008, where")
        self.assertEqual(re.findall(r"\b(?:128|512) MB", facts), ["128 MB", "512 MB"])  # Those that are too small.

    def test_a_payload_that_no_size_holds_is_refused(self):
        with self.assertRaisesRegex(flow.CostError, "3009 MiB in ingest"):
            per_gb.sizes_of("ingest", replace(INPUTS, assumed=ASSUMED | {"ingest_peak_mib": 3009}))

    def test_with_the_environment_s_own_memory_it_is_what_a_million_events_cost_by_their_size(self):
        inputs, values = costs.read_inputs(), costs.read_environments(costs.INFRASTRUCTURE / "environments")["prod"]
        load = flow.Workload(events_per_message=10)
        million = model.total(model.per_million(values, inputs, load))
        self.assertAlmostEqual(model.total(per_gb.bill(values, inputs, load, 1769, "arm64")), million * 2**30 / 909e6)

    def test_the_size_that_costs_least_is_named_with_its_packings(self):
        self.assertEqual(per_gb.cheapest(PLAIN, INPUTS, self.LOAD), "128 MB are cheapest at every packing.")


class Prices(unittest.TestCase):
    def test_a_list_without_a_price_that_is_needed_is_refused(self):
        with self.assertRaisesRegex(flow.CostError, "no `s3_put`"):
            replace(INPUTS, prices={}).price("s3_put")

    def test_each_that_was_found_has_a_source_and_each_that_was_not_has_no_amount(self):
        for name, price in costs.read_inputs().prices.items():
            with self.subTest(name):
                self.assertEqual(price["found"], price["usd"] is not None)
                self.assertEqual(price["found"], bool(price["sources"]))


if __name__ == "__main__":
    unittest.main()
