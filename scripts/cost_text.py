"""How the cost sheet writes numbers, money, lines and tables."""

import re

import cost_model as model


def money(usd):
    if usd is None:
        return "no price"
    if usd == 0:
        return "0"
    if usd < 0.0001:
        return "< 0.0001"
    return f"{usd:,.4f}" if usd < 0.1 else f"{usd:,.3f}" if usd < 10 else f"{usd:,.2f}"


def summed(lines):
    """A sum; with a `+` when something in it has no price."""
    return money(model.total(lines)) + ("+" if model.without_price(lines) else "")


def number(value):
    if value == int(value) or value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if value >= 0.001 else f"{value:.3e}"


def arithmetic(line):
    price = line.price
    per = "" if price["per"] == 1 else f" / {price['per']:,}"
    usd = "no price" if price["usd"] is None else f"${price['usd']:.10f}".rstrip("0").rstrip(".") + per
    factors = [factor for factor in line.factors if factor[0] != 1] or line.factors
    return " × ".join([*(f"{number(factor)} {what}" for factor, what in factors), usd])


def share(lines, *prefixes):
    of_these = model.total(line for line in lines if line.name.startswith(prefixes))
    return f"{of_these / model.total(lines):.0%}".replace("%", " %")


def shown(table, markdown):
    if not markdown:
        table = [[cell.replace("**", "") for cell in row] for row in table]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    right = [all(re.fullmatch(r"[*0-9.,<–+ ]*|no price.*|not found|too small", row[i]) for row in table[1:]) for i in range(len(table[0]))]
    if markdown:
        rule = ["---:" if is_right else "---" for is_right in right]
        return "\n".join("| " + " | ".join(row) + " |" for row in [table[0], rule, *table[1:]])
    return "\n".join("  ".join(f"{cell:>{width}}" if is_right else f"{cell:<{width}}" for cell, width, is_right in zip(row, widths, right, strict=True)).rstrip() for row in table)
