"""A pass that starts at batch k gives, to the bit, what a full pass gives from batch k on."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

from perdure import generator
from perdure.checks import check_stream
from perdure.streams import (
    ArrayData,
    ConcatData,
    DatasetData,
    MixedData,
    class_incremental,
    from_file,
    from_folder,
    rotated,
)
from perdure.streams.files import _table

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (60, 1, 5, 5), dtype=np.uint8)
Y = np.arange(60) % 3


def mean(x):
    """A transform of floating point that, wrongly, looks at more than one example: the chunk must be the same."""
    return x.float() + x.float().mean(0)


class Sequential:
    """Hides the random access of its data."""

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def batches(self, size, generator=None, start=0):
        return self.data.batches(size, generator, start)


def arrays(n, transform=mean):
    return ArrayData(X[:n], Y[:n], task=n, transform=transform)


def items(n):
    return DatasetData([(torch.from_numpy(x).float(), int(y)) for x, y in zip(X[:n], Y[:n], strict=True)])


def mixed(n):
    return MixedData([Sequential(arrays(n, rotated(30))), Sequential(arrays(n, rotated(9))), arrays(1, rotated(8))])


MADE = {
    "arrays": arrays,
    "view": lambda n: arrays(n).select(torch.arange(n).flip(0)),
    "joined": lambda n: ConcatData([arrays(n), arrays(3)]),
    "items": items,
    "mixed": mixed,
    "mixed twice": lambda n: MixedData([mixed(n), mixed(2)]),
}


def same(one, two):
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        assert a.x.dtype == b.x.dtype
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)
        assert (a.task is None) == (b.task is None)
        assert a.task is None or torch.equal(a.task, b.task)


def starts_anywhere(data, size, start, order):
    whole = list(data.batches(size, order()))
    same(list(data.batches(size, order(), start=start)), whole[start:])


def order_of(seed):
    return lambda: None if seed is None else generator(seed, "order")


PASS = {"size": st.integers(1, 70), "start": st.integers(0, 65), "seed": st.none() | st.integers(0, 9)}


@pytest.mark.parametrize("kind", MADE)
@settings(max_examples=60)
@given(n=st.integers(1, 60), chunk=st.sampled_from([1, 100, 1000, 1 << 20]), **PASS)
def test_in_memory(kind, n, chunk, size, start, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ArrayData, "chunk_bytes", chunk)
        starts_anywhere(MADE[kind](n), size, start, order_of(seed))


@pytest.fixture(scope="module")
def read():
    """Data of each kind that is read from files at each pass."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        n = 7000
        x = RNG.normal(size=(n, 40)).astype(np.float32)
        table = pa.table({f"f{j}": x[:, j] for j in range(40)} | {"y": np.arange(n) % 3})
        parquet.write_table(table, folder / "t.parquet", row_group_size=501)
        np.savez(folder / "t.npz", x=x, y=np.arange(n) % 3)
        for i, image in enumerate(X):
            (folder / "images" / str(Y[i])).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0]).resize((160, 160)).save(folder / "images" / str(Y[i]) / f"{i}.png")
        options = {"experiences": 2, "memory_limit_mb": 1}
        streams = {
            "parquet": from_file(folder / "t.parquet", by="time", **options),
            "told": from_file(folder / "t.parquet", experiences=1, task=True, memory_limit_mb=1),
            "npz": from_file(folder / "t.npz", **options),
            "images": from_folder(folder / "images", **options),
        }
        yield {kind: [e.data for e in stream.experiences] for kind, stream in streams.items()}


@pytest.mark.parametrize("kind", ["parquet", "told", "npz", "images"])
@settings(max_examples=12)
@given(
    size=st.sampled_from([1, 7, 64, 700, 9000]),
    share=st.floats(0, 1.1),
    seed=PASS["seed"],
    window=st.sampled_from([1000, 100_000]),
)
def test_from_files(read, kind, size, share, seed, window):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_table, "WINDOW_BYTES", window)
        for data in read[kind]:
            starts_anywhere(data, size, int(share * len(data) / size), order_of(seed))


def test_kinds_are_what_they_should_be(read):
    kinds = {kind: {type(data).__name__ for data in made} for kind, made in read.items()}
    assert kinds == {"parquet": {"TableData"}, "told": {"TableData"}, "npz": {"TableData"}, "images": {"ImageData"}}


def test_row_groups_that_hold_left_out_rows_alone_are_not_read(read, monkeypatch):
    data = read["parquet"][1]
    source = data._plan.source
    asked = []
    monkeypatch.setattr(source, "_examples", lambda chunk, read=source._examples: asked.append(chunk) or read(chunk))
    list(data.batches(10, None, len(data) // 10 - 1))
    assert asked == [len(source.starts) - 1]
    asked.clear()
    assert list(data.batches(10, None, len(data))) == []
    assert asked == []


def test_items_before_the_start_are_not_fetched():
    fetched = []

    class Items:
        def __len__(self):
            return 60

        def __getitem__(self, i):
            fetched.append(i)
            return X[i], 0

    data = DatasetData(Items(), targets=Y)
    next(data.batches(7, None, 3))
    assert fetched == list(range(21, 28))
    joined = ConcatData([data, ArrayData(X, Y)])
    fetched.clear()
    next(MixedData([Sequential(joined)]).batches(7, None, 3))
    assert fetched == list(range(21, 28))


@pytest.mark.parametrize("kind", MADE)
def test_before_the_beginning_is_refused_and_past_the_end_is_nothing(kind):
    data = MADE[kind](5)
    with pytest.raises(ValueError, match="start=-1: give the number of batches to leave out"):
        data.batches(2, None, -1)
    assert list(data.batches(2, None, 10**9)) == []


class Restarting(ArrayData):
    """Leaves out nothing."""

    def batches(self, size, generator=None, start=0):
        return super().batches(size, generator)


class Reshuffling(ArrayData):
    """Shuffles what is left, not the whole."""

    def batches(self, size, generator=None, start=0):
        if generator is None:
            return super().batches(size, None, start)
        rest = torch.arange(min(len(self), start * size), len(self))
        return ArrayData(self._x[rest], self.labels[rest]).batches(size, generator) if len(rest) else iter(())


@pytest.mark.parametrize("kind", [Restarting, Reshuffling])
def test_check_stream_finds_a_wrong_start(kind):
    stream = class_incremental((X, Y), experiences=1, holdout=0.5)
    check_stream(stream)
    first = stream.experiences[0]
    whole = next(first.data.batches(60))
    spoilt = replace(stream, experiences=(replace(first, data=kind(whole.x, whole.y)),))
    with pytest.raises(AssertionError, match="breaks the promise 'a_pass_starts_at_any_batch'"):
        check_stream(spoilt)


def test_files_refuse_to_start_before_the_beginning(read):
    for made in read.values():
        with pytest.raises(ValueError, match="start=-3"):
            made[0].batches(2, None, -3)
