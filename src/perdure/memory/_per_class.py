"""Memories that share their slots fairly between classes: at random, or newest first."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from perdure._records import Batch
from perdure.memory._memory import Memory
from perdure.memory._shards import State


class _PerClass(Memory):
    """All slots are used; once they are full, whoever has most gives way, so that classes end up within one exemplar of
    each other.

    Within a class the largest keys stay. ``dropped`` (C,) remembers the largest key each class has lost: nothing below
    it may enter, which is what makes the kept ones exactly the largest and not the largest of late.
    """

    dropped: Tensor
    bounds = ("dropped",)

    def __init__(self, capacity: int, *, passes: Literal["first", "all"] = "first", name: str | None = None) -> None:
        super().__init__(capacity, passes=passes, name=name)
        self._heaps: dict[int, list[tuple[float, int]]] | None = None

    def bind(self, params: Mapping[str, Tensor], example: Batch, num_classes: int) -> None:
        """Allocate all slots and one bound a class."""
        super().bind(params, example, num_classes)
        self.register_buffer("dropped", torch.full((num_classes,), -torch.inf, dtype=torch.float64))

    def grow(self, params: Mapping[str, Tensor], num_classes: int) -> None:
        """More classes, more bounds."""
        super().grow(params, num_classes)
        extra = torch.full((num_classes - len(self.dropped),), -torch.inf, dtype=torch.float64)
        self.register_buffer("dropped", torch.cat([self.dropped, extra]))

    def _positions(self, start: int, stop: int) -> Sequence[float]:
        """The keys of this rank's share of the stream positions ``start`` to ``stop``."""
        raise NotImplementedError

    def place(self, labels: Tensor) -> Sequence[int]:
        if self._heaps is None:
            self._heaps = self._sort()
        keys = self._positions(self.position, self.position + labels.shape[0] * self.shard[1])
        slots = [self._place_one(label, key) for label, key in zip(labels.tolist(), keys, strict=True)]
        for slot, key in zip(slots, keys, strict=True):
            if slot >= 0:
                self.keys[slot] = key
        return slots

    def _place_one(self, label: int, key: float) -> int:
        assert self._heaps is not None
        mine = self._heaps.setdefault(label, [])
        if key <= self.dropped[label].item():
            return -1
        if self.count < self.capacity:
            slot = self.count
            self.count += 1
            heapq.heappush(mine, (key, slot))
            return slot
        most = max(len(heap) for heap in self._heaps.values())
        victim = label if len(mine) == most else min(k for k, heap in self._heaps.items() if len(heap) == most)
        if victim == label and key < mine[0][0]:
            self.dropped[label] = key
            return -1
        lost, slot = heapq.heappop(self._heaps[victim])
        if lost > self.dropped[victim].item():  # not so if it took a slot left over by a merge
            self.dropped[victim] = lost
        heapq.heappush(mine, (key, slot))
        return slot

    def _sort(self) -> dict[int, list[tuple[float, int]]]:
        heaps: dict[int, list[tuple[float, int]]] = {}
        for slot, (label, key) in enumerate(
            zip(self.y[: self.count].tolist(), self.keys[: self.count].tolist(), strict=True)
        ):
            heaps.setdefault(label, []).append((key, slot))
        for heap in heaps.values():
            heapq.heapify(heap)
        return heaps

    @staticmethod
    def survivors(rows: State, merged: dict[str, Tensor], capacity: int) -> Tensor:
        """What lies above its class's bound on every rank, and where slots are left the largest of the others; then
        whoever has most gives way, as in ``place``.
        """
        keys, labels, dropped = rows["keys"], rows["y"].cpu(), merged["dropped"]
        order = keys.argsort(descending=True)
        above = keys[order] > dropped[labels[order]]
        order = torch.cat([order[above], order[~above][: max(0, capacity - int(above.sum()))]])
        members = {label: order[labels[order] == label].tolist() for label in set(labels[order].tolist())}
        largest_first = [(-len(mine), label) for label, mine in members.items()]
        heapq.heapify(largest_first)
        for _ in range(len(order) - capacity):
            _, label = largest_first[0]
            dropped[label] = keys[members[label].pop()]
            heapq.heapreplace(largest_first, (-len(members[label]), label))
        kept = torch.tensor([row for mine in members.values() for row in mine], dtype=torch.int64)
        return kept[keys[kept].argsort(descending=True)]

    def set_extra_state(self, state: Tensor) -> None:
        """Counterpart of ``get_extra_state``; the order within classes is made anew."""
        super().set_extra_state(state)
        self._heaps = None


class ClassBalanced(_PerClass):
    """Equally many exemplars of each class, each a uniform sample of its class.

    After GDumb's greedy sampler (Prabhu et al. 2020), which keeps the early examples of a class instead.
    """

    def _positions(self, start: int, stop: int) -> Sequence[float]:
        keys: list[float] = self._keys(start, stop).tolist()
        return keys


class Ring(_PerClass):
    """The newest exemplars of each class, equally many.

    Source: Lopez-Paz and Ranzato 2017; the ring buffer of Chaudhry et al. 2019.
    """

    def _positions(self, start: int, stop: int) -> Sequence[float]:
        rank, world = self.shard
        return [float(position) for position in range(start + rank, stop, world)]
