"""What every stream promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from perdure._random import generator
from perdure._records import Batch, Data, Experience, join_batches
from perdure.checks._case import keep
from perdure.checks._state import batch_difference, no_global_randomness, none
from perdure.streams import Stream

SIZE = 7


def experiences_are_numbered(stream: Stream) -> None:
    """Experiences and evaluations are numbered 0, 1, 2, ... and have data."""
    for kind, experiences in (("experiences", stream.experiences), ("evaluations", stream.evaluations)):
        if [e.index for e in experiences] != list(range(len(stream))):
            raise AssertionError(f"{kind} are numbered {[e.index for e in experiences]}")
        for e in experiences:
            if e.data is None or not len(e.data):
                raise AssertionError(f"{kind}[{e.index}] has no data")


def examples_are_of_one_kind(stream: Stream) -> None:
    """All examples, learnt or judged, share shape and dtype; labels are (B,) int64; tasks are told always or never."""
    example = stream.example()
    for at, e in _all(stream):
        for batch in _data(e).batches(SIZE):
            if batch.x.shape[1:] != example.x.shape[1:] or batch.x.dtype != example.x.dtype:
                raise AssertionError(
                    f"{at} has examples {tuple(batch.x.shape[1:])} {batch.x.dtype}, unlike the first one"
                )
            if batch.y.dtype != torch.int64 or batch.y.shape != batch.x.shape[:1]:
                raise AssertionError(f"{at} has labels {tuple(batch.y.shape)} {batch.y.dtype}: they must be (B,) int64")
            if (batch.task is None) != (example.task is None):
                raise AssertionError(f"{at} tells tasks and others do not, or the other way round")


def classes_are_declared(stream: Stream) -> None:
    """``classes`` of an experience are those that occur in it, each below ``num_classes``."""
    for at, e in _all(stream):
        found = sorted(set(_whole(e).y.tolist()))
        if found != sorted(e.classes):
            raise AssertionError(f"{at} declares classes {sorted(e.classes)}, those in its data are {found}")
        if found[0] < 0 or found[-1] >= stream.num_classes:
            raise AssertionError(f"{at} has classes {found}, the stream declares {stream.num_classes}")


def tasks_are_told_truly(stream: Stream) -> None:
    """Where an experience has a task, all its examples tell it; a stream without boundaries tells none."""
    for at, e in _all(stream):
        told = _whole(e).task
        if told is not None and not stream.boundaries:
            raise AssertionError(f"{at} tells tasks, and so the boundaries that the stream hides")
        if e.task is not None and (told is None or set(told.tolist()) != {e.task}):
            raise AssertionError(
                f"{at} is of task {e.task}, its examples tell {told if told is None else set(told.tolist())}"
            )


def data_can_be_read_again(stream: Stream) -> None:
    """Read twice, data give the same bits; a generator shuffles them, and equal generators alike."""
    for at, e in _all(stream):
        none(batch_difference(_whole(e), _whole(e)), f"{at} read twice")
        one, two = (_whole(e, generator(0, "shuffle")) for _ in range(2))
        none(batch_difference(one, two), f"{at} shuffled twice by equal generators")


def every_example_comes_once(stream: Stream) -> None:
    """A pass shows each example once, in full batches but for the last, shuffled or not, whatever the batch size."""
    for at, e in _all(stream):
        data, whole = _data(e), _sorted(_whole(e))
        for size in (1, SIZE, len(data) + 1):
            for order in (None, generator(0, "shuffle", size)):
                batches = list(data.batches(size, order))
                sizes = [len(b) for b in batches]
                if sum(sizes) != len(data) or any(s != size for s in sizes[:-1]):
                    raise AssertionError(f"{at} of {len(data)} examples gave batches of {sizes}, asked for {size}")
                none(batch_difference(whole, _sorted(join_batches(batches))), f"{at} in batches of {size}")


def a_pass_starts_at_any_batch(stream: Stream) -> None:
    """``batches(..., start=k)`` gives what a full pass gives from batch k on, to the bit; nothing past the end."""
    for at, e in _all(stream):
        for order in (lambda: None, lambda: generator(0, "shuffle")):
            whole = list(_data(e).batches(SIZE, order()))
            for start in sorted({1, len(whole) // 2, len(whole) - 1, len(whole), len(whole) + 1}):
                rest, due = list(_data(e).batches(SIZE, order(), start)), whole[start:]
                if len(rest) != len(due):
                    raise AssertionError(f"{at} from batch {start} gave {len(rest)} batches, {len(due)} were left")
                for number, (found, expected) in enumerate(zip(rest, due, strict=True), start):
                    none(batch_difference(expected, found), f"{at} from batch {start}, batch {number}")


def learnt_and_judged_are_apart(stream: Stream) -> None:
    """No example of a held-out set is learnt in the same experience."""
    for learnt, judged in zip(stream.experiences, stream.evaluations, strict=True):
        if both := _rows(_whole(learnt)) & _rows(_whole(judged)):
            raise AssertionError(
                f"{len(both)} examples of evaluations[{judged.index}] are learnt in experiences[{learnt.index}]"
            )


def no_global_random_generator(stream: Stream) -> None:
    """Reading moves no global generator."""
    for at, e in _all(stream):
        with no_global_randomness(f"reading {at}"):
            _whole(e)
            _whole(e, generator(0, "shuffle"))


def _all(stream: Stream) -> list[tuple[str, Experience]]:
    learnt = [(f"experiences[{e.index}]", e) for e in stream.experiences]
    return learnt + [(f"evaluations[{e.index}]", e) for e in stream.evaluations]


def _data(experience: Experience) -> Data:
    assert experience.data is not None
    return experience.data


def _whole(experience: Experience, order: torch.Generator | None = None) -> Batch:
    return join_batches(list(_data(experience).batches(SIZE, order)))


def _lines(batch: Batch) -> list[bytes]:
    """Each example with its label and task, as bytes."""
    tasks = [-1] * len(batch) if batch.task is None else batch.task.tolist()
    columns = zip(batch.x, batch.y.tolist(), tasks, strict=True)
    return [f"{y} {task} ".encode() + x.cpu().contiguous().numpy().tobytes() for x, y, task in columns]


def _rows(batch: Batch) -> set[bytes]:
    return set(_lines(batch))


def _sorted(batch: Batch) -> Batch:
    lines = _lines(batch)
    return batch.rows(torch.tensor(sorted(range(len(lines)), key=lines.__getitem__)))


PROMISES: dict[str, Callable[[Stream], None]] = {
    promise.__name__: promise
    for promise in (
        experiences_are_numbered,
        examples_are_of_one_kind,
        classes_are_declared,
        tasks_are_told_truly,
        data_can_be_read_again,
        every_example_comes_once,
        a_pass_starts_at_any_batch,
        learnt_and_judged_are_apart,
        no_global_random_generator,
    )
}


def check_stream(stream: Stream, *, exclude: Mapping[str, str] | None = None) -> None:
    """Check that ``stream`` keeps its promises. It is read about thirty times: use a small one.

    ``exclude`` maps the names of promises that are not to be checked to the reason. Raises ``AssertionError`` saying
    which promise is broken and where.

    >>> import torch
    >>> from perdure.streams import class_incremental
    >>> check_stream(class_incremental((torch.rand(40, 3), torch.arange(40) % 4), experiences=2, holdout=0.2))
    """
    keep(PROMISES, stream, exclude or {}, f"stream {stream.name!r}")
