"""Numbers that others published for MNIST, by their protocols.

Online replay: continual-learning-baselines, `experiments/split_mnist/online_replay.py`, 0.92: one hidden layer of 512
with dropout 0.5, SGD 0.1, batches of 10 with 10 exemplars, class-balanced memory of 1,000, one pass, classes in
order, 5 % of the training data held out, accuracy over the whole test set. That very code (avalanche-lib 0.6.0) gave
0.910 here, the mean of eight seeds with a standard deviation of 0.012; ours gives 0.906, the mean of ten with 0.011.

GDumb, memory 4,400, two hidden layers of 400: the 0.97 of continual-learning-baselines is the paper's number, and its
test lets 0.94 pass; the paper's own (97.8) comes from 128 passes with random crops and a cosine schedule. We check
both: those baselines' settings (10 epochs, SGD 0.1, batches of 16, no augmentation), which give 0.951 here as in a
plain PyTorch loop on the same exemplars (0.951 to 0.956), and the authors' augmentation and schedule with 40 passes.
"""

import os
from statistics import mean, stdev

import pytest
import torch

import perdure
from perdure import datasets
from perdure._random import addressed_default, generator
from perdure.functional.augmentation import random_crop
from perdure.memory import ClassBalanced
from perdure.streams import class_incremental

pytestmark = pytest.mark.skipif(
    "PERDURE_DATA" not in os.environ, reason="MNIST: set PERDURE_DATA to a folder that holds it"
)


def mnist(seed: int, share: float = 1.0):
    data = datasets.load("mnist")
    x, y = (torch.from_numpy(a) for a in data.train)
    kept = torch.randperm(len(y), generator=generator(seed, "kept"))[: int(len(y) * share)]
    return class_incremental((x[kept], y[kept]), data.test, experiences=5, name="mnist")


def network(seed: int, hidden: tuple[int, ...], dropout: float = 0.0):
    normalize = perdure.nn.Normalize(torch.full((1, 1, 1), 0.1307 * 255), torch.full((1, 1, 1), 0.3081 * 255))
    with addressed_default(seed, "model"):
        return perdure.nn.mlp((1, 28, 28), 10, hidden=hidden, dropout=dropout, normalize=normalize)


def accuracy(learner: perdure.ContinualLearner) -> float:
    """Over the whole test set."""
    x, y = (torch.from_numpy(a) for a in datasets.load("mnist").test)
    return (learner.predict(x) == y).float().mean().item()


@pytest.mark.slow
def test_online_replay():
    scores = []
    for seed in range(10):
        learner = perdure.build(
            "er",
            network(seed, (512,), dropout=0.5),
            lambda params: torch.optim.SGD(params, lr=0.1),
            memory=ClassBalanced(1000),
            draw=10,
            seed=seed,
        )
        perdure.run(learner, mnist(seed, 0.95), batch_size=10, seed=seed, evaluate_every=0)
        scores.append(accuracy(learner))
    assert stdev(scores) < 0.02
    assert mean(scores) == pytest.approx(0.92, abs=0.02)


def gdumb(seed: int, epochs: int, **options: object) -> float:
    """Test accuracy after the whole stream; GDumb without boundaries trains once, when asked."""
    learner = perdure.build(
        "gdumb",
        network(seed, (400, 400)),
        lambda params: torch.optim.SGD(params, lr=0.1),
        memory=4400,
        fit_epochs=epochs,
        fit_batch=16,
        seed=seed,
        **options,
    )
    for experience in mnist(seed).experiences:
        for batch in experience.data.batches(64, generator(seed, "order", experience.index)):
            learner.observe(batch)
    return accuracy(learner)


@pytest.mark.slow
def test_gdumb_as_its_authors_train_it():
    def cosine(optimizer):
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40 * 275, eta_min=0.001)

    assert gdumb(0, 40, augment=random_crop(4), scheduler=cosine) == pytest.approx(0.97, abs=0.01)


@pytest.mark.slow
def test_gdumb_in_ten_plain_epochs():
    assert mean(gdumb(seed, 10) for seed in range(3)) == pytest.approx(0.951, abs=0.006)
