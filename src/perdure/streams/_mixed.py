"""Several data joined that can only be read from beginning to end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from perdure._records import Batch, Data, join_batches


class MixedData:
    """Several data put end to end and shuffled as one, each read once and in batches: none needs random access.

    How many examples of a batch come from which part is drawn as in a shuffle of all of them; within its part, an
    example comes in the order of that part's own shuffle. Parts must agree in the shape and dtype of x.
    """

    def __init__(self, parts: Sequence[Data]) -> None:
        if not parts:
            raise ValueError("nothing to join: give at least one part")
        self._parts = tuple(parts)

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    def batches(self, size: int, generator: torch.Generator | None = None) -> Iterator[Batch]:
        """Each example once, ``size`` at a time: part after part in stored order, or shuffled by ``generator``."""
        if size < 1:
            raise ValueError(f"batch size {size}: give at least 1")
        orders: list[torch.Generator | None] = [None] * len(self._parts)
        shuffle = None
        if generator is not None:
            seeds = torch.randint(2**62, (len(self._parts) + 1,), generator=generator).tolist()
            shuffle = np.random.default_rng(seeds.pop())
            orders = [torch.Generator().manual_seed(seed) for seed in seeds]
        readers = [_Reader(part.batches(size, order)) for part, order in zip(self._parts, orders, strict=True)]
        return self._mix(readers, size, shuffle)

    def _mix(self, readers: list[_Reader], size: int, shuffle: np.random.Generator | None) -> Iterator[Batch]:
        left = np.array([len(part) for part in self._parts])
        while total := int(left.sum()):
            wanted = min(size, total)
            if shuffle is None:
                before = left.cumsum() - left
                counts = np.clip(wanted - before, 0, left)
            else:
                counts = shuffle.multivariate_hypergeometric(left, wanted)
            left = left - counts
            taken = [
                batch for reader, count in zip(readers, counts.tolist(), strict=True) for batch in reader.take(count)
            ]
            yield taken[0] if len(taken) == 1 else join_batches(taken)


class _Reader:
    """Batches of any size from an iterator of batches."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches
        self._rest: Batch | None = None

    def take(self, count: int) -> Iterator[Batch]:
        """The next ``count`` examples, in one batch or several."""
        while count:
            batch = next(self._batches) if self._rest is None else self._rest
            self._rest = None
            if len(batch) > count:
                batch, self._rest = batch.rows(torch.arange(count)), batch.rows(torch.arange(count, len(batch)))
            count -= len(batch)
            yield batch
