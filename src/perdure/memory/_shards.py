"""The states of memories that share one stream: put together into one, and dealt out again.

A state is what ``Memory.state_dict`` gives: buffers by name, and the two counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

State = Mapping[str, Tensor]

COUNTS = "_extra_state"  # PyTorch's name for it
ROWS = ("x", "y", "task", "keys", "experience", "score")
"""Buffers with one row a slot, beside what is stored of the model's output."""


def row_names(names: Iterable[str]) -> tuple[str, ...]:
    """Those buffers that have one row a slot."""
    return tuple(name for name in names if name in ROWS or name.startswith("stored_"))


def read_counts(found: object, capacity: int) -> tuple[int, int]:
    """How many are kept and how many positions are used up; ``ValueError`` if that makes no sense in ``capacity``."""
    if not isinstance(found, Tensor) or found.shape != (2,) or found.dtype != torch.int64:
        what = f"{tuple(found.shape)} {found.dtype}" if isinstance(found, Tensor) else repr(found)
        raise ValueError(f"expected (2,) int64, the numbers kept and presented, found {what}")
    count, position = (int(v) for v in found)
    if not 0 <= count <= min(capacity, position):
        raise ValueError(f"{count} exemplars kept of {position} presented make no sense in {capacity} slots")
    return count, position


def capacity_of(state: State) -> int:
    """How many slots there are; none in a memory that was never bound."""
    return len(state["y"]) if "y" in state else 0


def check_alike(states: Sequence[State]) -> None:
    """Raise ``ValueError`` unless all states hold buffers of the same names, shapes and types, and sensible counts."""
    first = _kinds(states[0])
    for rank, state in enumerate(states):
        kinds = _kinds(state)
        for name in sorted(first.keys() | kinds.keys()):
            if first.get(name) != kinds.get(name):
                raise ValueError(f"{name} is {first.get(name)} on rank 0, {kinds.get(name)} on rank {rank}")
        read_counts(state.get(COUNTS), capacity_of(state))


def _kinds(state: State) -> dict[str, str]:
    return {name: f"{tuple(value.shape)} {value.dtype}" for name, value in state.items()}


def union(states: Sequence[State]) -> dict[str, Tensor]:
    """The kept rows of all states, end to end; ``ValueError`` if two have used the same positions of the stream."""
    rows = {
        name: torch.cat([state[name][: int(state[COUNTS][0])].to(value.device) for state in states])
        for name, value in states[0].items()
        if row_names([name])
    }
    if len(set(rows["keys"].tolist())) < len(rows["keys"]):
        raise ValueError("two ranks keep examples with the same key: give each a shard of its own before it learns")
    return rows


def refilled(state: State, rows: State, chosen: Tensor, position: int, floor: float) -> dict[str, Tensor]:
    """``state`` with the ``chosen`` of ``rows`` in its first slots, the others free for keys beyond ``floor``."""
    made = {name: value.clone() for name, value in state.items()}
    for name in row_names(state):
        made[name].zero_()
        made[name][: len(chosen)] = rows[name][chosen.to(rows[name].device)]
    made["keys"][len(chosen) :] = floor
    made[COUNTS] = torch.tensor([len(chosen), position])
    return made


def merge(
    states: Sequence[State], bounds: Sequence[str], survivors: Callable[[State, dict[str, Tensor], int], Tensor]
) -> dict[str, Tensor]:
    """One state from those of all ranks: of the union of their rows the ``survivors``, of each bound the largest."""
    check_alike(states)
    merged = dict(states[0])
    position = max(int(state[COUNTS][1]) for state in states)
    if len(states) == 1:
        return merged
    if "y" not in merged:
        return merged | {COUNTS: torch.tensor([0, position])}
    for name in merged.keys() - {*row_names(merged), COUNTS}:
        merged[name] = _agreed(name, [state[name].to(merged[name].device) for state in states], name in bounds)
    rows, floor = union(states), max(map(free_key, states))
    alive = rows["keys"] >= floor
    rows = {name: value[alive.to(value.device)] for name, value in rows.items()}
    return refilled(merged, rows, survivors(rows, merged, capacity_of(merged)), position, floor)


def _agreed(name: str, values: Sequence[Tensor], bound: bool) -> Tensor:
    if bound:
        return torch.stack([*values]).amax(0)
    for rank, value in enumerate(values):
        if not torch.equal(value, values[0]):
            raise ValueError(f"{name} of rank {rank} differs from that of rank 0")
    return values[0]


def split(state: State, rank: int, world: int, by: str = "y") -> dict[str, Tensor]:
    """The state of one rank: every ``world``-th row of each class, or of whatever the buffer ``by`` tells apart."""
    check_alike([state])
    if world == 1 or "y" not in state:
        return dict(state)
    count, position = (int(v) for v in state[COUNTS])
    chosen = state[by][:count].argsort(stable=True)[rank::world]
    return refilled(state, state, chosen, position, free_key(state))


def free_key(state: State) -> float:
    """The key that an example must exceed to take a free slot."""
    count, keys = int(state[COUNTS][0]), state["keys"]
    return float(keys[count]) if count < len(keys) else -torch.inf
