from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import csv, parquet
from sklearn.datasets import load_digits
from torch import Tensor

import perdure
from perdure._random import generator
from perdure.streams import MixedData, Stream, cumulative, task_free
from perdure.streams.files import _assemble, _table, from_file

X, Y = load_digits(return_X_y=True)
X = X.astype(np.float32)
NAMES = [f"pixel {i}" for i in range(64)]
FORMS = ["digits.parquet", "parts", "digits.csv", "digits.csv.gz", "digits.npz"]


def table(x: Any, y: Any, **more: Any) -> pa.Table:
    return pa.table({**{n: x[:, j] for j, n in enumerate(NAMES[: x.shape[1]])}, **more, "digit": y})


def write(path: Path, x: Any = X, y: Any = Y, **more: Any) -> Path:
    """The same rows in the form that the ending of ``path`` asks for."""
    rows = table(x, y, **more)
    if path.name.endswith(".csv"):
        csv.write_csv(rows, path)
    elif path.name.endswith(".csv.gz"):
        with pa.CompressedOutputStream(str(path), "gzip") as out:
            csv.write_csv(rows, out)
    elif path.suffix == ".npz":
        np.savez_compressed(path, pixels=x, digit=y, **more)
    elif path.suffix == ".parquet":
        parquet.write_table(rows, path, row_group_size=500)
    else:
        path.mkdir()
        for i in range(12):  # part 10 comes after part 9
            parquet.write_table(
                rows.slice(i * len(x) // 12, (i + 1) * len(x) // 12 - i * len(x) // 12), path / f"part-{i}.parquet"
            )
    return path


def read(path: Path, **options: Any) -> Stream:
    features = ["pixels"] if path.suffix == ".npz" else NAMES
    return from_file(path, **{"target": "digit", "features": features, **options})


def bag(data: Any, size: int = 100, source: torch.Generator | None = None) -> Counter[tuple[bytes, int]]:
    """The examples as a multiset."""
    found: Counter[tuple[bytes, int]] = Counter()
    for batch in data.batches(size, source):
        found.update((x.tobytes(), y) for x, y in zip(batch.x.numpy(), batch.y.tolist(), strict=True))
    return found


def together(stream: Stream) -> Counter[tuple[bytes, int]]:
    return sum((bag(e.data) for e in (*stream.experiences, *stream.evaluations)), Counter())


def rows_of(x: Any, y: Any) -> Counter[tuple[bytes, int]]:
    return Counter((a.tobytes(), int(b)) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_digits_by_class(tmp_path: Path, name: str) -> None:
    stream = read(write(tmp_path / name))
    assert (stream.setting, stream.num_classes, stream.classes) == ("class-incremental", 10, tuple("0123456789"))
    assert [e.classes for e in stream.experiences] == [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]
    assert stream.example().x.dtype == torch.float32
    for learnt, judged in zip(stream.experiences, stream.evaluations, strict=True):
        of_classes = np.isin(Y, learnt.classes)
        assert bag(learnt.data) + bag(judged.data) == rows_of(X[of_classes], Y[of_classes])
        assert 0.1 < len(judged.data) / of_classes.sum() < 0.3


def test_all_forms_hold_out_the_same_rows(tmp_path: Path) -> None:
    streams = [read(write(tmp_path / name), by="time") for name in FORMS]
    for of_part in zip(*(s.evaluations for s in streams), strict=True):
        batches = [next(e.data.batches(1000)) for e in of_part]
        assert all(torch.equal(b.x, batches[0].x) and torch.equal(b.y, batches[0].y) for b in batches)
    other = read(tmp_path / "digits.npz", by="time", seed=1)
    assert bag(other.evaluations[0].data) != bag(streams[0].evaluations[0].data)


def test_time_keeps_the_order_of_the_file(tmp_path: Path) -> None:
    stream = read(write(tmp_path / "digits.csv"), by="time", experiences=4, holdout=0.1)
    assert stream.setting == "domain-incremental"
    assert [e.name for e in stream.experiences] == ["rows 0–449", "rows 450–898", "rows 899–1347", "rows 1348–1796"]
    edges = [0, 450, 899, 1348, 1797]
    for e, start, stop in zip(stream.experiences, edges, edges[1:], strict=False):
        seen = [x.tobytes() for b in e.data.batches(64) for x in b.x.numpy()]
        whole = iter([x.tobytes() for x in X[start:stop]])
        assert all(row in whole for row in seen)  # a subsequence


@pytest.mark.parametrize("limit", [512, 1])
def test_without_boundaries_time_order_is_kept(tmp_path: Path, limit: int) -> None:
    """Each value of the first feature is the number of its row; a learner without boundaries sees them ascend."""
    x = LARGE.copy()
    x[:, 0] = np.arange(len(x))
    stream = task_free(read(write(tmp_path / "d.parquet", x, LARGE_Y), by="time", memory_limit_mb=limit))
    learner = perdure.build("finetune", perdure.nn.linear((64,), 10), lambda p: torch.optim.SGD(p, lr=1e-9))
    seen: list[Tensor] = []
    observe = learner.observe
    learner.observe = lambda batch, **more: seen.append(batch.x[:, 0]) or observe(batch, **more)
    perdure.run(learner, stream, batch_size=64, evaluate_every=0)
    assert (torch.cat(seen).diff() > 0).all()


def test_a_column_makes_experiences_and_is_no_feature(tmp_path: Path) -> None:
    site = np.array(["north", "east", "south"])[np.arange(len(X)) % 3]
    for name in ("digits.parquet", "digits.npz", "digits.csv"):
        path = write(tmp_path / name, site=site)
        features = ["pixels"] if name == "digits.npz" else None
        stream = read(path, by="column:site", features=features)
        assert [e.name for e in stream.experiences] == ["site north", "site east", "site south"]
        assert stream.example().x.shape == (1, 64)
        for i, pair in enumerate(zip(stream.experiences, stream.evaluations, strict=True)):
            assert sum((bag(e.data) for e in pair), Counter()) == rows_of(X[i::3], Y[i::3])
        ordered = read(path, by="column:site", features=features, order=["south", "north", "east"])
        assert [e.name for e in ordered.experiences] == ["site south", "site north", "site east"]


def test_a_column_of_numbers_is_sorted(tmp_path: Path) -> None:
    day = np.array([10, 9, 2.5])[np.arange(len(X)) % 3]
    for name in ("digits.parquet", "digits.csv"):
        stream = read(write(tmp_path / name, day=day), by="column:day")
        assert [float(e.name.split()[1]) for e in stream.experiences] == [2.5, 9, 10]


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([30, 10, 20], ("10", "20", "30")),
        ([2.0, 0.0, 10.0], ("0", "2", "10")),
        (["b", "c", "a"], ("a", "b", "c")),
        (["10", "9", "8"], ("8", "9", "10")),
    ],
)
@pytest.mark.parametrize("name", FORMS)
def test_classes_are_the_sorted_values(tmp_path: Path, name: str, values: list[Any], classes: tuple[str, ...]) -> None:
    y = np.array(values)[np.arange(90) % 3]
    stream = read(write(tmp_path / name, X[:90], y), experiences=3)
    assert stream.classes == classes
    rank = sorted(range(3), key=[classes.index(str(v).removesuffix(".0")) for v in values].__getitem__)
    for c, e in enumerate(stream.experiences):
        assert bag(e.data) + bag(stream.evaluations[c].data) == rows_of(X[rank[c] : 90 : 3], [c] * 30)
    assert [e.name for e in read(tmp_path / name, experiences=3, order=values).experiences] == [
        f"class {str(v).removesuffix('.0')}" for v in values
    ]


