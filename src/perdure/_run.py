"""The one loop: feed a stream to a learner and look at it while it learns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from perdure._contract import ContinualLearner
from perdure._random import generator
from perdure._records import Batch, Experience, join_batches
from perdure.evaluation import Cost, Curve, Evaluator, Record
from perdure.streams import Stream, cumulative

Progress = Callable[[int, int, str], None]
TELL_EVERY_SECONDS = 0.1
LOOKS_PER_EXPERIENCE = 20


def run(
    learner: ContinualLearner,
    stream: Stream,
    *,
    epochs: int = 1,
    batch_size: int = 32,
    seed: int = 0,
    evaluate_every: int | None = None,
    evaluation_samples: int = 1000,
    progress: Progress | None = None,
) -> Record:
    """Learn ``stream`` with ``learner`` and return what was seen.

    Held-out accuracy on all experiences is measured before learning and after each experience, on all held-out data;
    and while learning, on ``evaluation_samples`` fixed examples an experience: after every ``evaluate_every`` updates
    of an experience, or (None) after 1, 2, 4, ... of them and about 20 times in it, so that the dip at a change is
    seen, and at its end; 0 looks at boundaries only. ``seed`` addresses the order of examples and the evaluation
    samples: equal seeds give every method the same. A last batch of a single example joins the one before: batch
    normalization cannot learn from one. ``progress(done, total, text)`` is called about ten times a second. Raises
    ``ValueError`` before learning if learner and stream do not fit.
    """
    _check(learner, stream, epochs, batch_size)
    if evaluation_samples < 1 or (evaluate_every is not None and evaluate_every < 0):
        raise ValueError(
            f"evaluation_samples={evaluation_samples}, evaluate_every={evaluate_every}: look at 1 example or more, and "
            "every 1 update or more, or 0 for boundaries only"
        )
    fed = cumulative(stream) if learner.data == "so-far" else stream
    kept = _num_bytes(fed.experiences[-1]) if learner.data == "so-far" else 0
    watch = _Watch(learner, Evaluator(stream, evaluation_samples, seed), progress, _total(fed, epochs, batch_size))
    matrix: list[list[float]] = []
    changes: list[int] = []
    for experience in fed.experiences:
        changes.append(watch.updates)
        if fed.boundaries:
            learner.begin(experience)
        if not matrix:
            matrix.append(watch.matrix_row())
        looks = _looks(_num_batches(experience, batch_size) * epochs, evaluate_every)
        strict = fed.ordered and not fed.boundaries
        for number, (epoch, batch) in enumerate(_feed(experience, epochs, batch_size, seed, strict), start=1):
            learner.observe(batch, first_pass=epoch == 0)
            watch.after_update(experience, len(batch))
            if number in looks:
                watch.look()
        if fed.boundaries:
            learner.end()
        if evaluate_every != 0:
            watch.look()
        matrix.append(watch.matrix_row())
    return Record(
        method=learner.name or type(learner).__name__,
        seed=seed,
        data=stream.name,
        setting=stream.setting,
        experiences=[e.name or f"experience {e.index + 1}" for e in stream.evaluations],
        accuracy=matrix,
        curve=watch.curve,
        changes=changes,
        cost=watch.cost(kept),
        epochs=epochs,
        batch_size=batch_size,
        notes=stream.notes,
    )


class _Watch:
    """Counts, times and looks; time spent looking is kept apart from time spent learning."""

    def __init__(self, learner: ContinualLearner, evaluator: Evaluator, progress: Progress | None, total: int) -> None:
        self.learner, self.evaluator, self.progress, self.total = learner, evaluator, progress, total
        self.curve = Curve([], [])
        self.updates = self.samples = 0
        self.evaluation_seconds = 0.0
        self.started = self.told = time.perf_counter()

    def look(self) -> None:
        self.curve.updates.append(self.updates)
        self.curve.accuracy.append(self._timed(self.evaluator.look))

    def after_update(self, experience: Experience, size: int) -> None:
        self.updates += 1
        self.samples += size
        if self.progress is not None:
            now = time.perf_counter()
            if now - self.told >= TELL_EVERY_SECONDS or self.updates == self.total:
                self.told = now
                self.progress(self.updates, self.total, experience.name)

    def matrix_row(self) -> list[float]:
        return self._timed(self.evaluator.matrix_row)

    def _timed(self, measure: Callable[[ContinualLearner], list[float]]) -> list[float]:
        started, updates = time.perf_counter(), self.learner.num_updates
        row = measure(self.learner)
        if self.learner.num_updates == updates:  # one that trains when asked does so on its own time
            self.evaluation_seconds += time.perf_counter() - started
        return row

    def cost(self, kept: int) -> Cost:
        """``kept``: bytes of stream data that had to be at hand again, beside the learner's memories."""
        return Cost(
            train_seconds=time.perf_counter() - self.started - self.evaluation_seconds,
            evaluation_seconds=self.evaluation_seconds,
            updates=self.learner.num_updates,
            samples=self.samples,
            processed=self.learner.num_processed,
            memory_bytes=self.learner.memory_bytes + kept,
            parameters=self.learner.num_parameters,
        )


def _check(learner: ContinualLearner, stream: Stream, epochs: int, batch_size: int) -> None:
    if epochs < 1 or batch_size < 1:
        raise ValueError(f"epochs={epochs}, batch_size={batch_size}: both must be at least 1")
    if not stream.boundaries and learner.needs_boundaries:
        name = learner.name or "this learner"
        raise ValueError(f"{name} needs boundaries between experiences, and a {stream.setting} stream shows none")
    if not stream.boundaries and epochs > 1:
        raise ValueError(f"epochs={epochs}: a {stream.setting} stream is seen once; use epochs=1")


def _feed(experience: Experience, epochs: int, batch_size: int, seed: int, strict: bool) -> Iterator[tuple[int, Batch]]:
    """Epoch and batch; in stored order if ``strict``, else shuffled. A last batch of one joins the one before."""
    assert experience.data is not None
    for epoch in range(epochs):
        order = None if strict else generator(seed, f"order/{experience.index}", epoch)
        before: Batch | None = None
        for batch in experience.data.batches(batch_size, order):
            if before is not None and len(batch) == 1 < batch_size:
                before = join_batches([before, batch])
                continue
            if before is not None:
                yield epoch, before
            before = batch
        if before is not None:
            yield epoch, before


def _num_bytes(experience: Experience) -> int:
    """Bytes of an experience's examples and labels."""
    assert experience.data is not None
    example = next(iter(experience.data.batches(1)))
    return len(experience.data) * (example.x.nbytes + example.y.nbytes)


def _num_batches(experience: Experience, batch_size: int) -> int:
    assert experience.data is not None
    full, rest = divmod(len(experience.data), batch_size)
    return full + (rest > 1 or (rest == 1 and not full))


def _total(stream: Stream, epochs: int, batch_size: int) -> int:
    return sum(_num_batches(e, batch_size) for e in stream.experiences) * epochs


def _looks(updates: int, every: int | None) -> frozenset[int]:
    """After which updates of an experience to look; the last is left to the look after its end."""
    if every == 0:
        return frozenset()
    if every is not None:
        return frozenset(range(every, updates, every))
    regular = max(1, updates // LOOKS_PER_EXPERIENCE)
    early = (2**i for i in range(updates.bit_length()))
    return frozenset(n for n in (*early, *range(regular, updates, regular)) if n < updates)
