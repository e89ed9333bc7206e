"""What can be wrong with a well-formed batch, found out before any of its classes is admitted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from perdure._gate import BadBatch, check_range
from perdure._random import addressed_default
from perdure._records import Batch, Draw, Experience, Output
from perdure.nn import Model


@dataclass(frozen=True, eq=False)
class Trial:
    """One example, by itself, before the first batch is learnt: what the model says, and whether it can learn so."""

    example: Batch
    output: Output
    learns_from_one: bool


def first_row(batch: Batch, device: torch.device) -> Batch:
    """The first example, where the model is."""
    return batch.rows(torch.zeros(1, dtype=torch.int64, device=batch.y.device)).to(device)


def try_model(model: Model, example: Batch) -> Trial:
    """Put one example through ``model``, which stays as it is. ``BadBatch`` if it cannot take it."""
    model.eval()
    try:
        with torch.no_grad(), addressed_default(0, "trial"):
            model.probe(example.x)
            output: Output = model(example.x)
        model.train()
        return Trial(example, output, _learns_from_one(model, example.x))
    except Exception as error:
        raise BadBatch(
            f"the model cannot take inputs {tuple(example.x.shape[1:])} {example.x.dtype}: {error}"
        ) from error
    finally:
        model.train()


def _learns_from_one(model: nn.Module, x: Tensor) -> bool:
    """Whether a model with batch normalization can train on one example: it can where that gives many values each."""
    if not any(isinstance(module, _BatchNorm) for module in model.modules()):
        return True
    statistics = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with torch.no_grad(), addressed_default(0, "trial"):
            functional_call(model, statistics, (x,))
    except ValueError:
        return False
    return True


def check_labels(y: Tensor, task: Tensor | None, experience: Experience | None, model: Model) -> None:
    """Raise ``BadBatch`` unless all labels (in main memory) can be admitted, and belong to an open experience that says
    which classes it has.
    """
    labels = y.tolist()
    try:
        check_range(labels, () if task is None else task.tolist())
        model.require(max(labels))
    except ValueError as error:
        raise BadBatch(str(error)) from None
    if experience is not None and experience.classes:
        strange = sorted(set(labels) - set(experience.classes))
        if strange:
            raise BadBatch(
                f"class {strange[0]} came, but experience {experience.index} has {_brief(experience.classes)} only: "
                "correct the label, or the classes= of the experience"
            )


def check_rows(size: int, draws: Iterable[Draw], joint: bool) -> None:
    """Raise ``BadBatch`` if one example would go through the model by itself: a batch of ``size`` and ``draws``."""
    drawn = [min(draw.size, draw.memory.num_drawable) for draw in draws]
    if 1 in ([size + sum(drawn)] if joint else [size, *drawn]):
        raise BadBatch(
            "one example would go through the model by itself, and batch normalization cannot learn from one: "
            "give 2 examples or more" + ("" if joint else ", and draw 2 or more")
        )


def first_batch(experience: Experience) -> Batch | None:
    """One example of the experience, None where there is none that can be read: whoever feeds the batches says so."""
    try:
        return None if experience.data is None else next(iter(experience.data.batches(1)), None)
    except (ValueError, OSError):
        return None


def _brief(classes: tuple[int, ...]) -> str:
    shown = sorted(classes)
    return f"the classes {shown[:10]} and {len(shown) - 10} more" if len(shown) > 10 else f"the classes {shown}"
