"""Reservoir: a uniform sample of everything presented so far."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Literal

import numpy as np
from torch import Tensor

from perdure.memory._memory import KEY_BLOCK, Memory


class Reservoir(Memory):
    """Every example presented so far is kept with the same probability (Vitter 1985), here by the largest random keys.

    Since keys depend on positions alone, the slots of thousands of coming examples are planned at once.

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
        start, size = self.position - self._plan_start, labels.shape[0]
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
        keys = self._keys(position, position + size)
        plan = np.full(size, -1, dtype=np.int64)
        free = min(self.capacity - len(heap), size)
        for row in range(free):
            plan[row] = len(heap)
            heapq.heappush(heap, (float(keys[row]), len(heap)))
        for row in map(int, np.flatnonzero(keys > heap[0][0])):
            if row >= free and keys[row] > heap[0][0]:
                plan[row] = heap[0][1]
                heapq.heapreplace(heap, (float(keys[row]), heap[0][1]))
        self._plan, self._plan_keys, self._plan_start = plan, keys, position

    def set_extra_state(self, state: Tensor) -> None:
        """Counterpart of ``get_extra_state``; the plan is made anew."""
        super().set_extra_state(state)
        self._forget_plan()