def test_tasks_are_told(tmp_path: Path) -> None:
    stream = read(write(tmp_path / "digits.parquet"), task=True)
    assert stream.setting == "task-incremental"
    for e in (*stream.experiences, *stream.evaluations):
        assert e.task == e.index
        assert {t for b in e.data.batches(50) for t in b.task.tolist()} == {e.index}
    with pytest.raises(ValueError, match="alone in its task"):
        read(tmp_path / "digits.parquet", task=True, experiences=6)


def test_a_test_file_is_judged_on(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.npz", "a.csv"):
        stream = read(
            write(tmp_path / name, X[:1000], Y[:1000]), test=write(tmp_path / f"test-{name}", X[1000:], Y[1000:])
        )
        assert sum((bag(e.data) for e in stream.experiences), Counter()) == rows_of(X[:1000], Y[:1000])
        assert sum((bag(e.data) for e in stream.evaluations), Counter()) == rows_of(X[1000:], Y[1000:])
    y = Y[1000:].copy()
    y[7] = 11
    with pytest.raises(ValueError, match=r"'digit' is 11 in row 7 .*does not occur"):
        read(tmp_path / "a.csv", test=write(tmp_path / "other.csv", X[1000:], y))


def test_a_test_file_is_divided_by_the_same_column(tmp_path: Path) -> None:
    site = np.array(["north", "east"])[np.arange(len(X)) % 2]
    options = {"by": "column:site", "memory_limit_mb": 1}
    path = write(tmp_path / "a.parquet", LARGE, LARGE_Y, site=np.tile(site, 4))
    stream = read(path, test=write(tmp_path / "b.parquet", X, Y, site=site[::-1]), **options)
    east = np.tile(site, 4) == "east"
    assert bag(stream.experiences[1].data) == rows_of(LARGE[east], LARGE_Y[east])
    for e, name in zip(stream.evaluations, ("north", "east"), strict=True):
        assert bag(e.data) == rows_of(X[site[::-1] == name], Y[site[::-1] == name])
    other = write(tmp_path / "c.parquet", X, Y, site=np.where(np.arange(len(X)) == 5, "west", site))
    with pytest.raises(ValueError, match=r"'site' is 'west' in row 5 .*does not occur"):
        read(path, test=other, **options)


def test_images_in_npz_stay_uint8(tmp_path: Path) -> None:
    images = X.reshape(-1, 1, 8, 8).astype(np.uint8)
    for form in (images, np.asfortranarray(images)):
        np.savez(tmp_path / "d.npz", x=form, y=Y)
        stream = from_file(tmp_path / "d.npz")
        assert (stream.example().x.dtype, stream.example().x.shape[1:]) == (torch.uint8, (1, 8, 8))
        assert together(stream) == rows_of(images, Y)


def test_other_numeric_types_become_float32(tmp_path: Path) -> None:
    x = X[:60].astype(np.int64)
    columns = {
        "flag": pa.array([True, False] * 30),
        "count": pa.array(x[:, 5], pa.uint16()),
        "money": pa.array(x[:, 6]).cast(pa.decimal128(22, 2)),
        "note": ["text"] * 60,
    }
    kind = pa.array(["even", "odd"] * 30).dictionary_encode()
    parquet.write_table(pa.table({**columns, "kind": kind}), tmp_path / "t.parquet")
    stream = from_file(tmp_path / "t.parquet", target="kind", experiences=1)
    expected = np.stack([np.arange(60) % 2 == 0, x[:, 5], x[:, 6]], 1).astype(np.float32)
    assert together(stream) == rows_of(expected, np.arange(60) % 2)
    assert "Columns left out: note." in stream.notes


LARGE = np.tile(X, (4, 1)) + np.repeat(np.arange(4, dtype=np.float32) / 8, len(X))[:, None]
LARGE_Y = np.tile(Y, 4)


@pytest.mark.parametrize("by", ["classes", "time", "column:site"])
@pytest.mark.parametrize("name", [name for name in FORMS if not name.endswith(".gz")])
def test_larger_than_memory_gives_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, by: str
) -> None:
    monkeypatch.setattr(_table, "WINDOW_BYTES", 256 * 300)
    path = write(tmp_path / name, LARGE, LARGE_Y, site=np.arange(len(LARGE)) // 3000)
    held, streamed = (read(path, by=by, memory_limit_mb=limit) for limit in (512, 1))
    assert type(streamed.experiences[0].data).__name__ == "TableData"
    for a, b in zip(held.evaluations, streamed.evaluations, strict=True):
        assert (a.name, a.classes, bag(a.data)) == (b.name, b.classes, bag(b.data))
    for a, b in zip(held.experiences, streamed.experiences, strict=True):
        assert (a.name, a.classes, len(a.data)) == (b.name, b.classes, len(b.data))
        in_order = [torch.cat([batch.x for batch in e.data.batches(33)]) for e in (a, b)]
        assert torch.equal(*in_order)
        assert bag(a.data) == bag(b.data, 97, generator(0, "shuffle"))


def test_streamed_experiences_accumulate_as_those_in_memory_do(tmp_path: Path) -> None:
    path = write(tmp_path / "d.parquet", LARGE, LARGE_Y)
    held, streamed = (cumulative(read(path, by="time", memory_limit_mb=limit)) for limit in (512, 1))
    for a, b in zip(held.experiences, streamed.experiences, strict=True):
        assert isinstance(b.data, MixedData)
        assert bag(a.data) == bag(b.data, source=torch.Generator().manual_seed(0))


def test_streamed_shuffle_is_addressed_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_table, "WINDOW_BYTES", 256 * 1000)
    n = len(LARGE)
    x = LARGE.copy()
    x[:, 0] = np.arange(n)
    data = read(write(tmp_path / "d.csv", x, LARGE_Y), by="time", experiences=1, memory_limit_mb=1).experiences[0].data

    def order(seed: int) -> torch.Tensor:
        return torch.cat([b.x[:, 0] for b in data.batches(64, generator(seed, "s"))])

    first = order(0)
    assert torch.equal(first, order(0))
    assert not torch.equal(first, order(1))
    assert [len(b) for b in data.batches(1000)] == [1000] * (len(data) // 1000) + [len(data) % 1000]
    ranks = first.argsort().argsort().double()
    moved = (ranks - torch.arange(len(first))).abs()
    assert moved.mean() > 150  # of a window of 1000
    in_place = first.diff().abs().le(2).double().mean()
    assert in_place < 0.02  # neighbours are torn apart


def test_row_groups_come_in_random_order_and_only_those_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_table, "WINDOW_BYTES", 256 * 10)
    path = write(tmp_path / "d.parquet", LARGE, LARGE_Y)
    data: Any = read(path, by="time", memory_limit_mb=1).experiences[1].data
    asked: list[int] = []
    inner = data._plan.source._examples
    monkeypatch.setattr(data._plan.source, "_examples", lambda chunk: (asked.append(chunk), inner(chunk))[1])
    bag(data, 100, generator(3, "s"))
    assert sorted(asked) == [2, 3, 4, 5]  # rows 1438 to 2875 in groups of 500
    assert asked != sorted(asked)


