"""The digits that come with scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from perdure._random import address
from perdure.datasets._info import DatasetInfo, Pair


def read_digits(info: DatasetInfo, _: tuple[Path, ...]) -> tuple[Pair, Pair]:
    """``sklearn.datasets.load_digits``, split once and for all: it has no test part of its own.

    Each row has the key ``address(0, "digits/test", row)``; the quarter of every class with the smallest keys is the
    test part, so classes keep their shares and no library's random numbers are involved.
    """
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x, y = x.reshape(-1, *info.shape).astype(np.uint8), y.astype(np.int64)
    keys = np.array([address(0, "digits/test", row) for row in range(len(y))])
    test = np.zeros(len(y), bool)
    for label in range(info.num_classes):
        rows = np.flatnonzero(y == label)
        test[rows[np.argsort(keys[rows])][: round(len(rows) / 4)]] = True
    return (x[~test], y[~test]), (x[test], y[test])
