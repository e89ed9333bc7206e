"""A CSV file whose look drifts, learnt in the order of its rows. Takes about 3 seconds.

The rows are real: scikit-learn's 1,797 handwritten digits, 64 grey values and a label each. Three times on the way
the sheets are fed into the scanner another way round (mirrored, upside down, both), as a sensor may change at work.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

import perdure
from perdure.nn import Normalize, mlp
from perdure.streams.files import from_file

FLIPS = ((), (2,), (1,), (1, 2))


def write_csv(path: Path) -> None:
    images, labels = load_digits(return_X_y=True)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*(f"pixel{i}" for i in range(64)), "digit"])
        for part, flip in zip(np.array_split(np.arange(len(labels)), len(FLIPS)), FLIPS, strict=True):
            seen = np.flip(images[part].reshape(-1, 8, 8), flip).reshape(-1, 64)
            rows.writerows([*map(int, x), y] for x, y in zip(seen, labels[part], strict=True))


def learn(path: Path, method: str) -> perdure.Record:
    stream = from_file(path, target="digit", by="time", experiences=len(FLIPS))
    first = (batch.x for batch in stream.experiences[0].data.batches(1000))
    torch.manual_seed(0)
    model = mlp((64,), 10, hidden=(100,), normalize=Normalize.fit(first))
    learner = perdure.build(method, model, lambda params: torch.optim.SGD(params, lr=0.1), memory=200)
    return perdure.run(learner, stream, epochs=5, batch_size=10, evaluate_every=0)


def main() -> dict[str, perdure.Record]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digits.csv"
        write_csv(path)
        records = {method: learn(path, method) for method in ("finetune", "er")}
    for method, record in records.items():
        print(f"{method}, after the last part:")
        for name, score in zip(record.experiences, record.accuracy[-1], strict=True):
            print(f"  {name}: {score:.1%}")
    return records


if __name__ == "__main__":
    main()
