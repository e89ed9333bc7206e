"""What every memory promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from perdure._random import generator
from perdure._records import Batch
from perdure.checks._case import keep
from perdure.checks._state import batch_difference, copy_batch, difference, no_global_randomness, none
from perdure.memory import Memory

CLASSES = 5


class Presented:
    """Numbered examples: x (N, 4) bytes that spell the number, with a label, a task and logits that follow from it."""

    def __init__(self, make: Callable[[], Memory]) -> None:
        self.make = make
        self.size = 5 * make().capacity + 50
        number = torch.arange(self.size)
        x = torch.stack([number // 256**i % 256 for i in range(4)], dim=1).to(torch.uint8)
        y = torch.randint(CLASSES, (self.size,), generator=generator(0, "checks/labels"))
        logits = torch.rand(self.size, CLASSES, generator=generator(0, "checks/logits"))
        self.all = Batch(x, y, y // 2, {"logits": logits})

    def memory(self, upto: int = 0) -> Memory:
        """A memory that has been shown the first ``upto`` examples, one at a time."""
        memory = self.make()
        memory.require(("logits",))
        memory.bind({}, self.all.rows(torch.tensor([0])), CLASSES)
        self.write(memory, 0, upto)
        return memory

    def write(self, memory: Memory, start: int, stop: int, size: int = 1) -> None:
        """Present examples ``start`` to ``stop``, ``size`` at a time; of a stream that ranks share, this one's part."""
        rank, world = memory.shard
        for rows in torch.split(torch.arange(start + rank, stop, world), size):
            if len(rows):
                memory.write(self.all.rows(rows))

    def numbers(self, memory: Memory, upto: int) -> list[int]:
        """Which examples the memory keeps, if they are among the first ``upto``, no one twice, each as it came."""
        kept = memory.contents()
        number = (kept.x.long() * 256 ** torch.arange(4)).sum(1)
        if len(set(number.tolist())) < len(kept) or not all(0 <= n < upto for n in number.tolist()):
            raise AssertionError(f"after {upto} examples those numbered {sorted(number.tolist())} are kept")
        none(batch_difference(kept, self.all.rows(number)), "an exemplar is not what was presented")
        return sorted(number.tolist())


def keeps_to_its_capacity(case: Presented) -> None:
    """Never more than ``capacity`` exemplars, never more bytes than were allocated at first."""
    memory = case.memory()
    allocated = memory.num_bytes
    for number in range(case.size):
        case.write(memory, number, number + 1)
        if not len(memory) == len(memory.contents()) <= memory.capacity:
            raise AssertionError(
                f"{len(memory)} exemplars kept ({len(memory.contents())} shown), capacity {memory.capacity}"
            )
        if memory.num_bytes != allocated:
            raise AssertionError(f"{memory.num_bytes} bytes after {number + 1} examples, {allocated} were allocated")


