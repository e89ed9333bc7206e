"""What every learner promises of its state: saved, gone back to, copied, and learning slower on request."""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Callable

from perdure._learner import Learner
from perdure.checkpoint import Checkpoints, load
from perdure.checks._case import SEED, Case
from perdure.checks._state import difference, none, snapshot


def state_survives_a_checkpoint(case: Case) -> None:
    """Saved anywhere and loaded into a learner of another seed, new or used, learning goes on as if uninterrupted; an
    experience that is open then gets its data back by ``begin``. Of memories only what was written since the last time
    is saved.
    """
    with tempfile.TemporaryDirectory() as folder, Checkpoints(folder, minutes=None) as checkpoints:
        running, at = case.make(SEED), 0
        for cut in case.cuts:
            case.play(running, at, cut)
            at = cut
            checkpoints.save(running, None, cut)
            checkpoints.wait()
            used = case.first_observe + 1 if cut == case.cuts[-1] else 0
            learner = case.learner(used, SEED + 1)
            load(folder, learner)
            none(difference(case.trace[cut], snapshot(learner)), f"saved and loaded after {cut} calls")
            opened = case.open_after(cut)
            if opened is not None:
                learner.begin(opened)
                none(difference(case.trace[cut], snapshot(learner)), f"begun again, saved after {cut} calls,")
            case.play(learner, cut)
            none(difference(case.trace[-1], snapshot(learner)), f"gone on from a checkpoint after {cut} calls")
            none(difference(case.final_answers, case.answers(learner)), f"answers, saved after {cut} calls")


def earlier_states_can_be_returned_to(case: Case) -> None:
    """A learner takes back any state that it was in, and learns on from there as it did."""
    learner = case.learner(len(case.events))
    for cut in reversed(case.cuts):
        learner.load_state_dict(case.trace[cut])
        none(difference(case.trace[cut], snapshot(learner)), f"gone back to where it was after {cut} calls")
    case.play(learner, 0)
    none(difference(case.trace[-1], snapshot(learner)), "gone back to the beginning and taught the same")


def copies_are_whole(case: Case) -> None:
    """``copy.deepcopy`` gives an equal learner that shares nothing that either writes."""
    for cut in (0, case.first_observe + 1, len(case.events) // 2):
        learner = case.learner(cut)
        twin = copy.deepcopy(learner)
        none(difference(case.trace[cut], snapshot(twin)), f"copied after {cut} calls")
        for one, other, state in ((learner, twin, case.trace[cut]), (twin, learner, case.trace[-1])):
            case.play(one, cut)
            none(difference(case.trace[-1], snapshot(one)), f"gone on as a copy, or beside one, after {cut} calls")
            none(difference(state, snapshot(other)), f"what its copy learnt after {cut} calls reached a learner")


def learning_rate_scales(case: Case) -> None:
    """``scale_learning_rate`` changes what is learnt from then on, restarts included, and survives in the state."""
    cut = len(case.events) // 2
    same, slow = case.learner(cut), case.learner(cut)
    same.scale_learning_rate(1.0)
    slow.scale_learning_rate(0.25)
    again = case.make(SEED + 1)
    again.load_state_dict(snapshot(slow))
    opened = case.open_after(cut)
    if opened is not None:
        again.begin(opened)
    for learner in (same, slow, again):
        case.play(learner, cut)
    none(difference(case.trace[-1], snapshot(same)), "a learning rate times 1")
    none(difference(snapshot(slow), snapshot(again)), "a learning rate times 1/4, gone on from a saved state")
    at_once = case.make(SEED)
    at_once.scale_learning_rate(0.25)
    case.play(at_once, 0)
    for learner in (same, slow, at_once):
        case.answers(learner)  # some train when they are asked
    for learner in (slow, at_once):
        if difference(dict(learner.weights), dict(same.weights)) is None:
            raise AssertionError("a learning rate times 1/4 changed nothing")
    _rates_follow(case)


def _rates_follow(case: Case) -> None:
    """Of a learner whose optimizer can be seen: at every moment a quarter of the rate it would have."""
    plain, slow = case.make(SEED), case.make(SEED)
    if not isinstance(plain, Learner):
        return
    slow.scale_learning_rate(0.25)
    for event in case.events:
        for learner in (plain, slow):
            event.play(learner)
        pairs = zip(plain.optimizer.param_groups, slow.optimizer.param_groups, strict=True)
        for rate, scaled in ((float(a["lr"]), float(b["lr"])) for a, b in pairs):
            if not math.isclose(scaled, rate / 4, rel_tol=1e-6):
                raise AssertionError(f"after {event} the learning rate is {scaled}, a quarter of {rate} was asked for")


SURVIVAL_PROMISES: dict[str, Callable[[Case], None]] = {
    promise.__name__: promise
    for promise in (
        copies_are_whole,
        state_survives_a_checkpoint,
        earlier_states_can_be_returned_to,
        learning_rate_scales,
    )
}
