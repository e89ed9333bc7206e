"""Slots shared fairly between groups of examples, such as classes or experiences."""

from __future__ import annotations

import heapq
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from perdure.memory._memory import Memory
from perdure.memory._shards import State, split


class PerGroup(Memory):
    """All slots are used; once they are full, whoever has most gives way, so that groups end up within one exemplar of
    each other.

    Within a group the largest keys stay: random ones, or with ``newest`` positions in the stream. ``dropped`` (G,)
    remembers the largest key each group has lost: nothing below it may enter, which is what makes the kept ones exactly
    the largest and not the largest of late.
    """

    dropped: Tensor
    bounds = ("dropped",)
    group_row: ClassVar[str] = "y"
    """The buffer that says to which group each slot's exemplar belongs."""
    newest: bool = False
    """Whether the last examples of a group stay, in place of a uniform sample."""

    def __init__(self, capacity: int, *, passes: Literal["first", "all"] = "first", name: str | None = None) -> None:
        super().__init__(capacity, passes=passes, name=name)
        self._heaps: dict[int, list[tuple[float, int]]] | None = None

    @abstractmethod
    def groups(self, labels: Tensor) -> list[int]:
        """The group of each presented example."""

    def place(self, labels: Tensor) -> Sequence[int]:
        if self._heaps is None:
            self._heaps = self._sort()
        keys = self._keys_in_group(self.position, self.position + labels.shape[0] * self.shard[1])
        slots = [self._place_one(group, key) for group, key in zip(self.groups(labels), keys, strict=True)]
        for slot, key in zip(slots, keys, strict=True):
            if slot >= 0:
                self.keys[slot] = key
        return slots

    def _keys_in_group(self, start: int, stop: int) -> list[float]:
        """Of this rank's share of the stream positions ``start`` to ``stop``."""
        rank, world = self.shard
        if self.newest:
            return [float(position) for position in range(start + rank, stop, world)]
        keys: list[float] = self._keys(start, stop).tolist()
        return keys

    def _place_one(self, group: int, key: float) -> int:
        assert self._heaps is not None
        mine = self._heaps.setdefault(group, [])
        if key <= self.dropped[group].item():
            return -1
        if self.count < self.capacity:
            slot = self.count
            self.count += 1
            heapq.heappush(mine, (key, slot))
            return slot
        most = max(len(heap) for heap in self._heaps.values())
        victim = group if len(mine) == most else min(k for k, heap in self._heaps.items() if len(heap) == most)
        if victim == group and key < mine[0][0]:
            self.dropped[group] = key
            return -1
        lost, slot = heapq.heappop(self._heaps[victim])
        if lost > self.dropped[victim].item():  # not so if it took a slot left over by a merge
            self.dropped[victim] = lost
        heapq.heappush(mine, (key, slot))
        return slot

    def _sort(self) -> dict[int, list[tuple[float, int]]]:
        heaps: dict[int, list[tuple[float, int]]] = {}
        groups = self.get_buffer(self.group_row)[: self.count].tolist()
        for slot, (group, key) in enumerate(zip(groups, self.keys[: self.count].tolist(), strict=True)):
            heaps.setdefault(group, []).append((key, slot))
        for heap in heaps.values():
            heapq.heapify(heap)
        return heaps

    @classmethod
    def survivors(cls, rows: State, merged: dict[str, Tensor], capacity: int) -> Tensor:
        """What lies above its group's bound on every rank, and where slots are left the largest of the others; then
        whoever has most gives way, as in ``place``.
        """
        keys, groups, dropped = rows["keys"], rows[cls.group_row].cpu(), merged["dropped"]
        order = keys.argsort(descending=True)
        above = keys[order] > dropped[groups[order]]
        order = torch.cat([order[above], order[~above][: max(0, capacity - int(above.sum()))]])
        members = {group: order[groups[order] == group].tolist() for group in set(groups[order].tolist())}
        largest_first = [(-len(mine), group) for group, mine in members.items()]
        heapq.heapify(largest_first)
        for _ in range(len(order) - capacity):
            _, group = largest_first[0]
            dropped[group] = keys[members[group].pop()]
            heapq.heapreplace(largest_first, (-len(members[group]), group))
        kept = torch.tensor([row for mine in members.values() for row in mine], dtype=torch.int64)
        return kept[keys[kept].argsort(descending=True)]

    @classmethod
    def split(cls, state: State, rank: int, world: int) -> dict[str, Tensor]:
        """The share of one of ``world`` ranks: every ``world``-th exemplar of each group."""
        return split(state, rank, world, cls.group_row)

    def set_extra_state(self, state: Tensor) -> None:
        """Counterpart of ``get_extra_state``; the order within groups is made anew."""
        super().set_extra_state(state)
        self._heaps = None