def keeps_what_was_presented(case: Presented) -> None:
    """Exemplars are examples that came, no one twice, each with its own label, task and stored logits, dtypes kept."""
    for upto in (1, case.size // 2, case.size):
        if not case.numbers(case.memory(upto), upto):
            raise AssertionError(f"nothing is kept after {upto} examples")


def does_not_depend_on_batches(case: Presented) -> None:
    """However the stream is cut into batches, the same exemplars lie in the same slots."""
    one = case.memory(case.size).contents()
    for size in (2, 7, case.size):
        memory = case.memory()
        case.write(memory, 0, case.size, size)
        none(batch_difference(one, memory.contents()), f"presented one at a time and {size} at a time")


def state_is_complete(case: Presented) -> None:
    """A memory that took over the state of another goes on like it."""
    end = case.memory(case.size)
    for cut in (0, 1, case.size // 2):
        before = case.memory(cut)
        after = case.memory(case.size // 3)
        after.load_state_dict(before.state_dict())
        none(batch_difference(before.contents(), after.contents()), f"loaded after {cut} examples")
        case.write(after, cut, case.size, 3)
        none(difference(dict(end.state_dict()), dict(after.state_dict())), f"gone on after {cut} examples")


def draws_are_fair_play(case: Presented) -> None:
    """A draw gives different exemplars, as many as asked or there are, by its generator alone, and changes nothing."""
    memory = case.memory()
    if memory.draw(1, generator(0, "draw")) is not None:
        raise AssertionError("draw() of an empty memory must be None")
    case.write(memory, 0, case.size)
    before = {k: v.clone() for k, v in memory.state_dict().items()}
    for size in sorted({1, len(memory) // 2 or 1, len(memory), memory.capacity + 3}):
        one, two = (memory.draw(size, generator(0, "draw", size)) for _ in range(2))
        if one is None or two is None or len(one) != min(size, len(memory)):
            raise AssertionError(f"draw({size}) of {len(memory)} exemplars gave {None if one is None else len(one)}")
        none(batch_difference(one, two), "two draws of one generator")
        numbers = set(map(tuple, one.x.tolist()))
        if len(numbers) < len(one) or not numbers <= set(map(tuple, memory.contents().x.tolist())):
            raise AssertionError(f"draw({size}) gave an exemplar twice, or one that is not kept")
        one.x.zero_()
    none(difference(before, dict(memory.state_dict())), "drawing, or writing into what was drawn, changed the memory")


def leaves_others_alone(case: Presented) -> None:
    """Writing and drawing move no global generator and leave the presented batch as it was."""
    memory, kept = case.memory(), copy_batch(case.all)
    with no_global_randomness("write or draw"):
        case.write(memory, 0, case.size, 5)
        memory.draw(2, generator(0, "draw"))
    none(batch_difference(kept, case.all), "write changed the batch")


def grows_with_the_head(case: Presented) -> None:
    """``grow`` keeps every exemplar and gives stored logits columns of zeros."""
    memory = case.memory(case.size)
    before = memory.contents()
    memory.grow({}, 2 * CLASSES)
    after = memory.contents()
    none(batch_difference(Batch(before.x, before.y, before.task), Batch(after.x, after.y, after.task)), "grow")
    padded = torch.cat([before.stored["logits"], torch.zeros_like(before.stored["logits"])], dim=1)
    none(difference(padded, after.stored["logits"]), "stored logits after grow")


def says_what_was_written(case: Presented) -> None:
    """Rows whose ``written`` is not beyond an earlier ``position`` are as they were then: only others need saving."""
    memory = case.memory()
    saved, at = _copy(memory), memory.position
    for start in range(0, case.size, 7):
        case.write(memory, start, min(start + 7, case.size), 2)
        saved, at = _saved_again(memory, saved, at), memory.position
    memory.grow({}, 2 * CLASSES)
    grown = {name for name, value in memory.state_dict().items() if value.shape != saved[name].shape}
    _saved_again(memory, {k: memory.state_dict()[k].clone().zero_() if k in grown else v for k, v in saved.items()}, at)
    memory.load_state_dict(memory.state_dict())
    if memory.written.any():
        raise AssertionError("after a load no slot is written: set `written` to zeros")


def _copy(memory: Memory) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in memory.state_dict().items()}


def _saved_again(memory: Memory, saved: dict[str, Tensor], at: int) -> dict[str, Tensor]:
    """``saved`` brought up to date by what was written after ``at``; it must then be the memory's state."""
    now, since = _copy(memory), torch.from_numpy(memory.written > at)
    for name in memory.rows:
        saved[name][since] = now[name][since]
    none(
        difference(now, saved | {k: v for k, v in now.items() if k not in memory.rows}), "only rows written were saved"
    )
    return now


def ranks_merge_and_split(case: Presented) -> None:
    """Memories that share a stream become one and are dealt out again, to go on: nothing made up, nothing twice."""
    cut, ranks = case.size // 2, (2, 3)
    memories = [case.memory() for _ in range(ranks[0])]
    for rank, memory in enumerate(memories):
        memory.shard = (rank, ranks[0])
        case.write(memory, 0, cut, 2)
    one = _merged(case, memories, cut)
    shares = [case.memory() for _ in range(ranks[1])]
    for rank, memory in enumerate(shares):
        memory.shard = (rank, ranks[1])
        memory.load_state_dict(one.split(dict(one.state_dict()), rank, ranks[1]))
    if sorted(n for memory in shares for n in case.numbers(memory, cut)) != case.numbers(one, cut):
        raise AssertionError(f"split into {ranks[1]}, exemplars were lost or came twice")
    again = _merged(case, shares, cut)
    case.numbers(again, cut)
    none(difference(_in_order(one), _in_order(again)), "split and merged again")
    for memory in shares:
        case.write(memory, cut, case.size, 2)
    _merged(case, shares, case.size)


def _merged(case: Presented, memories: list[Memory], upto: int) -> Memory:
    """A memory in place of those of all ranks; it keeps some of what they keep, and their states stay as they are."""
    states = [dict(memory.state_dict()) for memory in memories]
    before = [_copy(memory) for memory in memories]
    one = case.memory()
    try:
        one.load_state_dict(one.merge(states))
    except ValueError as error:
        raise AssertionError(f"merge refused the states of {len(states)} ranks: {error}") from error
    none(difference(before, states), "merge changed what it was given")
    kept = case.numbers(one, upto)
    if not kept or not set(kept) <= {n for memory in memories for n in case.numbers(memory, upto)}:
        raise AssertionError(f"of {len(states)} ranks one memory was made that keeps {kept or 'nothing'}")
    return one


def _in_order(memory: Memory) -> dict[str, Tensor]:
    """The state, its rows in an order of their own."""
    order = sorted(range(len(memory)), key=lambda slot: memory.x[slot].tolist())
    state = dict(memory.state_dict())
    return state | {name: state[name][order] for name in memory.rows}


PROMISES: dict[str, Callable[[Presented], None]] = {
    promise.__name__: promise
    for promise in (
        keeps_to_its_capacity,
        keeps_what_was_presented,
        does_not_depend_on_batches,
        state_is_complete,
        draws_are_fair_play,
        leaves_others_alone,
        grows_with_the_head,
        says_what_was_written,
        ranks_merge_and_split,
    )
}


def check_memory(make: Callable[[], Memory], *, exclude: Mapping[str, str] | None = None) -> None:
    """Check that the memories of ``make()`` keep the promises of ``Memory``. A capacity of ten makes a short check.

    ``exclude`` maps the names of promises that are not to be checked to the reason. Raises ``AssertionError`` saying
    which promise is broken and where.

    >>> from perdure.memory import Reservoir
    >>> check_memory(lambda: Reservoir(10))
    """
    keep(PROMISES, Presented(make), exclude or {}, make().name)
