"""Metric filters of CloudWatch Logs. LocalStack counts 1 for every line of every log group, whatever a filter says.

Of AWS's patterns (Amazon CloudWatch Logs User Guide, "Filter pattern syntax") those for JSON lines are understood, with
`=`, `!=`, `<`, `<=`, `>`, `>=`, `&&`, `||` and parentheses, and plain text. Any other pattern is refused, so that no
alarm is quiet or loud by mistake.
"""

import json
import operator
import re

TOKEN = re.compile(r'\s*(?:(?P<path>\$(?:\.\w+)+)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>-?\d+(?:\.\d+)?)|(?P<sign>&&|\|\||!=|<=|>=|[=<>()]))')
COMPARE = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class NotUnderstood(ValueError):
    """A pattern that this does not know."""


def register():
    """Has LocalStack make metrics of lines as their filters say."""
    from localstack.aws.connect import connect_to
    from localstack.services.logs.provider import LogsProvider, get_moto_logs_backend
    from localstack.services.moto import call_moto

    def put_log_events(self, context, log_group_name, log_stream_name, log_events, *_args, **_kwargs):
        filters = get_moto_logs_backend(context.account_id, context.region).filters.metric_filters
        filters = [each for each in filters if each["logGroupName"] == log_group_name]
        metrics = connect_to(aws_access_key_id=context.account_id, region_name=context.region).cloudwatch
        for namespace, data in figures(filters, [event["message"] for event in log_events]):
            metrics.put_metric_data(Namespace=namespace, MetricData=[data])
        return call_moto(context)

    put_log_events.__name__ = LogsProvider.put_log_events.__name__
    for attribute in ("operation", "expand_parameters", "pass_context"):
        if hasattr(LogsProvider.put_log_events, attribute):
            setattr(put_log_events, attribute, getattr(LogsProvider.put_log_events, attribute))
    LogsProvider.put_log_events = put_log_events


def figures(filters, lines):
    """The figures that the filters make of the lines: namespaces, each with a datum of a metric."""
    for each in filters:
        matches = matcher(each.get("filterPattern", ""))
        for line in filter(matches, lines):
            for metric in each["metricTransformations"]:
                value = value_of(metric.get("metricValue", "1"), line)
                if value is not None:
                    yield metric["metricNamespace"], {
                        "MetricName": metric["metricName"],
                        "Value": value,
                        "Unit": metric.get("unit", "None"),
                    }


def value_of(told, line):
    """The number that a filter names, or that stands in the line where it points to; none when there is no number."""
    if not told.startswith("$"):
        return float(told)
    found = look_up(told, parsed(line))
    return float(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else None


def matcher(pattern):
    """What says of a line whether it matches the pattern."""
    pattern = pattern.strip()
    if not pattern:
        return lambda line: True
    if not (pattern.startswith("{") and pattern.endswith("}")):
        return text_matcher(pattern)
    tokens = tokens_of(pattern[1:-1])
    condition = any_of(tokens)
    if tokens:
        raise NotUnderstood(f"`{pattern}`: `{tokens[0][1]}` is not understood")

    def matches(line):
        fields = parsed(line)
        return isinstance(fields, dict) and condition(fields)

    return matches


def text_matcher(pattern):
    if re.search(r"[\[\]?%]|^-|\s-", pattern):
        raise NotUnderstood(f"`{pattern}` is not understood")
    terms = [term.strip('"') for term in re.findall(r'"[^"]*"|\S+', pattern)]
    return lambda line: all(term in line for term in terms)


def tokens_of(text):
    tokens, place = [], 0
    text = text.rstrip()
    while place < len(text):
        found = TOKEN.match(text, place)
        if found is None:
            raise NotUnderstood(f"`{text[place:]}` is not understood")
        tokens.append((found.lastgroup, found[found.lastgroup]))
        place = found.end()
    return tokens


# Each takes its tokens off the front, and returns what says whether a line's fields are so.


def any_of(tokens):
    conditions = [all_of(tokens)]
    while tokens and tokens[0][1] == "||":
        tokens.pop(0)
        conditions.append(all_of(tokens))
    return lambda fields: any(condition(fields) for condition in conditions)


def all_of(tokens):
    conditions = [one(tokens)]
    while tokens and tokens[0][1] == "&&":
        tokens.pop(0)
        conditions.append(one(tokens))
    return lambda fields: all(condition(fields) for condition in conditions)


def one(tokens):
    if tokens and tokens[0][1] == "(":
        tokens.pop(0)
        condition = any_of(tokens)
        expect(tokens, "sign", ")")
        return condition
    path = expect(tokens, "path")
    compare = COMPARE.get(expect(tokens, "sign"))
    kind, text = tokens.pop(0) if tokens else ("nothing", "")
    if compare is None or kind not in ("text", "number"):
        raise NotUnderstood(f"`{text}` behind `{path}` is not understood")
    wanted = json.loads(text)

    def is_so(fields):
        found = look_up(path, fields)
        same_kind = isinstance(found, str) if kind == "text" else isinstance(found, (int, float)) and not isinstance(found, bool)
        return same_kind and compare(found, wanted)

    return is_so


def expect(tokens, kind, text=None):
    if not tokens or tokens[0][0] != kind or text not in (None, tokens[0][1]):
        raise NotUnderstood(f"`{tokens[0][1] if tokens else 'the end'}` stands where {text or kind} should")
    return tokens.pop(0)[1]


def look_up(path, fields):
    for name in path.split(".")[1:]:
        fields = fields.get(name) if isinstance(fields, dict) else None
    return fields


def parsed(line):
    try:
        return json.loads(line)
    except ValueError:
        return None
