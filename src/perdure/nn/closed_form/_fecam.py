"""FeCAM: the class that is nearest measured by its own covariance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from perdure.functional.covariance import correlation, lower_factor, power_transform, shrink
from perdure.functional.gaussian import Moments
from perdure.functional.triangle import Triangle
from perdure.nn.closed_form._moments import MomentsHead


class MahalanobisHead(MomentsHead):
    """The class at the least Mahalanobis distance: scores are minus squared distances (Goswami et al. 2023).

    Features are raised to ``tukey`` (their size, signs stay) and brought to unit length. ``covariance`` is that of each
    class, ``"class"``, or one for all, ``"common"``; it is shrunk by ``on`` times its mean variance and ``off`` times
    its mean covariance, and scaled to a correlation, so that distances in different classes compare.
    ``forget_classes`` matters to ``"common"`` only: keep what it takes to forget a class without its examples.
    """

    def __init__(
        self,
        tukey: float = 1.0,
        *,
        on: float = 1.0,
        off: float = 0.0,
        covariance: Literal["class", "common"] = "class",
        forget_classes: bool = False,
        name: str | None = None,
    ) -> None:
        if covariance not in ("class", "common"):
            raise ValueError(f'covariance={covariance!r}: give "class" or "common"')
        super().__init__(per_class=covariance == "class" or forget_classes, name=name)
        if not 0 < tukey <= 1:
            raise ValueError(f"tukey={tukey}: give a power above 0, up to 1 (features as they are)")
        if not (on >= 0 and off >= 0):
            raise ValueError(f"on={on}, off={off}: give shrinkage of at least 0")
        self.tukey, self.on, self.off, self.covariance = tukey, on, off, covariance

    def prepare(self, features: Tensor) -> Tensor:
        """Powers of unit length."""
        return power_transform(features, self.tukey)

    def scores(self, features: Tensor) -> Tensor:
        """Minus squared distances."""
        x, means = self.prepare(features), self.means
        if self.covariance == "common":
            if "factor" not in self.derived:
                self.derived["factor"] = self._factor(self.moments().pooled())
            lower = self.derived["factor"]
            x, means = (torch.linalg.solve_triangular(lower, rows.T, upper=False).T for rows in (x, means))
            away: Tensor = 2 * x @ means.T - means.square().sum(1) - x.square().sum(1, keepdim=True)
            return away
        out = x.new_full((len(x), self.capacity), -torch.inf)
        for label in self.counts.sum(0).nonzero()[:, 0].tolist():
            white = torch.linalg.solve_triangular(self._factor_of(label), (x - means[label]).T, upper=False)
            out[:, label] = -white.square().sum(0)
        return out

    def invalidate(self, *, added: bool) -> None:
        """A class's factor outlives examples of other classes."""
        factors = self.derived.get("factors")
        super().invalidate(added=added)
        if added and factors is not None:
            self.derived["factors"] = factors

    def fitted(self, moments: Moments, classes: Sequence[int]) -> Tensor:
        """Factors of the covariances, and the means."""
        if self.covariance == "common":
            return torch.cat([self._factor(moments.pooled()), moments.means])
        rows = [self._factor(moments.scatter[label]) for label in classes if int(moments.counts[label])]
        return torch.cat([*rows, moments.means[list(classes)]])

    def _factor_of(self, label: int) -> Tensor:
        """From the last time, if no example of the class came since."""
        factors = self.derived.setdefault("factors", {})
        count = int(self.counts[:, label].sum())
        if factors.get(label, (0,))[0] != count:
            factors[label] = count, self._factor(self.moments_of(label).scatter[0])
        lower: Tensor = factors[label][1]
        return lower

    def _factor(self, scatter: Tensor) -> Tensor:
        """Its size does not matter: all is scaled to a correlation."""
        return lower_factor(correlation(shrink(Triangle(self.width).unpack(scatter), self.on, self.off)))
