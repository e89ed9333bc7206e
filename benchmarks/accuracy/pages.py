"""The pages that tell what was reproduced, written from protocols and results alone."""

from __future__ import annotations

import math
from collections import Counter
from statistics import fmean, stdev
from typing import Any

from protocol import HOME, Protocol, Published, Row, read_protocols
from results import results
from verdicts import RULE, Verdict, judge

DOCS = HOME.parents[1] / "docs"
TABLE = "split-mnist"  # the protocol that has a page of its own
SETTINGS = ("task-incremental", "domain-incremental", "class-incremental")
Done = dict[tuple[str, str], list[dict[str, Any]]]


def write_pages() -> None:
    """Write both pages."""
    DOCS.mkdir(exist_ok=True)
    protocols = read_protocols()
    done = {name: results(name, protocol) for name, protocol in protocols.items()}
    (DOCS / "reproduction.md").write_text(_reproduction(protocols, done), encoding="utf-8")
    if TABLE in protocols:
        (DOCS / f"{TABLE}.md").write_text(_split_mnist(protocols[TABLE], done[TABLE]), encoding="utf-8")


def _reproduction(protocols: dict[str, Protocol], done: dict[str, Done]) -> str:
    parts = [
        "# Published numbers, and ours\n",
        "Written by `make reproduce` from the protocols and results in `benchmarks/accuracy`, which are data.\n",
        f"{RULE}\n",
        "Numbers are per cent; ours are means over seeds with the half-width of their 95 % interval.\n",
        _summary(protocols, done),
    ]
    parts += [_section(protocol, done[name]) for name, protocol in protocols.items()]
    return "\n".join(parts)


def _summary(protocols: dict[str, Protocol], done: dict[str, Done]) -> str:
    verdicts = [v for name, protocol in protocols.items() for *_, v in _verdicts(protocol, done[name])]
    count = Counter(v.text.split(":")[0].split(" because")[0] for v in verdicts)
    told = ", ".join(f"{count[key]} {key}" for key in ("reproduced", "differs", "not yet") if count[key])
    return f"Of {len(verdicts)} numbers: {told}.\n"


def _section(protocol: Protocol, done: Done) -> str:
    lines = [
        f"## {protocol.title}\n",
        f"{_wrapped(protocol.about)}\n",
        _wrapped(f"Source: {protocol.source}.") + "\n",
        "| | setting | published | ours | seeds | verdict |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row, setting, name, published, verdict in _verdicts(protocol, done):
        what = f"{row.label}, {protocol.numbers[name]}" if name in protocol.numbers else row.label
        cells = (what, setting, _theirs(published), _ours(verdict), str(verdict.seeds), verdict.text)
        lines.append(f"| {' | '.join(cells)} |")
    notes = [f"- {row.label}: {row.note}" for row in protocol.rows.values() if row.note]
    return "\n".join([*lines, "", *(_wrapped(note, "  ") for note in notes), *([""] if notes else [])])


def _verdicts(protocol: Protocol, done: Done) -> list[tuple[Row, str, str, Published, Verdict]]:
    found = []
    for row_name, row in protocol.rows.items():
        for setting in row.published:
            for name, published in row.numbers(setting).items():
                values = [one["numbers"][name] for one in done.get((row_name, setting), [])]
                found.append((row, setting, name, published, judge(published, values, row.reason(setting))))
    return found


def _split_mnist(protocol: Protocol, done: Done) -> str:
    head = " | ".join(f"{setting}: theirs | ours" for setting in SETTINGS)
    lines = [
        f"# {protocol.title}: the table\n",
        f"{_wrapped(protocol.about)}\n",
        _wrapped(f"Source: {protocol.source}.") + "\n",
        "Written by `make reproduce-split-mnist` from the results in `benchmarks/accuracy`. Means and standard\n"
        "deviations in per cent, theirs of 10 runs. ✓: reproduced by the rule of [reproduction.md](reproduction.md);\n"
        "✗: differs, that page says why; …: not yet, with the number of seeds there are.\n",
        f"| | {head} | seconds a run |",
        f"| --- |{' --- |' * (2 * len(SETTINGS) + 1)}",
    ]
    verdicts = {(row.label, setting): (p, v) for row, setting, _, p, v in _verdicts(protocol, done)}
    for name, row in protocol.rows.items():
        cells = [row.label]
        for setting in SETTINGS:
            published, verdict = verdicts[row.label, setting]
            values = [one["numbers"]["accuracy"] for one in done.get((name, setting), [])]
            cells += [_theirs(published), _cell(values, verdict)]
        times = [one["processor_seconds"] for setting in SETTINGS for one in done.get((name, setting), [])]
        lines.append(f"| {' | '.join([*cells, f'{fmean(times):.0f}' if times else '–'])} |")
    runs = [one for found in done.values() for one in found]
    hours = sum(one["processor_seconds"] for one in runs) / 3600
    versions = sorted({f"PyTorch {one['versions']['torch']}" for one in runs})
    notes = [_wrapped(f"- {row.label}: {row.note}", "  ") for row in protocol.rows.values() if row.note]
    lines += [
        "",
        f"Time: {len(runs)} runs took {hours:.1f} hours of one processor core ({', '.join(versions)}). Runs are\n"
        "independent, so that N cores take an N-th of that.\n",
        *notes,
        "",
    ]
    return "\n".join(lines)


def _cell(values: list[float], verdict: Verdict) -> str:
    if not values:
        return "…"
    sign = {"reproduced": "✓", "differs": "✗"}.get(verdict.text.split()[0], f"… ({verdict.seeds})")
    mean = fmean(values)
    if len(values) == 1:
        return f"{mean:.2f} {sign}"
    return f"{mean:.2f} ± {stdev(values):.2f} {sign}"


def _theirs(published: Published) -> str:
    if published.tolerance is not None:
        return f"{published.mean:g} (tolerance {published.tolerance:g})"
    return f"{published.mean:.2f} ± {published.std:.2f}"


def _ours(verdict: Verdict) -> str:
    if math.isnan(verdict.ours.mean):
        return "–"
    if math.isnan(verdict.ours.half_width):
        return f"{verdict.ours.mean:.2f}"
    return f"{verdict.ours.mean:.2f} ± {verdict.ours.half_width:.2f}"


def _wrapped(text: str, indent: str = "") -> str:
    """At most 120 characters a line."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > 120:
            lines.append(line)
            line = indent + word
        else:
            line = f"{line} {word}" if line else word
    return "\n".join([*lines, line])
