"""What a curve of accuracies shows that the matrix hides: how deep and how fast accuracy falls after a change."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Drop(NamedTuple):
    """A fall of the accuracy on ``experience``, from ``before`` to ``after``.

    It took ``updates`` updates, counted from the change to experience ``change``. ``end`` is the accuracy when the
    next change came or learning ended: above ``after`` where the loss was made good.
    """

    experience: int
    change: int
    before: float
    after: float
    updates: int
    end: float

    @property
    def size(self) -> float:
        """``before - after``."""
        return self.before - self.after


def largest_drop(updates: ArrayLike, accuracy: ArrayLike, changes: Sequence[int], *, share: float = 0.9) -> Drop | None:
    """The deepest fall of an experience already learnt, after any change; None if none fell.

    For each change t >= 1 and each experience k < t: ``before`` is the last accuracy on k measured at or before
    ``changes[t]``; the fall is ``before`` minus the lowest accuracy measured after it and not after the next change.
    The deepest fall wins (the earlier one of two equal). ``after`` and ``updates`` belong to the first measurement by
    which at least ``share`` of that fall had happened, so that "lost ``size`` within ``updates`` updates" is true as
    it stands. Undefined accuracies (NaN) are passed over.

    ``updates``: (N,) ascending. ``accuracy``: (N, T). ``changes``: T numbers of updates, ascending: when each
    experience began.

    >>> accuracy = [[0.1, 0.1], [0.9, 0.1], [0.3, 0.5], [0.1, 0.8], [0.4, 0.9]]
    >>> drop = largest_drop([0, 100, 110, 120, 200], accuracy, [0, 100])
    >>> drop.experience, drop.change, round(drop.size, 2), drop.updates, drop.end
    (0, 1, 0.8, 20, 0.4)
    """
    at, accuracy = np.asarray(updates, dtype=np.int64), np.asarray(accuracy, dtype=np.float64)
    if accuracy.shape != (len(at), len(changes)):
        raise ValueError(
            f"accuracy of shape {accuracy.shape}: expected (updates, experiences) = ({len(at)}, {len(changes)})"
        )
    if not 0 < share <= 1:
        raise ValueError(f"share={share}: expected a fraction in (0, 1]")
    deepest, found = 0.0, None
    for change, (start, stop) in enumerate(pairwise([*changes[1:], at.max(initial=0)]), start=1):
        for experience in range(change):
            known = ~np.isnan(accuracy[:, experience])
            old, new = known & (at <= start), known & (at > start) & (at <= stop)
            if old.any() and new.any():
                before, later = accuracy[old, experience][-1], accuracy[new, experience]
                if before - later.min() > deepest:
                    deepest = before - later.min()
                    found = _drop(experience, change, before, at[new] - start, later, share)
    return found


def _drop(
    experience: int, change: int, before: float, since: NDArray[np.int64], later: NDArray[np.float64], share: float
) -> Drop:
    reached = int(np.argmax(before - later >= share * (before - later.min())))
    return Drop(experience, change, float(before), float(later[reached]), int(since[reached]), float(later[-1]))
