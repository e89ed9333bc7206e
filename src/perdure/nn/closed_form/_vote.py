"""The vote of the nearest rows of a store."""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from perdure.functional.neighbours import Found, Gallery, halves, neighbours
from perdure.nn.closed_form._store import Kept, Store

Answer = Callable[[Tensor, Iterator[Found]], Tensor]
Nearest = Callable[[Tensor, Tensor | None], Iterator[Found]]
TIE = 1e-6  # of a vote: what the nearness of neighbours counts where votes are equal


class NeighbourVote(Store, ABC):
    """The ``k`` nearest rows vote, by ``metric="cosine"`` or ``"euclidean"``.

    With ``weights="uniform"`` all alike, with ``"softmax"`` by ``exp(similarity / temperature)``, where the similarity
    is the cosine, or minus the squared distance.

    Rows as near as the k-th share what is left of the k votes, so answers do not depend on the order of rows. Classes
    with equal votes are told apart by the nearness of their neighbours. For labels the answer is the share of the
    neighbours that have each; for values, their weighted mean.
    """

    def __init__(
        self,
        k: int = 10,
        metric: Literal["cosine", "euclidean"] = "cosine",
        weights: Literal["softmax", "uniform"] = "softmax",
        temperature: float = 0.1,
        store: Kept = "float32",
        name: str | None = None,
    ) -> None:
        super().__init__(store, name)
        if k < 1:
            raise ValueError(f"k={k}: give the number of neighbours that vote, 1 or more")
        if metric not in ("cosine", "euclidean"):
            raise ValueError(f'metric={metric!r}: give "cosine" or "euclidean"')
        if weights not in ("softmax", "uniform"):
            raise ValueError(f'weights={weights!r}: give "softmax" or "uniform"')
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}: give a positive number, such as 0.1")
        self.k, self.metric, self.weighting, self.temperature = k, metric, weights, temperature
        self._halves: Tensor | None = None
        squared = torch.finfo(torch.promote_types(self.store, torch.float32)).max ** 0.4
        self.largest = math.inf if metric == "cosine" else min(self.largest, squared)

    def kept(self, features: Tensor) -> Tensor:
        """Of length 1 where angles are compared."""
        return super().kept(normalize(features, dim=1) if self.metric == "cosine" else features)

    def scores(self, features: Tensor) -> Tensor:
        """The share of votes of each class; of values the weighted mean."""
        return self.vote(features, self.nearest(self.kept(features)))

    def scores_among(self, features: Tensor, allowed: Tensor) -> Tensor:
        """The vote of the nearest of the classes that may be answered."""
        return self.among(features, allowed, self.vote, self.nearest)

    def probabilities(self, features: Tensor, allowed: Tensor) -> Tensor:
        """Shares of the votes."""
        return self.among(features, allowed, self.vote_shares, self.nearest)

    def among(self, features: Tensor, allowed: Tensor, answer: Answer, nearest: Nearest) -> Tensor:
        """(B, C): ``answer`` of the neighbours of features (B, D) that ``nearest`` finds among the rows of ``allowed``
        classes (1 or B, C).
        """
        known = self.counts.sum(0) > 0
        queries = self.kept(features)
        if bool((allowed | ~known).all()):
            return answer(features, nearest(queries, None))
        out = features.new_zeros(len(features), self.capacity)
        kinds, which = torch.unique((allowed & known).expand(len(features), -1), dim=0, return_inverse=True)
        for kind, mask in enumerate(kinds):
            some = which == kind
            if bool(mask.any()):
                out[some] = answer(features[some], nearest(queries[some], mask[self.labels]))
        return out

    def similarity(self, distance: Tensor) -> Tensor:
        """Cosines, or minus squared distances, from squared distances."""
        return 1 - distance / 2 if self.metric == "cosine" else -distance

    def gallery(self, penalty: Tensor | None = None, among: Tensor | None = None) -> Gallery:
        """What is searched; ``penalty`` (N,) is subtracted from the similarity of each row."""
        scaled = 2 * penalty if penalty is not None and self.metric == "cosine" else penalty
        return Gallery(self.rows, self._cached_halves(), scaled, among)

    def nearest(self, queries: Tensor, among: Tensor | None = None) -> Iterator[Found]:
        """The neighbours of queries as ``kept`` gives them."""
        return neighbours(queries, self.gallery(among=among), self.k)

    def vote(self, features: Tensor, found: Iterator[Found]) -> Tensor:
        """(B, C) for features (B, D), whose neighbours are ``found``."""
        out = features.new_zeros(len(features), self.capacity, dtype=torch.float64)
        for some in found:
            out[some.queries] = self._votes(some, self.weighting)
            if self.weighting == "uniform" and self.labels.dim() == 1:
                out[some.queries] += TIE * self._votes(some, "softmax")
        return out.to(features.dtype)

    def vote_shares(self, features: Tensor, found: Iterator[Found]) -> Tensor:
        """As ``vote``, shares alone: equal votes stay equal."""
        out = features.new_zeros(len(features), self.capacity, dtype=torch.float64)
        for some in found:
            out[some.queries] = self._votes(some, self.weighting)
        return out.to(features.dtype)

    def invalidate(self, *, added: bool) -> None:
        """What was derived from rows that are still there stays."""
        super().invalidate(added=added)
        if not added:
            self._halves = None

    def _votes(self, found: Found, weights: str) -> Tensor:
        """(Q, C) float64; for classes rows add up to 1."""
        weight = found.share
        if weights == "softmax":
            nearness = self.similarity(found.distance)
            weight = weight * ((nearness - nearness[:, :1]) / self.temperature).exp()
        weight = weight / weight.sum(1, keepdim=True)
        labels = self.labels[found.rows]
        if labels.dim() == 3:
            return (weight[:, None] @ labels.double())[:, 0]
        return weight.new_zeros(len(weight), self.capacity).scatter_add_(1, labels, weight)

    def _cached_halves(self) -> Tensor | None:
        """As ``Gallery.halves``, computed once for each row."""
        if self.metric == "cosine":
            return None
        done = 0 if self._halves is None else len(self._halves)
        if self._halves is None or done < len(self.rows):
            more = halves(self.rows[done:])
            self._halves = more if self._halves is None else torch.cat([self._halves, more])
        return self._halves
