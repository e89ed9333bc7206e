import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from perdure.streams import ArrayData, ConcatData

X, Y = load_digits(return_X_y=True)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def everything(data, size, generator=None):
    batches = list(data.batches(size, generator))
    return torch.cat([b.x for b in batches]), torch.cat([b.y for b in batches])


@given(n=st.integers(1, 60), size=st.integers(1, 70), chunk=st.sampled_from([1, 24, 1 << 20]), data=st.data())
@settings(deadline=None, max_examples=60)
def test_each_example_once_an_epoch_in_full_batches(n, size, chunk, data):
    index = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True))
    view = ArrayData(np.arange(n), np.zeros(n, dtype=int), index=index)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ArrayData, "chunk_bytes", chunk)
        stored = [b.x for b in view.batches(size)]
        mixed = [b.x for b in view.batches(size, seeded())]
    assert torch.cat(stored).tolist() == index
    assert sorted(torch.cat(mixed).tolist()) == sorted(index)
    for batches in (stored, mixed):
        assert all(len(b) == size for b in batches[:-1])
        assert 1 <= len(batches[-1]) <= size


def test_order_depends_on_the_generator_alone(monkeypatch):
    data = ArrayData(X, Y)
    expected = torch.from_numpy(X)[torch.randperm(len(X), generator=seeded(3))]
    for chunk in (1, 64 * 8 * 7, 1 << 30):
        for size in (1, 10, 33):
            monkeypatch.setattr(ArrayData, "chunk_bytes", chunk)
            assert torch.equal(everything(data, size, seeded(3))[0], expected)
    assert not torch.equal(everything(data, 10, seeded(4))[0], expected)


def test_the_permutation_is_drawn_at_the_call():
    data, generator = ArrayData(X, Y), seeded()
    first, second = data.batches(10, generator), data.batches(10, generator)
    late = torch.cat([b.x for b in second])
    assert torch.equal(torch.cat([b.x for b in first]), everything(data, 10, seeded())[0])
    assert not torch.equal(late, everything(data, 10, seeded())[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32, np.float64, np.float16, bool])
def test_arrays_and_tensors_give_the_same_batches_and_keep_their_dtype(dtype):
    array = X.astype(dtype).reshape(-1, 1, 8, 8)
    tensor = torch.from_numpy(array.copy())
    (a, ya), (t, yt) = (everything(ArrayData(x, Y), 100, seeded()) for x in (array, tensor))
    assert a.dtype == t.dtype == tensor.dtype
    assert torch.equal(a, t)
    assert torch.equal(ya, yt)
    assert ya.dtype == torch.int64


@pytest.mark.parametrize("labels", [Y.astype(np.uint8), Y.tolist(), torch.from_numpy(Y).int(), Y > 4], ids=type)
def test_labels_of_any_integer_kind_become_int64(labels):
    found = ArrayData(X, labels).labels
    assert found.dtype == torch.int64
    assert found.tolist() == [int(label) for label in labels]


def test_views_share_storage_and_a_batch_never_writes_to_it():
    tensor = torch.from_numpy(X.copy())
    data = ArrayData(tensor, Y)
    view = data.select(torch.tensor([5, 3])).select(torch.tensor([1]))
    tensor[3] = 7
    batch = next(view.batches(4))
    assert (batch.x == 7).all()
    batch.x.zero_()
    assert (tensor[3] == 7).all()


def test_task_is_told_for_each_example():
    data = ArrayData(X, Y)
    assert next(data.batches(5)).task is None
    batch = list(data.told(3).batches(1000))[-1]
    assert batch.task.dtype == torch.int64
    assert batch.task.tolist() == [3] * 797
    assert data.told(1).told(None).tasks.unique().tolist() == [1]


def test_transforms_apply_in_order_and_relabelling_leaves_x_alone():
    data = ArrayData(X, Y, transform=lambda x: x + 1).through(lambda x: x * 2)
    mapping = torch.arange(10).flip(0)
    x, y = everything(data.relabel(mapping), 100)
    assert torch.equal(x, (torch.from_numpy(X) + 1) * 2)
    assert y.tolist() == (9 - Y).tolist()


