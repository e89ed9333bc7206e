"""Your own network in your own training loop, saved and loaded half-way. Takes about 2 seconds.

Ten handwritten digits come two at a time. Perdure makes the last layer of the network grow, keeps 200 digits to replay
and leaves the loop to you: you call backward and the optimizer, and clip gradients if you like.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch import nn

import perdure
from perdure import datasets
from perdure.nn import split
from perdure.streams import class_incremental


class Digits(nn.Module):
    """An ordinary classifier, here with room for the first two classes only."""

    def __init__(self, num_classes: int = 2) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.Flatten()
        )
        self.classifier = nn.Linear(128, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Bytes (B, 1, 8, 8), 0 to 16, to logits."""
        return self.classifier(self.convolutions(x / 16))


def make_learner() -> perdure.Learner:
    torch.manual_seed(0)
    model = split(Digits(), head="classifier")
    return perdure.build("er", model, lambda params: torch.optim.SGD(params, lr=0.1), memory=200)


def learn(learner: perdure.Learner, experience: perdure.Experience) -> None:
    learner.begin(experience)
    order = torch.Generator().manual_seed(experience.index)
    for batch in experience.data.batches(10, order):
        step = learner.forward(batch)  # draws from memory, one forward, the losses
        step.loss.backward()
        learner.shape_gradients(step)  # methods that edit gradients do so now
        nn.utils.clip_grad_norm_(learner.model.parameters(), 5.0)
        learner.optimizer.step()
        learner.after_step(step)  # writes into memory
    learner.end()


def accuracy(learner: perdure.Learner, evaluations: list[perdure.Experience]) -> list[float]:
    scores = []
    for evaluation in evaluations:
        batch = next(evaluation.data.batches(len(evaluation.data)))
        scores.append((learner.predict(batch.x) == batch.y).float().mean().item())
    return scores


def main() -> list[float]:
    digits = datasets.load("digits")
    stream = class_incremental(digits.train, digits.test, experiences=5)
    learner = make_learner()
    for experience in stream.experiences[:3]:
        learn(learner, experience)

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = perdure.save(Path(folder) / "after-3", learner)
        learner = make_learner()
        perdure.load(checkpoint, learner)  # weights, memory, optimizer and position are back

    for experience in stream.experiences[3:]:
        learn(learner, experience)
    scores = accuracy(learner, list(stream.evaluations))
    for evaluation, score in zip(stream.evaluations, scores, strict=True):
        print(f"{evaluation.name}: {score:.1%}")
    return scores


if __name__ == "__main__":
    main()
