"""Protocols as data: what the YAML files say, checked, and one ``Job`` for each number they ask for."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

HOME = Path(os.environ.get("PERDURE_ACCURACY", Path(__file__).parent))  # holds protocols/ and results/
STRICT = ConfigDict(extra="forbid", strict=False)
Setting = Literal["task-incremental", "domain-incremental", "class-incremental"]


@checked(config=STRICT, frozen=True)
class Published:
    """A number that others gave: with its spread over ``n`` runs, or with the ``tolerance`` that we allow it."""

    mean: float
    std: float | None = None
    n: int | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if (self.std is None) == (self.tolerance is None) or (self.std is None) != (self.n is None):
            raise ValueError("give std and n, or a tolerance")


@checked(config=STRICT, frozen=True)
class Row:
    """One method by the protocol. ``build`` and ``settings`` change what the protocol says, for all or one setting."""

    label: str
    published: dict[Setting, dict[str, Published] | Published]
    build: dict[str, Any] = field(default_factory=dict)
    settings: dict[Setting, dict[str, Any]] = field(default_factory=dict)
    reasons: dict[Setting, str] | str = field(default_factory=dict)
    note: str = ""

    def reason(self, setting: Setting) -> str:
        """Why ours differs, if it does and the reason is known."""
        return self.reasons if isinstance(self.reasons, str) else self.reasons.get(setting, "")

    def numbers(self, setting: Setting) -> dict[str, Published]:
        """The published numbers by name; the usual one is the accuracy."""
        found = self.published[setting]
        return {"accuracy": found} if isinstance(found, Published) else found


@checked(config=STRICT, frozen=True)
class Protocol:
    """What all rows share. ``build`` is what a run is made of: ``stream``, ``model``, ``optimizer``, ``run``, ..."""

    title: str
    source: str
    about: str
    build: dict[str, Any]
    rows: dict[str, Row]
    seeds: int = 5
    numbers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One run: a row of a protocol, in a setting, with a seed. ``spec`` says all that decides its numbers."""

    protocol: str
    row: str
    setting: Setting
    seed: int
    spec: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.protocol}/{self.row}/{self.setting}"

    @property
    def path(self) -> Path:
        """Where its result is, or will be."""
        return HOME / "results" / self.name / f"seed-{self.seed}.json"

    @property
    def fingerprint(self) -> str:
        """Changes with whatever may change the numbers; not with what is published or said about them."""
        return hashlib.sha256(json.dumps(self.spec, sort_keys=True).encode()).hexdigest()[:16]


def read_protocols(folder: Path = HOME / "protocols") -> dict[str, Protocol]:
    """All protocols by name. Raises ``ValueError`` naming file and entry where one is wrong."""
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            found[path.stem] = TypeAdapter(Protocol).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{path}: {'/'.join(map(str, first['loc']))}: {first['msg']}") from None
        except yaml.YAMLError as error:
            raise ValueError(f"{path}: {' '.join(str(error).split())}") from None
    return found


def jobs(protocols: dict[str, Protocol], seeds: int | list[int] | None = None) -> Iterator[Job]:
    """Seed by seed, so that what an interrupt leaves is a table of fewer seeds."""
    wanted = {name: _seeds(protocol, seeds) for name, protocol in protocols.items()}
    for seed in sorted({seed for found in wanted.values() for seed in found}):
        for name, protocol in protocols.items():
            if seed not in wanted[name]:
                continue
            for row_name, row in protocol.rows.items():
                for setting in row.published:
                    spec = merge(merge(protocol.build, row.build), row.settings.get(setting, {}))
                    yield Job(name, row_name, setting, seed, spec)


def _seeds(protocol: Protocol, seeds: int | list[int] | None) -> list[int]:
    return seeds if isinstance(seeds, list) else list(range(protocol.seeds if seeds is None else seeds))


def merge(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """``base`` with ``change`` laid over it, mapping by mapping; null removes an entry."""
    merged = dict(base)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            both = isinstance(value, dict) and isinstance(merged.get(key), dict) and "name" not in value
            merged[key] = merge(merged[key], value) if both else value
    return merged