def test_strided_and_read_only_arrays_work():
    fortran = np.asfortranarray(X)
    fortran.flags.writeable = False
    assert torch.equal(everything(ArrayData(fortran[::-1], Y), 64)[0], torch.from_numpy(X[::-1].copy()))


def test_a_memory_map_is_read_without_loading_it(tmp_path):
    n, width = 50_000, 1000  # 50 MB
    path = tmp_path / "x.npy"
    written = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(n, width))
    written[:, 0] = np.arange(n) % 251
    written.flush()
    del written
    data = ArrayData(np.load(path, mmap_mode="r"), np.arange(n) % 251)
    tracemalloc.start()
    wrong = sum(int((b.x[:, 0] != b.y).sum()) for b in data.batches(64, seeded()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert wrong == 0
    assert 1 << 20 < peak < 24 << 20


def test_the_first_batch_costs_one_batch():
    seen = []
    data = ArrayData(X, Y, transform=lambda x: seen.append(len(x)) or x)
    next(data.batches(1))
    assert seen == [1]


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5), size=st.integers(1, 20))
@settings(deadline=None, max_examples=40)
def test_joined_data_shuffle_as_one(sizes, size):
    n = sum(sizes)
    x, y = torch.from_numpy(X[:n]), torch.from_numpy(Y[:n])
    whole = ArrayData(x, y)
    parts = [ArrayData(a, b) for a, b in zip(x.split(sizes), y.split(sizes), strict=True)]
    for one, two in zip(whole.batches(size, seeded()), ConcatData(parts).batches(size, seeded()), strict=True):
        assert torch.equal(one.x, two.x)
        assert torch.equal(one.y, two.y)


def test_joined_data_keep_each_parts_task_and_transform():
    parts = [ArrayData(X, Y, task=0), ArrayData(X, Y, task=1, transform=torch.neg, index=[7, 8])]
    joined = ConcatData(parts)
    last = joined.select(torch.tensor([1798, 0, 1797]))
    batch = next(last.batches(3))
    assert batch.task.tolist() == [1, 0, 1]
    assert torch.equal(batch.x, torch.from_numpy(np.stack([-X[8], X[0], -X[7]])))
    assert batch.y.tolist() == [Y[8], Y[0], Y[7]]


def test_data_of_different_kinds_do_not_join():
    with pytest.raises(ValueError, match="parts differ"):
        ConcatData([ArrayData(X, Y), ArrayData(X.astype(np.float32), Y)])
    with pytest.raises(ValueError, match="parts differ"):
        ConcatData([ArrayData(X, Y), ArrayData(X, Y, task=0)])
    with pytest.raises(ValueError, match="at least one part"):
        ConcatData([])


@pytest.mark.parametrize(
    ("x", "y", "index", "message"),
    [
        (X, Y[:-1], None, "x has 1797 rows but y has 1796"),
        (X, Y.astype(float), None, r"dtype float64, integers are wanted: .*return_inverse"),
        (X, np.full(1797, np.nan), None, "dtype float64"),
        (X, torch.zeros(1797), None, "dtype torch.float32"),
        (X, Y.astype(str), None, "dtype <U21"),
        (X, Y - 1, None, "negative number -1"),
        (X, Y[:, None], None, r"y has shape \(1797, 1\)"),
        (X.tolist(), Y, None, r"x is a list: give an array"),
        (X.astype(object), Y, None, "dtype object, which PyTorch lacks"),
        (X.astype(">f4"), Y, None, "dtype >f4, which PyTorch lacks"),
        (X, Y, [1797], "index runs from 1797 to 1797: rows are 0 to 1796"),
        (X, Y, [-1], "index runs from -1"),
        (X, Y, Y > 3, "give a list of row numbers"),
        (X, Y, np.zeros(0, dtype=int), "no examples"),
        (X[:0], Y[:0], None, "no examples"),
    ],
)
def test_bad_input_is_refused_with_a_remedy(x, y, index, message):
    with pytest.raises(ValueError, match=message):
        ArrayData(x, y, index=index)


def test_batches_of_no_example_are_refused():
    with pytest.raises(ValueError, match="batch size 0"):
        ArrayData(X, Y).batches(0)
