"""What a ``Learner`` promises when a class comes for which its head has no row."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from perdure._learner import Learner
from perdure._records import Batch, Experience
from perdure.checkpoint import load, save
from perdure.checks._case import SEED, Case
from perdure.checks._script import Batches
from perdure.checks._state import difference, none, same_bits, snapshot
from perdure.memory import Memory
from perdure.nn import Whole


def head_grows(case: Case) -> None:
    """A class past the capacity doubles the head: old answers stay, optimizer and memory are padded, it learns on."""
    learner: Learner = case.learner(len(case.events))
    if isinstance(learner.model, Whole):
        return
    new, told = learner.model.capacity, case.asked.task is not None
    task = len(case.stream) if told else None
    before, asked = snapshot(learner), (case.asked.x, case.held_out.task)
    logits = learner.logits(*asked)
    tasks = None if task is None else torch.full_like(case.asked.y, task)
    batch = replace(case.asked, y=torch.full_like(case.asked.y, new), task=tasks)
    learner.begin(Experience(len(case.stream), (new,), Batches([batch]), task=task))
    if learner.model.capacity != 2 * new:
        raise AssertionError(
            f"class {new} came and the head went from {new} to {learner.model.capacity} rows, not twice"
        )
    if learner.restart == "never":
        _same_logits(logits, learner.logits(*asked), learner.admitted(case.held_out.task))
        _padded(before["optimizer"]["state"], learner.optimizer.state_dict()["state"])
    for part in learner.parts:
        if isinstance(part, Memory) and "logits" in part.stored_fields and len(part):
            width = part.contents().stored["logits"].shape[1]
            if width != 2 * new:
                raise AssertionError(f"{part.name} keeps logits of {width} classes, the head has {2 * new}")
    _goes_on(case, learner, batch)


def _same_logits(before: Tensor, after: Tensor, admitted: list[int]) -> None:
    old = [c for c in admitted if c < before.shape[1]]
    if not torch.allclose(before[:, old], after[:, old], rtol=1e-5, atol=1e-6):  # another row count rounds otherwise
        raise AssertionError("growing the head changed the logits of earlier classes")


def _padded(before: dict[int, dict[str, Any]], after: dict[int, dict[str, Any]]) -> None:
    for number, entries in before.items():
        for name, old in entries.items():
            new = after[number][name]
            if not isinstance(old, Tensor) or old.dim() == 0:
                continue
            if not same_bits(old, new[: len(old)]) or bool(new[len(old) :].any()):
                raise AssertionError(f"growing the head did not pad the optimizer's {name} with zeros")


def _goes_on(case: Case, learner: Learner, batch: Batch) -> None:
    for _ in range(2):
        loss = learner.observe(batch).loss.item()
        if not math.isfinite(loss):
            raise AssertionError(f"after the head has grown the loss is {loss}")
    with tempfile.TemporaryDirectory() as folder:
        again: Learner = case.make(SEED + 1)
        load(save(Path(folder) / "grown", learner), again)
    for each in (learner, again):
        each.observe(batch)
    none(difference(snapshot(learner), snapshot(again)), "gone on from a checkpoint after the head has grown")
