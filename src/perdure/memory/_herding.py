"""Herding: the exemplars whose mean feature is closest to that of their class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from perdure._part import Part
from perdure._records import Batch, Boundary
from perdure.functional.herding import herd
from perdure.functional.shapes import padded
from perdure.memory._memory import Memory
from perdure.memory._shards import State

BATCH = 256
SPAN = 2**32  # a key is -(pick * SPAN + position), exact in float64 up to 2^21 picks


class Herding(Memory):
    """Equally many exemplars of each class, chosen when an experience ends: greedily, so that the mean of their
    features, of length 1 and in eval mode, follows that of all examples of the class (Rebuffi et al. 2017, algorithm
    4). Nothing is written before, and ``passes`` does not matter.

    Keys fall with the number of the pick. Of a class ``capacity`` over the number of classes seen stay, rounded up, and
    ``capacity`` in all: as classes come, what was picked last goes. A class that comes again is chosen anew, its
    exemplars standing for all that they were chosen from. Where ranks share a stream, each chooses among every
    ``world``-th example of the experience's data.
    """

    needs_boundaries = True
    needs_data = True
    bounds = ("presented",)
    presented: Tensor
    """(C,) int64, among how many examples of each class it was chosen."""
    after_step = Part.after_step  # so that this phase is not overridden

    def bind(self, params: Mapping[str, Tensor], example: Batch, num_classes: int) -> None:
        """Allocate all slots and a count for each class."""
        if "features" not in example.stored:
            raise ValueError("herding compares features, and the model gives none: name a layer of it")
        super().bind(params, example, num_classes)
        self.register_buffer("presented", torch.zeros(num_classes, dtype=torch.int64))

    def grow(self, params: Mapping[str, Tensor], num_classes: int) -> None:
        """No example of the new classes yet."""
        super().grow(params, num_classes)
        self.register_buffer("presented", padded(self.presented, (num_classes,)))

    def place(self, labels: Tensor) -> Sequence[int]:
        """Refuses: which examples stay follows from all of their class together."""
        raise RuntimeError(f"{self.name} chooses when an experience ends: begin(experience) and end() it")

    def after_experience(self, boundary: Boundary) -> None:
        """Choose exemplars of the experience's classes, and drop the last picks of the others."""
        features, labels = self._features(boundary)
        rank, world = self.shard
        positions = self.position + rank + world * torch.arange(len(labels))
        self.position += len(labels) * world
        kept, y = self.count, torch.cat([self.y[: self.count].cpu(), labels])
        positions = torch.cat([(-self.keys[:kept]) % SPAN, positions % SPAN])
        keys = torch.full((len(y),), -torch.inf, dtype=torch.float64)
        quota = -(-self.capacity // int(boundary.seen.sum()))
        for label in sorted(set(y.tolist())):
            rows = (y == label).nonzero()[:, 0]
            old, new = rows[rows < kept], rows[rows >= kept] - kept
            if len(new):
                picks = rows[self._herd(boundary, old, features[new], label, quota)]
                self.presented[label] += len(new)
            else:
                picks = old[self.keys[old].argsort(descending=True)[:quota]]
            keys[picks] = -(torch.arange(len(picks)) * SPAN + positions[picks])
        order = keys.argsort(descending=True)[: min(self.capacity, int(keys.isfinite().sum()))]
        self._refill(boundary, order, keys[order])

    @staticmethod
    def survivors(rows: State, merged: dict[str, Tensor], capacity: int) -> Tensor:
        """The first picks of all classes, then the second ones, and so on, whichever rank they come from."""
        order = rows["keys"].argsort(descending=True)
        y = rows["y"].cpu()[order]
        counts, by_class = torch.bincount(y), y.argsort(stable=True)
        place = torch.empty_like(y)
        place[by_class] = torch.arange(len(y)) - (counts.cumsum(0) - counts)[y[by_class]]
        return order[place.argsort(stable=True)][:capacity]

    def _herd(self, boundary: Boundary, old: Tensor, new_ND: Tensor, label: int, quota: int) -> Tensor:
        """Which of the class's exemplars ``old`` and of its examples after them to keep, the most important first."""
        size = min(quota, len(old) + len(new_ND))
        if not len(old):
            return herd(new_ND, size).cpu()
        parts = torch.split(self.x[old.to(self.x.device)], BATCH)
        old_ND = torch.cat([_features_of(boundary, x) for x in parts])
        before = int(self.presented[label])
        mean = (before * old_ND.double().mean(0) + new_ND.double().sum(0)) / (before + len(new_ND))
        return herd(torch.cat([old_ND, new_ND]), size, mean).cpu()

    def _refill(self, boundary: Boundary, order: Tensor, keys: Tensor) -> None:
        """Have in the first slots, in that order, what was in slot ``order`` or is example ``order - count``."""
        fresh = (order >= self.count).nonzero()[:, 0]
        values = {name: self.get_buffer(name)[order.clamp(max=self.capacity - 1)] for name in self.rows}
        for number, batch in self._shares(boundary):
            rows = order[fresh] - self.count - number
            here = fresh[(rows >= 0) & (rows < len(batch))]
            if len(here):
                chosen = batch.rows((order[here] - self.count - number).to(batch.y.device))
                for name, value in self._fields(boundary, chosen).items():
                    values[name][here.to(value.device)] = value.to(values[name].dtype)
        values["keys"] = keys
        self.count = len(order)
        for name, value in values.items():
            mine = self.get_buffer(name)
            mine.zero_()
            mine[: self.count] = value
        self.keys[self.count :] = -torch.inf
        self.written[:] = self.position

    def _fields(self, boundary: Boundary, batch: Batch) -> dict[str, Tensor]:
        """What slots keep of ``batch``, by the names of buffers."""
        found = {"x": batch.x, "y": batch.y}
        if self.task is not None and batch.task is not None:
            found["task"] = batch.task
        if self.stored_fields:
            output = boundary.model(batch.x)
            found |= {f"stored_{field}": getattr(output, field) for field in self.stored_fields}
        return found

    def _features(self, boundary: Boundary) -> tuple[Tensor, Tensor]:
        """Features (N, D) of length 1, and labels, of this rank's share of the experience."""
        batches = [batch for _, batch in self._shares(boundary)]
        features = [_features_of(boundary, batch.x) for batch in batches]
        return torch.cat(features), torch.cat([batch.y.cpu() for batch in batches])

    def _shares(self, boundary: Boundary) -> Iterator[tuple[int, Batch]]:
        """This rank's share of each batch, with the number of examples before it."""
        rank, world = self.shard
        presented = given = 0
        for batch in boundary.batches(BATCH):
            first = (rank - presented) % world
            presented += len(batch)
            share = batch if world == 1 else batch.rows(torch.arange(first, len(batch), world, device=batch.y.device))
            yield given, share
            given += len(share)


def _features_of(boundary: Boundary, x: Tensor) -> Tensor:
    features = boundary.model(x).features
    assert features is not None
    return normalize(features, dim=1)
