"""Reservoir: a uniform sample of everything presented so far."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Literal

import numpy as np
from torch import Tensor

from perdure.memory._memory import KEY_BLOCK, Memory
from perdure.memory._shards import COUNTS, State


class Reservoir(Memory):
    """Every example presented so far is kept with the same probability (Vitter 1985), here by the largest random keys.

    Since keys depend on positions alone, the slots of thousands of coming examples are planned at once. Free slots may
    have a key too, the least that may enter: a rank's share of a full memory has room, but must not prefer what comes.

    >>> memory = Reservoir(200)
    >>> memory.capacity, len(memory)
    (200, 0)
    """

    def __init__(self, capacity: int, *, passes: Literal["first", "all"] = "first", name: str | None = None) -> None:
        super().__init__(capacity, passes=passes, name=name)
        self._forget_plan()

    def _forget_plan(self) -> None:
        self._plan = np.empty(0, dtype=np.int64)
        self._plan_keys = np.empty(0)
        self._plan_start = 0

    def place(self, labels: Tensor) -> Sequence[int]:
        start, size = (self.position - self._plan_start) // self.shard[1], labels.shape[0]
        if start + size > len(self._plan):
            self._extend(self.position, max(size, KEY_BLOCK))
            start = 0
        slots = self._plan[start : start + size]
        rows = np.flatnonzero(slots >= 0)
        if not len(rows):
            return ()
        self.count = max(self.count, int(slots.max()) + 1)
        self.keys.numpy()[slots[rows]] = self._plan_keys[start : start + size][rows]  # the last key of a slot stays
        return slots.tolist()  # type: ignore[no-any-return]

    def _extend(self, position: int, size: int) -> None:
        """Plan the slots of the ``size`` examples from ``position`` on, given what is kept now."""
        kept = self.keys[: self.count].tolist()
        heap = [(key, slot) for slot, key in enumerate(kept)]
        heapq.heapify(heap)
        keys = self._keys(position, position + size * self.shard[1])
        plan = np.full(size, -1, dtype=np.int64)
        least = heap[0][0] if len(heap) == self.capacity else float(self.keys[len(heap)])
        for row in map(int, np.flatnonzero(keys > least)):
            if len(heap) < self.capacity:
                plan[row] = len(heap)
                heapq.heappush(heap, (float(keys[row]), len(heap)))
            elif keys[row] > heap[0][0]:
                plan[row] = heap[0][1]
                heapq.heapreplace(heap, (float(keys[row]), heap[0][1]))
        self._plan, self._plan_keys, self._plan_start = plan, keys, position

    @classmethod
    def split(cls, state: State, rank: int, world: int) -> dict[str, Tensor]:
        """A share of a full memory asks for keys beyond the least of the whole."""
        share = super().split(state, rank, world)
        count = int(share[COUNTS][0])
        if world > 1 and count < int(state[COUNTS][0]) == len(state["keys"]):
            share["keys"][count:] = state["keys"].min()
        return share

    def set_extra_state(self, state: Tensor) -> None:
        """Counterpart of ``get_extra_state``; the plan is made anew."""
        super().set_extra_state(state)
        self._forget_plan()
