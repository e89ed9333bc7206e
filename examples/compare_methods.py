"""Three methods on the same three seeds, compared, and a page to look at. Takes about 10 seconds.

Equal seeds give every method the same order of examples, the same held-out samples and the same first weights, so that
differences between methods can be tested in pairs. The page goes into the folder given (here runs/compare).
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import perdure
from perdure import datasets, report
from perdure.nn import Normalize, mlp
from perdure.streams import class_incremental

METHODS = ("finetune", "er", "der_pp")


def learn(method: str, seed: int, epochs: int) -> perdure.Record:
    digits = datasets.load("digits")
    stream = class_incremental(digits.train, digits.test, experiences=5, name="digits")
    first = (batch.x for batch in stream.experiences[0].data.batches(100))
    torch.manual_seed(seed)
    model = mlp((1, 8, 8), 10, hidden=(100,), normalize=Normalize.fit(first))
    learner = perdure.build(method, model, lambda params: torch.optim.SGD(params, lr=0.05), memory=200, seed=seed)
    return perdure.run(learner, stream, epochs=epochs, batch_size=10, seed=seed)


def main(folder: Path = Path("runs/compare"), seeds: int = 3, epochs: int = 3) -> Path:
    records = [learn(method, seed, epochs) for seed in range(seeds) for method in METHODS]
    comparison = report.compare(records)
    for summary in comparison.methods:
        mean, half_width = summary.numbers["accuracy"]
        print(f"{summary.name}: accuracy {mean:.1%} ± {half_width:.1%} over {seeds} seeds")
    for pair in comparison.differences:
        verdict = "differ" if pair.real else "cannot be told apart"
        print(f"{pair.first} and {pair.second} {verdict} (p = {pair.p:.3f})")
    folder.mkdir(parents=True, exist_ok=True)
    for record in records:
        record.write(folder / f"{record.method}-{record.seed}.json")
    page = report.write(records, folder / "report.html")
    print(f"open {page}")
    return page


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