def test_judged_rows_of_a_large_file_are_capped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_assemble, "JUDGED_ROWS", 40)
    path = write(tmp_path / "d.parquet", LARGE, LARGE_Y)
    streamed, held = read(path, memory_limit_mb=1), read(path)
    for small, whole in zip(streamed.evaluations, held.evaluations, strict=True):
        assert len(small.data) == 40
        assert not bag(small.data) - bag(whole.data)
    assert "Judged on at most 40 held-out rows of each experience, drawn by the seed." in streamed.notes


def test_a_file_that_changed_is_not_read_on(tmp_path: Path) -> None:
    path = write(tmp_path / "d.parquet", LARGE, LARGE_Y)
    data = read(path, memory_limit_mb=1).experiences[0].data
    parquet.write_table(table(LARGE[::-1], LARGE_Y[::-1]).slice(1), path)
    with pytest.raises(ValueError, match="has changed since the stream was made"):
        next(data.batches(10))


def test_electricity_in_order_of_time(perdure_data: Path) -> None:
    path = perdure_data / "electricity" / "electricity.csv.gz"
    stream = from_file(path, target="class", by="time", experiences=5)
    assert (stream.name, stream.setting, stream.classes) == ("electricity", "domain-incremental", ("0", "1"))
    sizes = [len(a.data) + len(b.data) for a, b in zip(stream.experiences, stream.evaluations, strict=True)]
    assert sizes == [9063, 9063, 9062, 9062, 9062]
    y = torch.cat([b.y for e in (*stream.experiences, *stream.evaluations) for b in e.data.batches(9999)])
    assert len(y) == 45_312
    assert round(100 * y.double().mean().item(), 2) == 42.45  # the documented share of "above"
    assert next(stream.experiences[0].data.batches(1)).x.shape == (1, 6)
