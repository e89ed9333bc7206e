"""A linear classifier of the newest classes' features and of old classes' features that are made up from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from perdure.nn.closed_form._head import FeatureHead
from perdure.nn.closed_form._sums import only_learnt
from perdure.nn.closed_form._svc import fit_svc


class TranslationHead(FeatureHead):
    """Features of the current experience, and for a class of the past those of the nearest current class moved to its
    mean: on both a linear support vector classifier is fitted when an answer is wanted (Petit et al. 2023).

    Kept are the mean of every class and the newest features of the current experience, up to ``window`` of them. Where
    experiences are not told, the current classes are those of the last ``window`` examples. ``cost`` is that of an
    example on the wrong side.
    """

    inexact: ClassVar[str] = (
        "features of past experiences are gone, and made up from those of classes that came later: use ridge to forget"
    )
    sums: ClassVar[tuple[str, ...]] = (*FeatureHead.sums, "totals")
    by_class: ClassVar[tuple[str, ...]] = ("totals",)
    keeps = (("", "statistics"), ("recent", "features"))
    totals: Tensor
    """(C, D), the sum of the features of each class."""
    recent: Tensor
    """(N, D), the newest features of the current experience, oldest first."""
    recent_y: Tensor
    """(N,) int64, their classes."""
    closed: Tensor
    """() bool, whether their experience is over: the next example starts anew."""

    def __init__(self, cost: float = 1.0, window: int = 10_000, name: str | None = None) -> None:
        super().__init__(name)
        if not cost > 0 or window < 1:
            raise ValueError(f"cost={cost}, window={window}: give positive numbers, such as 1.0 and 10000")
        self.cost, self.window = cost, window

    def allocate(self, like: Tensor, capacity: int) -> None:
        """A total for each class, no features."""
        self.register_buffer("totals", like.new_zeros(capacity, len(like)))
        self.register_buffer("recent", like.new_zeros(0, len(like)))
        self.register_buffer("recent_y", torch.zeros(0, dtype=torch.int64, device=like.device))
        self.register_buffer("closed", torch.zeros((), dtype=torch.bool, device=like.device))

    def reserve(self, state: Mapping[str, Tensor]) -> None:
        """Room for as many features."""
        rows = len(state["recent_y"])
        self.recent = self.recent.new_zeros(rows, *self.recent.shape[1:])
        self.recent_y = self.recent_y.new_zeros(rows)

    def learn(self, features: Tensor, y: Tensor) -> None:
        """Add to the totals, keep the newest."""
        self.totals.index_add_(0, y, features)
        old = slice(len(self.recent) if bool(self.closed) else max(0, len(self.recent) + len(y) - self.window), None)
        self.recent = torch.cat([self.recent[old], features])[-self.window :]
        self.recent_y = torch.cat([self.recent_y[old], y])[-self.window :]
        self.closed.fill_(False)

    def finish(self) -> None:
        """Features are of the past from the next example on."""
        self.closed.fill_(True)

    @property
    def means(self) -> Tensor:
        """(C, D); zeros for classes without examples."""
        return self.totals / self.counts.sum(0).clamp(min=1)[:, None]

    def training_set(self) -> tuple[Tensor, Tensor]:
        """Features and classes that the classifier is fitted on: what is kept, then what is made up."""
        current = torch.unique(self.recent_y)
        past = (self.counts.sum(0) > 0).index_fill(0, current, False).nonzero()[:, 0]
        found = [(self.recent, self.recent_y)]
        if len(past):
            means = self.means
            nearest = current[(normalize(means[past], dim=1) @ normalize(means[current], dim=1).T).argmax(1)]
            for c, donor in zip(past.tolist(), nearest.tolist(), strict=True):
                rows = self.recent[self.recent_y == donor]
                found.append((rows - rows.mean(0) + means[c], self.recent_y.new_full((len(rows),), c)))
        return torch.cat([x for x, _ in found]), torch.cat([y for _, y in found])

    def scores(self, features: Tensor) -> Tensor:
        """How far on the side of each class, of features scaled to length 1."""
        if "weight" not in self.derived:
            x, y = self.training_set()
            self.derived["weight"] = fit_svc(normalize(x, dim=1), y, self.capacity, self.cost)
        weight: Tensor = self.derived["weight"]
        return normalize(features, dim=1) @ weight[:, :-1].T + weight[:, -1]

    def merge(self, states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The state of the one rank that has learnt: whose features are the newest is not known of several."""
        return only_learnt(states, "but the newest features are those of one: let one learn all, or use ridge")
