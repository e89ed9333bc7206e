"""Several data joined that can only be read from beginning to end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from perdure._records import Batch, Data, join_batches
from perdure.streams._data import check_pass

Counts = npt.NDArray[np.int64]


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

    def batches(self, size: int, generator: torch.Generator | None = None, start: int = 0) -> Iterator[Batch]:
        """Each example once, ``size`` at a time: part after part in stored order, or shuffled by ``generator``.

        The first ``start`` batches are left out, of each part what it would have given to them.
        """
        check_pass(size, start)
        orders: list[torch.Generator | None] = [None] * len(self._parts)
        shuffle = None
        if generator is not None:
            seeds = torch.randint(2**62, (len(self._parts) + 1,), generator=generator).tolist()
            shuffle = np.random.default_rng(seeds.pop())
            orders = [torch.Generator().manual_seed(seed) for seed in seeds]
        shares = self._shares(size, shuffle)
        gone = np.zeros(len(self._parts), np.int64)
        for share in itertools.islice(shares, start):
            gone += share
        readers = [_Reader(*each, size) for each in zip(self._parts, orders, gone.tolist(), strict=True)]
        return _mix(readers, shares)

    def _shares(self, size: int, shuffle: np.random.Generator | None) -> Iterator[Counts]:
        """How many examples each batch takes from each part."""
        left = np.array([len(part) for part in self._parts])
        while total := int(left.sum()):
            wanted = min(size, total)
            if shuffle is None:
                before = left.cumsum() - left
                counts = np.clip(wanted - before, 0, left)
            else:
                counts = shuffle.multivariate_hypergeometric(left, wanted)
            left = left - counts
            yield counts


class _Reader:
    """The examples of ``data`` after the first ``gone`` ones, in batches of any size."""

    def __init__(self, data: Data, order: torch.Generator | None, gone: int, size: int) -> None:
        self._batches = data.batches(size, order, gone // size)
        self._rest: Batch | None = None
        self._late = gone % size

    def take(self, count: int) -> Iterator[Batch]:
        """The next ``count`` examples, in one batch or several."""
        if count and self._late:
            first = next(self._batches)
            self._rest, self._late = first.rows(torch.arange(self._late, len(first))), 0
        while count:
            batch = next(self._batches) if self._rest is None else self._rest
            self._rest = None
            if len(batch) > count:
                batch, self._rest = batch.rows(torch.arange(count)), batch.rows(torch.arange(count, len(batch)))
            count -= len(batch)
            yield batch


def _mix(readers: list[_Reader], shares: Iterator[Counts]) -> Iterator[Batch]:
    for counts in shares:
        taken = [batch for reader, count in zip(readers, counts.tolist(), strict=True) for batch in reader.take(count)]
        yield taken[0] if len(taken) == 1 else join_batches(taken)
