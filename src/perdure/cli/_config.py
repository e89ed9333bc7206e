"""``perdure run``'s command line and YAML file, resolved: flags override the file, the file overrides the defaults."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from perdure.cli._flags import expected, parse_flags, parse_mapping, run_parser
from perdure.cli._options import FIELDS, KINDS, Options, flag
from perdure.cli._words import hint

SGD_RATE = 0.05
MUST = {
    "data": "name a data set (perdure data lists them) or a file",
    "method": "name one or several (perdure methods lists them)",
}


@dataclass(frozen=True)
class Output:
    """What does not decide the numbers: where they go and what is shown."""

    out: str | None
    json: bool
    quiet: bool


def parse_run(arguments: Sequence[str]) -> tuple[Options, Output]:
    """The options of ``perdure run``; ``--print-config`` prints them and leaves.

    Raises ``ValueError`` in one line where something is wrong.
    """
    parser = run_parser()
    given = parse_flags(parser, arguments)
    if given.config is not None:
        found = read_config(Path(given.config))
        try:
            parser.set_defaults(parse_mapping(parser, found))
        except ValueError as error:
            raise ValueError(f"{given.config}: {error}") from error
        given = parse_flags(parser, arguments)
    options = _resolve({name: given[name] for name in FIELDS})
    if given.print_config:
        print(dump(options), end="")
        raise SystemExit(0)
    for name, what in MUST.items():
        if not getattr(options, name):
            raise ValueError(f"{flag(name)} is missing: {what}")
    return options, Output(given.out, given.json, given.quiet)


def read_config(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, its keys checked."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds {type(found).__name__}: give lines such as 'epochs: 5'")
    for key in found:
        if key not in FIELDS:
            raise ValueError(
                f"{path}: unknown option {key!r}: {hint(str(key), FIELDS)}see perdure run --help (with _ for -)"
            )
    return found


def dump(options: Options) -> str:
    """The options as YAML, to be read by ``--config``."""
    text: str = yaml.safe_dump(asdict(options), sort_keys=False, allow_unicode=True)
    return text


def _resolve(given: dict[str, Any]) -> Options:
    """Plain numbers, lists as lists, and defaults that depend on others filled in."""
    for name, value in given.items():
        if FIELDS[name].metadata["kind"] in KINDS and value is not None:
            given[name] = int(value) if isinstance(value, int) else float(value)
    order, seeds = given["order"], given["seeds"]
    given["method"] = list(dict.fromkeys(map(str, _entries(given["method"]))))
    for name in ("features", "augment"):
        given[name] = None if given[name] is None else list(map(str, _entries(given[name])))
    given["order"] = order if order in ("natural", "shuffled") else _entries(order)
    given["seeds"] = list(range(seeds)) if isinstance(seeds, int) else _entries(seeds)
    if given["lr"] is None and given["optimizer"].lower() == "sgd":
        given["lr"] = SGD_RATE
    found = given["seeds"]
    if not found or any(not isinstance(seed, int) or seed < 0 for seed in found) or len(set(found)) < len(found):
        raise ValueError(f"--seeds {seeds}: {expected('seeds')}, none negative and none twice")
    return Options(**given)


def _entries(value: Any) -> list[Any]:
    """A list, or what stands between commas; whole numbers as such."""
    parts = value if isinstance(value, list) else [part.strip() for part in str(value or "").split(",")]
    return [int(p) if isinstance(p, str) and re.fullmatch(r"-?\d+", p) else p for p in parts if p != ""]
