"""Classifier alignment: a linear head trained on features drawn from the Gaussian of each class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from perdure._random import generator
from perdure.functional.alignment import train_linear
from perdure.functional.covariance import lower_factor
from perdure.functional.gaussian import Moments
from perdure.functional.triangle import Triangle
from perdure.nn.closed_form._moments import MomentsHead

BATCH = 256
ROUND = 32  # drawn of each class at a time: memory for so many features a class
JITTER = 1e-4  # times the mean variance of a feature


class AlignedLinear(MomentsHead):
    """Weights trained on features drawn from the mean and covariance of each class, as many of each (Zhang et al. 2023,
    SLCA).

    They are trained when scores are asked, from nearest-mean weights on: a function of the statistics and the seed, not
    of what was trained before. The draws of a class are addressed by its label, so that they stay when others go.
    """

    def __init__(
        self,
        *,
        temperature: float = 0.1,
        epochs: int = 5,
        samples: int = 256,
        lr: float = 0.01,
        name: str | None = None,
    ) -> None:
        super().__init__(per_class=True, name=name)
        for what, value in (("temperature", temperature), ("epochs", epochs), ("samples", samples), ("lr", lr)):
            if not value > 0:
                raise ValueError(f"{what}={value}: give a number above 0")
        self.temperature, self.epochs, self.samples, self.lr = temperature, epochs, samples, lr

    def scores(self, features: Tensor) -> Tensor:
        """Logits."""
        if "weights" not in self.derived:
            self.derived["weights"] = self._train(self.moments())
        weight, bias, centre = self.derived["weights"]
        return torch.addmm(bias, features - centre, weight.T)

    def probabilities(self, features: Tensor, allowed: Tensor) -> Tensor:
        """As in training: logits of one length."""
        logits = self.scores(features)
        length = logits.masked_fill(~allowed, 0).norm(dim=1, keepdim=True).clamp(min=torch.finfo(logits.dtype).tiny)
        unit: Tensor = (logits / (self.temperature * length)).masked_fill(~allowed, -torch.inf)
        return unit.softmax(1)

    def fitted(self, moments: Moments, classes: Sequence[int]) -> Tensor:
        """All weights: every class is trained against every other."""
        weight, bias, _ = self._train(moments)
        return torch.cat([weight, bias[:, None]], 1)

    def _train(self, moments: Moments) -> tuple[Tensor, Tensor, Tensor]:
        """Weights (C, D), biases (C,) and the centre (D,) from which features are measured."""
        seen = moments.counts.nonzero()[:, 0]
        means = moments.means[seen]
        centre = means.mean(0)
        factors = [self._factor(moments, label) for label in seen.tolist()]
        within = torch.stack([lower.square().sum() for lower in factors]).mean()
        scale = ((within + (means - centre).square().sum(1).mean()) / self.width).sqrt()
        scale = torch.where(scale > 0, scale, 1)  # features of unit variance, whatever they were: one rate for all
        means = (means - centre) / scale
        one = means.new_ones(len(means), 1)
        trained = train_linear(
            torch.cat([normalize(means, dim=1), 0 * one], 1),
            (self._drawn(seen, means, factors, scale, epoch) for epoch in range(self.epochs)),
            num_epochs=self.epochs,
            lr=self.lr,
            temperature=self.temperature,
        )
        weight, bias = torch.zeros_like(moments.totals), torch.zeros_like(moments.totals[:, 0])
        weight[seen], bias[seen] = trained[:, :-1] / scale, trained[:, -1]
        return weight, bias, centre

    def _factor(self, moments: Moments, label: int) -> Tensor:
        """L with L L^T = covariance; zeros for a class of one example."""
        covariance = Triangle(self.width).unpack(moments.scatter[label]) / max(int(moments.counts[label]) - 1, 1)
        variance = covariance.diagonal().mean()
        if not float(variance) > 0:
            return torch.zeros_like(covariance)
        covariance.diagonal().add_(JITTER * variance)
        return lower_factor(covariance)

    def _drawn(
        self, seen: Tensor, means: Tensor, factors: Sequence[Tensor], scale: Tensor, epoch: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of an epoch: ``samples`` of each class, shuffled in rounds."""
        for start in range(0, self.samples, ROUND):
            size, step = min(ROUND, self.samples - start), epoch * self.samples + start
            rows = []
            for label, mean, lower in zip(seen.tolist(), means, factors, strict=True):
                draw = generator(self.seed, f"{self.name} class {label}", step)
                noise = torch.randn(size, self.width, generator=draw, dtype=torch.float64).to(mean)
                rows.append(mean + noise @ (lower.T / scale))
            labels = torch.arange(len(seen), device=means.device).repeat_interleave(size)
            order = torch.randperm(len(labels), generator=generator(self.seed, f"{self.name} order", step))
            x = torch.cat([torch.cat(rows), means.new_ones(len(labels), 1)], 1)
            for part in torch.split(order.to(means.device), BATCH):
                yield x[part], labels[part]
