"""What a ``Learner``, made of parts, promises besides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from perdure._learner import Learner
from perdure._part import Part
from perdure._random import addressed_default
from perdure._records import Batch, Boundary, Choice, Step
from perdure.checks._case import SEED, Case
from perdure.checks._state import difference, no_global_randomness, none, snapshot


def one_forward_per_step(case: Case) -> None:
    """``observe`` puts current and drawn examples through the model at once; one by one if ``forward="separate"``.
    Parts call the model as often as they declare, no more, and that often at some step.
    """
    learner: Learner = case.make(SEED)
    calls: list[None] = []
    learner.model.register_forward_hook(lambda *_: calls.append(None))
    most = declared = 0
    for event in case.events:
        calls.clear()
        if event.batch is None or learner.example is None:  # a first example is tried
            event.play(learner)
            continue
        step = learner.observe(event.batch, first_pass=event.first_pass)
        extra = len(calls) - (1 if learner.joint else len(step.segments))
        allowed = sum(part.forwards for part in learner.parts)
        if not 0 <= extra <= allowed:
            raise AssertionError(f"{len(calls)} forwards in one step, {allowed} of them declared by parts")
        most, declared = max(most, extra), max(declared, allowed)
    if most < declared:
        raise AssertionError(f"parts declare {declared} forwards a step, and never made more than {most}")


def phases_by_hand_equal_observe(case: Case) -> None:
    """``forward``, backward, ``shape_gradients``, the optimizer and ``after_step`` give what ``observe`` gives."""
    learner: Learner = case.make(SEED)
    for event in case.events:
        if event.batch is None:
            event.play(learner)
            continue
        step = learner.forward(event.batch, first_pass=event.first_pass)
        torch.autograd.backward(step.loss)
        learner.shape_gradients(step)
        learner.optimizer.step()
        learner.after_step(step)
    none(difference(case.trace[-1], snapshot(learner)), "phases by hand and observe differ")


def reading_phases_write_nothing(case: Case) -> None:
    """``withhold``, ``choose``, ``loss`` and ``reference`` give the same when asked again, and leave all state, modes
    and the step as they were.
    """
    learner: Learner = case.make(SEED)
    _watch(learner, ("withhold", "choose", "loss", "reference"), _read)
    case.play(learner, 0)
    none(difference(case.trace[-1], snapshot(learner)), "asking what only reads twice changed what was learnt")


def writing_phases_write_their_own(case: Case) -> None:
    """``transform`` edits gradients in place and nothing else, ``constrain`` parameters; ``consolidate`` those and the
    part's own state; ``after_...`` phases write only the part's own state.
    """
    learner: Learner = case.make(SEED)
    _watch(learner, ("transform",), _edit)
    _watch(learner, ("constrain", "consolidate"), _rewrite)
    _watch(learner, ("after_step", "after_experience"), _write)
    case.play(learner, 0)


def order_of_parts_does_not_matter(case: Case) -> None:
    """Parts in reverse give bit-equal weights; only those that edit gradients or parameters keep their order."""
    learner: Learner = case.make(SEED)
    editing = [part for part in learner.parts if any(part.overrides(phase) for phase in EDITING)]
    order = iter(editing)
    _set_parts(learner, [next(order) if part in editing else part for part in reversed(learner.parts)])
    case.play(learner, 0)
    none(difference(case.trace[-1], snapshot(learner)), "with its parts in reverse the learner differs")


def idle_part_changes_nothing(case: Case) -> None:
    """One more part that does nothing in every phase changes no bit."""
    learner: Learner = case.make(SEED)
    _set_parts(learner, [_Idle("idle"), *learner.parts])
    case.play(learner, 0)
    state = snapshot(learner)
    del state["parts"]["idle"]
    none(difference(case.trace[-1], state), "a part that does nothing changed something")


EDITING = ("transform", "constrain", "consolidate")


class _Idle(Part):
    def withhold(self, batch: Batch) -> Tensor | None:
        return None

    def loss(self, step: Step) -> Tensor | None:
        return None

    def reference(self, step: Step) -> Tensor | None:
        return None

    def transform(self, grads: Sequence[Tensor], reference: Sequence[Tensor] | None) -> None:
        pass

    def constrain(self, params: Sequence[Tensor]) -> None:
        pass

    def after_step(self, step: Step) -> None:
        pass

    def consolidate(self, boundary: Boundary) -> int | None:
        return None

    def after_experience(self, boundary: Boundary) -> None:
        pass


def _set_parts(learner: Learner, parts: Iterable[Part]) -> None:
    learner.parts = tuple(parts)
    learner._bind_phases()


def _watch(learner: Learner, phases: Iterable[str], guard: Callable[..., Any]) -> None:
    """Let ``guard(learner, part, phase, call, *arguments)`` make the calls of these phases."""
    for part in learner.parts:
        for phase in phases:
            if part.overrides(phase):
                setattr(part, phase, partial(guard, learner, part, phase, getattr(part, phase)))
    learner._bind_phases()


def _read(learner: Learner, part: Part, phase: str, call: Callable[[Any], Any], given: Any) -> Any:
    before, shown, at = snapshot(learner), _shown(given), f"{part.name}.{phase}"
    modes = [module.training for module in learner.model.modules()]
    with no_global_randomness(at):
        value = call(given)
    with addressed_default(0, "somewhere else"):
        again = call(given)
    none(difference(before, snapshot(learner)), f"{at} wrote state")
    none(difference(shown, _shown(given)), f"{at} changed what it was given")
    none(difference(value, again), f"{at} gives another value when asked again")
    if modes != [module.training for module in learner.model.modules()]:
        raise AssertionError(f"{at} left a module in another mode (train or eval) than it found it")
    given_back = [] if value is None else [value] if isinstance(value, Tensor) else value
    if any((phase in ("loss", "reference") and v.dim() != 0) or not bool(torch.isfinite(v).all()) for v in given_back):
        raise AssertionError(f"{at} gave {value}: it must be finite, and a scalar or None")
    return value


def _edit(
    learner: Learner,
    part: Part,
    phase: str,
    call: Callable[..., None],
    grads: list[Tensor],
    reference: Sequence[Tensor] | None,
) -> None:
    before, kept, at = snapshot(learner), list(grads), f"{part.name}.{phase}"
    with no_global_randomness(at):
        call(grads, reference)
    none(difference(before, snapshot(learner)), f"{at} wrote state")
    if len(kept) != len(grads) or any(old is not new for old, new in zip(kept, grads, strict=True)):
        raise AssertionError(f"{at} replaced a gradient: edit it in place")
    if not all(bool(torch.isfinite(grad).all()) for grad in grads):
        raise AssertionError(f"{at} left NaN or infinity in a gradient")


def _rewrite(learner: Learner, part: Part, phase: str, call: Callable[..., Any], *arguments: Any) -> Any:
    before, kept, at = snapshot(learner), dict(learner.params), f"{part.name}.{phase}"
    with no_global_randomness(at):
        value = call(*arguments)
    after = snapshot(learner)
    for state in (before, after):
        del state["model"]
        if phase == "consolidate":
            del state["parts"][part.name]
    none(difference(before, after), f"{at} wrote what is not its own")
    if any(p is not kept[name] for name, p in learner.params.items()):
        raise AssertionError(f"{at} replaced a parameter: edit it in place")
    if any(module.training for module in learner.model.modules()) == (phase == "consolidate"):
        raise AssertionError(f"{at} left the model in another mode (train or eval) than it found it")
    return value


def _write(learner: Learner, part: Part, phase: str, call: Callable[..., None], *arguments: Any) -> None:
    before, shown, at = snapshot(learner), _shown(arguments[0]), f"{part.name}.{phase}"
    with no_global_randomness(at):
        call(*arguments)
    after = snapshot(learner)
    del before["parts"][part.name], after["parts"][part.name]
    none(difference(before, after), f"{at} wrote what is not its own")
    none(difference(shown, _shown(arguments[0])), f"{at} changed the step")


def _shown(step: Any) -> dict[str, Any]:
    """All tensors of a step, by themselves."""
    if isinstance(step, Batch):
        return {"x": step.x.clone(), "y": step.y.clone()}
    if isinstance(step, Choice):
        return {"candidates": step.candidates.x.clone(), "incoming": step.incoming.x.clone()}
    if not isinstance(step, Step):
        return {}
    tensors: dict[str, Tensor | None] = {"seen": step.seen, "classes": step.classes, "tasks": step.tasks}
    for name, segment in step.segments.items():
        batch, output = segment.batch, segment.output
        found = {"x": batch.x, "y": batch.y, "task": batch.task, "logits": output.logits, "features": output.features}
        tensors |= {f"{name}/{k}": v for k, v in (found | dict(batch.stored) | dict(output.aux)).items()}
    tensors |= {f"losses/{k}": v for k, v in step.losses.items()}
    return {k: None if v is None else v.detach().clone() for k, v in tensors.items()}


PHASE_PROMISES: dict[str, Callable[[Case], None]] = {
    promise.__name__: promise
    for promise in (
        one_forward_per_step,
        phases_by_hand_equal_observe,
        reading_phases_write_nothing,
        writing_phases_write_their_own,
        order_of_parts_does_not_matter,
        idle_part_changes_nothing,
    )
}
