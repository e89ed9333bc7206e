"""``perdure compare``."""

from __future__ import annotations

from collections.abc import Sequence

from perdure.cli._codes import DONE
from perdure.cli._parser import make_parser, parse
from perdure.cli._show import show_json, show_table

EPILOG = """\
Runs must be of one stream. A method that is in several runs is called METHOD (RUN). Intervals are 95 % over seeds;
who differs is tested on the seeds that both have (paired t-test, Holm-corrected, 5 %).

examples:
  perdure compare runs/digits
  perdure compare runs/memory-200 runs/memory-500
  perdure compare runs/a runs/b --json | jq '.differences'"""


def main(arguments: Sequence[str]) -> int:
    """Compare the methods of one or several runs."""
    parser = make_parser("compare", "RUN [RUN...] [--json]", "Compare the methods of one or several runs.", EPILOG)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folder of a run")
    parser.add_argument("--json", action="store_true", help="print one object")
    given = parse(parser, arguments)
    from perdure import report
    from perdure.cli._read import read_runs
    from perdure.cli._scores import named_upper_bounds, scores

    records, methods = read_runs(given.runs)
    comparison = report.compare(records, named_upper_bounds(methods))
    if given.json:
        show_json(scores(comparison))
    else:
        show_table(report.table(comparison))
    return DONE
