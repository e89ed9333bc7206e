"""FeatureHead: a head fitted on features without gradients."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from perdure._part import MergedPart
from perdure._records import Batch, Boundary, Output, Step
from perdure.nn.closed_form._sums import add_states, pad


class FeatureHead(MergedPart, ABC):
    """Turns features (B, D) into scores (B, C), higher is better, and learns from each example once, without gradients.

    State is its buffers. A class has scores as soon as one example of it was learnt; new ones may come at any time.
    Whatever is computed from the buffers (a solved weight matrix) is kept in ``derived``, which is not state: it is
    emptied at every write and must come out the same, to the bit, whenever it is computed.

    To write one, declare ``targets``, ``sums`` and ``by_class`` and implement ``allocate``, ``learn`` and ``scores``;
    ``unlearn`` and ``unlearn_classes`` where it can forget exactly, else say in ``inexact`` why it cannot.
    """

    targets: tuple[str, ...] = ("classes",)
    """What it learns: ``classes`` (y (B,) int64), ``labels`` (any number an example: y (B, C) bool), ``values``
    (regression: y (B, T) in the features' dtype)."""
    inexact: ClassVar[str] = ""
    """Why forgetting would not give the weights of a learner that never saw the examples; empty where it does."""
    sums: ClassVar[tuple[str, ...]] = ("counts", "num_examples", "num_batches")
    """Buffers that add up across ranks; a class that a rank has not seen counts as zeros."""
    by_class: ClassVar[tuple[str, ...]] = ()
    """Buffers whose first axis is that of classes; they grow by zeros."""

    largest: float = math.inf
    """Features may be so large at most, where that is less than their dtype lets one square and add up."""

    counts: Tensor
    """(T, C) int64, examples of each class in each task; T = 1 where tasks are not told. For values all examples."""
    num_examples: Tensor
    """() int64, examples that the state speaks of."""
    num_batches: Tensor
    """() int64, batches learnt."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.derived: dict[str, Any] = {}

    # what a head implements

    @abstractmethod
    def allocate(self, like: Tensor, capacity: int) -> None:
        """Register buffers of zeros for ``capacity`` classes and features such as ``like`` (D,): its dtype and device,
        which may be ``meta``.
        """

    @abstractmethod
    def learn(self, features: Tensor, y: Tensor) -> None:
        """Add a batch, (B, D) and y as ``targets`` says, to the buffers. ``counts`` has it already."""

    @abstractmethod
    def scores(self, features: Tensor) -> Tensor:
        """(B, C) for features (B, D); writes no buffer. What it says of classes without examples does not matter."""

    def scores_among(self, features: Tensor, allowed: Tensor) -> Tensor:
        """As ``scores``, where only the classes ``allowed`` (1 or B, C) bool may be answered.

        For heads whose scores depend on which those are; what they say of others does not matter.
        """
        return self.scores(features)

    def probabilities(self, features: Tensor, allowed: Tensor) -> Tensor:
        """(B, C), rows sum to 1; ``allowed`` (B, C) bool says which classes may be answered. A softmax of scores."""
        return self.scores(features).masked_fill(~allowed, -torch.inf).softmax(1)

    def unlearn(self, features: Tensor, y: Tensor) -> float:
        """Take a batch out again; ``counts`` lacks it already.

        Returns the residual that was measured: how far, relative to their size, the weights may be from those of a head
        that never saw the batch.

        Raises ``ValueError`` before anything is changed if the batch cannot have been learnt.
        """
        raise NotImplementedError

    def unlearn_classes(self, classes: Sequence[int]) -> float:
        """Take all examples of ``classes`` out; otherwise as ``unlearn``."""
        raise NotImplementedError

    def finish(self) -> None:
        """The end of an experience."""

    def reserve(self, state: Mapping[str, Tensor]) -> None:
        """Give buffers of variable length the shapes that they have in ``state``, which is loaded next."""

    def adapt(self, features: Tensor, allowed: Tensor) -> Tensor:
        """(B,) the classes of features (B, D), by which the head adapts itself to where they come from.

        For heads that can do so without labels.
        """
        raise ValueError(f"{self.name} does not adapt to what it is asked: use a method that does, such as adanpc")

    def invalidate(self, *, added: bool) -> None:
        """The buffers were written, merely by ``learn`` if ``added``: forget what was derived from them."""
        self.derived.clear()

    # what the learner calls

    @property
    def width(self) -> int:
        """Numbers in the features of one example."""
        return self._width

    @property
    def capacity(self) -> int:
        """Classes that there is room for; outputs, where values are learnt."""
        return self.counts.shape[1]

    @property
    def num_bytes(self) -> int:
        """Bytes that the state takes."""
        return sum(buffer.numel() * buffer.element_size() for buffer in self.buffers())

    def open(self, like: Tensor, capacity: int, num_tasks: int = 1) -> None:
        """Make room for features such as ``like`` (D,)."""
        self._width, self._like = like.shape[0], torch.empty_like(like)
        self.register_buffer("counts", torch.zeros(num_tasks, capacity, dtype=torch.int64, device=like.device))
        self.register_buffer("num_examples", torch.zeros((), dtype=torch.int64, device=like.device))
        self.register_buffer("num_batches", torch.zeros((), dtype=torch.int64, device=like.device))
        self.allocate(like, capacity)

    def widen(self, capacity: int, num_tasks: int = 1) -> None:
        """Make room for more classes and tasks."""
        self.counts = pad(pad(self.counts, capacity, 1), num_tasks, 0)
        for name in self.by_class:
            setattr(self, name, pad(self.get_buffer(name), capacity))
        self.invalidate(added=False)

    def observe(self, features: Tensor, y: Tensor, task: Tensor | None = None) -> None:
        """Count a batch and learn it."""
        self._count(y, task, 1)
        self.num_batches.add_(1)  # in place: += would go through nn.Module's assignment
        self.learn(features, y)
        self.invalidate(added=True)

    def remove(self, features: Tensor, y: Tensor, task: Tensor | None = None) -> float:
        """Uncount a batch and unlearn it; ``ValueError``, before anything is changed, if it cannot have been learnt."""
        before = self.counts.clone(), self.num_examples.clone()
        self._count(y, task, -1)
        try:
            if int(self.counts.min()) < 0 or int(self.num_examples) < 0:
                raise ValueError("more examples of a class are to be forgotten than were learnt: check the labels")
            residual = self.unlearn(features, y)
        except BaseException:
            self.counts.copy_(before[0])
            self.num_examples.copy_(before[1])
            raise
        return self._removed(residual)

    def remove_classes(self, classes: Sequence[int]) -> float:
        """Forget ``classes`` whole."""
        residual = self.unlearn_classes(classes)
        self.num_examples.sub_(self.counts[:, list(classes)].sum())
        self.counts[:, list(classes)] = 0
        return self._removed(residual)

    def _removed(self, residual: float) -> float:
        """Of what no example is left nothing is left, not even what rounding would leave."""
        empty = self.counts.sum(0) == 0
        for name in self.by_class:
            buffer = self.get_buffer(name)
            buffer[empty[: len(buffer)]] = 0
        nothing = not int(self.num_examples)
        if nothing:
            self.allocate(self._like, self.capacity)
        self.invalidate(added=False)
        return 0.0 if nothing else residual

    def _count(self, y: Tensor, task: Tensor | None, sign: int) -> None:
        """Add ``sign`` for each example."""
        self.num_examples.add_(sign * len(y))
        if y.dim() == 1:
            cells = y if task is None else task * self.capacity + y
            self.counts.view(-1).index_add_(0, cells, torch.full_like(y, sign))
        elif y.dtype == torch.bool:
            self.counts[0, : y.shape[1]].add_(sign * y.sum(0))
        else:
            self.counts[0].add_(sign * len(y))

    # as a part of a learner that trains by gradients

    def bind(self, params: Mapping[str, Tensor], example: Batch, num_classes: int) -> None:
        """Make room for features such as those of ``example``."""
        if "features" not in example.stored:
            raise ValueError(f"{self.name} learns features, and the model gives none: name a layer of it")
        self.open(example.stored["features"][0], num_classes)

    def grow(self, params: Mapping[str, Tensor], num_classes: int) -> None:
        """Make room for more classes."""
        self.widen(num_classes)

    def after_step(self, step: Step) -> None:
        """Learn the features of the current batch, if it is new. They should come out of a frozen backbone: what was
        learnt of others does not follow it.
        """
        current = step.segments["current"]
        if step.first_pass:
            assert current.output.features is not None
            self.observe(current.output.features.detach(), current.batch.y)

    def after_experience(self, boundary: Boundary) -> None:
        """The end of an experience."""
        self.finish()

    def answer(self, output: Output) -> Tensor:
        """Its scores, in place of the model's own."""
        assert output.features is not None
        return self.scores(output.features)

    # several processes

    def merge(self, states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The state of one head that saw what all ranks saw."""
        return add_states(states, self.sums)

    def split(self, state: Mapping[str, Any], rank: int, world: int) -> dict[str, Any]:
        """What rank ``rank`` goes on from: sums stay with rank 0."""
        return {name: torch.zeros_like(v) if rank and name in self.sums else v for name, v in state.items()}

    _width: int = 0
    _like: Tensor
