"""CIFAR-100's three layouts, its pickles that may not run anything, and the cache of decoded images."""

import dataclasses
import gzip
import io
import os
import pickle
import pickletools
import tarfile
import zipfile

import numpy as np
import pytest

from perdure.datasets import load
from perdure.datasets._cached import cached
from perdure.datasets._catalogue import CATALOGUE
from perdure.datasets._pickles import read_pickle

KEPT = {"train": 5, "test": 2}  # rows per class of the small official files made here


def as_python2(content):
    """A pickle as the official ones are: protocol 2, plain strings for text and bytes, numpy under its old name."""
    plain = {"BINBYTES": b"T", "BINUNICODE": b"T", "SHORT_BINBYTES": b"U"}  # the same argument follows each
    content = bytearray(content)
    for opcode, _, at in pickletools.genops(bytes(content)):
        if opcode.name in plain:
            content[at : at + 1] = plain[opcode.name]
    content[1] = 2
    return bytes(content).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def official(x, y, names):
    """The content of an official file."""
    fields = {
        b"filenames": [name.encode() for name in names],
        b"batch_label": b"batch 1 of 1",
        b"fine_labels": y.tolist(),
        b"coarse_labels": (y // 5).tolist(),
        b"data": x.reshape(len(x), -1),
    }
    return as_python2(pickle.dumps(fields, protocol=3))


@pytest.fixture
def small(cifar, data, monkeypatch, tmp_path):
    """Some rows of each class as official files, shuffled; returns their folder and the rows in the order to expect."""
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    expected = {}
    for part, per_class in KEPT.items():
        x, y = getattr(cifar[0], part)
        with gzip.open(data / "cifar100" / f"{part}_filenames.txt.gz", "rt") as file:
            names = [line.strip().rpartition("/")[2] for line in file]
        rows = np.concatenate([np.flatnonzero(y == c)[:per_class] for c in range(100)])
        expected[part] = (x[rows], y[rows])
        shuffled = np.random.default_rng(0).permutation(rows)
        (folder / part).write_bytes(official(x[shuffled], y[shuffled], [names[row] for row in shuffled]))
    info = dataclasses.replace(CATALOGUE["cifar100"], train_size=100 * KEPT["train"], test_size=100 * KEPT["test"])
    monkeypatch.setitem(CATALOGUE, "cifar100", info)
    return folder, expected


def packed(path, folder, names=("meta", "test", "train")):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            (folder / "meta").write_bytes(b"not read")
            archive.add(folder / name, f"cifar-100-python/{name}")
    return path


def assert_same(dataset, expected):
    for part, (x, y) in expected.items():
        found_x, found_y = getattr(dataset, part)
        assert (found_x == x).all()
        assert (found_y == y).all()
        assert found_x.flags.writeable


def test_official_pickles_give_the_rows_of_the_strips(small, alone):
    folder, expected = small
    assert_same(load("cifar100", root=folder.parent, download=False), expected)


def test_the_official_archive_gives_them_too_then_comes_from_the_cache(small, alone):
    folder, expected = small
    packed(alone / "cifar100" / "cifar-100-python.tar.gz", folder)
    assert_same(load("cifar100", download=False), expected)
    assert len(list((alone / "decoded").iterdir())) == 1
    assert_same(load("cifar100", download=False), expected)


def test_strips_are_decoded_once(cifar, data, monkeypatch):
    dataset, cache = cifar
    monkeypatch.setenv("PERDURE_CACHE", str(cache))
    monkeypatch.setattr("PIL.Image.open", lambda *_, **__: pytest.fail("decoded again"))
    again = load("cifar100", root=data, download=False)
    assert (again.train[0] == dataset.train[0]).all()
    assert (again.test[1] == dataset.test[1]).all()
    assert [path.suffix for path in (cache / "decoded").iterdir()] == [".npz"]


class Runs:
    """Something that runs a command when it is unpickled as usual."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_cannot_run_anything(tmp_path, protocol):
    marker = tmp_path / "ran"
    content = pickle.dumps({"data": Runs(marker)}, protocol=protocol)
    with pytest.raises(ValueError, match=r"it asks for (posix|nt)\.mkdir|operation .* no use for"):
        read_pickle("file", content)
    assert not marker.exists()
    pickle.loads(content)  # noqa: S301 - to show that the attack is real
    assert marker.exists()


@pytest.mark.parametrize("name", ["builtins.eval", "os.system", "numpy.load", "numpy.core.multiarray.fromfile"])
def test_other_names_are_refused_wherever_they_stand(name):
    module, _, function = name.rpartition(".")
    content = b"\x80\x02c" + f"{module}\n{function}\n".encode() + b"(U\x03ls tR."
    with pytest.raises(ValueError, match=f"it asks for {name}"):
        read_pickle("file", content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"\x80\x02",
        b"\x80\x02}",
        b"\x80\x02U\xffshort.",
        b"\x80\x02Q.",  # a persistent id
        b"\x80\x02h\x07.",  # from a memo that holds nothing
        b"\x80\x02cnumpy\nndarray\nU\x01xb.",  # a state for the class itself
        b"\x80\x02cnumpy\nndarray\n)RU\x01xb.",  # a state that is none
    ],
)
def test_a_broken_pickle_is_a_clear_error(content):
    with pytest.raises(ValueError, match="train is damaged"):
        read_pickle("train", content)


@pytest.mark.parametrize(
    "array", [np.array([{}, []], object), np.zeros(3), np.zeros(3, "M8[s]")], ids=["objects", "floats", "times"]
)
def test_arrays_of_anything_but_bytes_are_refused(array):
    with pytest.raises(ValueError, match="not of bytes"):
        read_pickle("file", as_python2(pickle.dumps(array, protocol=3)))


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_bytes_keep_rows_and_columns(order):
    array = np.asarray(np.arange(6, dtype=np.uint8).reshape(2, 3), order=order)
    for content in (pickle.dumps(array, protocol=3), as_python2(pickle.dumps(array, protocol=3))):
        assert read_pickle("file", content).values.tolist() == [[0, 1, 2], [3, 4, 5]]


X, Y = np.zeros((2, 3072), np.uint8), np.zeros(2, np.int64)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (pickle.dumps([1, 2], protocol=2), "not a CIFAR-100 file"),
        (pickle.dumps({b"data": b""}, protocol=3), "not a CIFAR-100 file"),
        (pickle.dumps({b"data": b"", b"fine_labels": [], b"filenames": []}, protocol=3), "no table of 0 images"),
        (official(X, Y[:1], ["a", "b"]), "not a CIFAR-100 file"),
        (official(X[:1], Y, ["a", "b"]), "no table of 2 images"),
        (official(X[:, :-1], Y, ["a", "b"]), "no table of 2 images"),
        (official(X, Y, ["a", "b"]), r"train has examples \(2, 3, 32, 32\)"),
    ],
)
def test_pickles_of_something_else_are_refused(alone, tmp_path, content, why):
    (tmp_path / "cifar-100-python").mkdir()
    for part in KEPT:
        (tmp_path / "cifar-100-python" / part).write_bytes(content)
    with pytest.raises(ValueError, match=why):
        load("cifar100", root=tmp_path, download=False)


def test_an_archive_that_is_cut_or_lacks_a_file_is_refused(small, alone):
    folder, _ = small
    path = packed(alone / "cifar100" / "cifar-100-python.tar.gz", folder, ("meta", "test"))
    with pytest.raises(ValueError, match="train or test is missing"):
        load("cifar100", download=False)
    path.write_bytes(packed(path, folder).read_bytes()[:-50_000])
    with pytest.raises(ValueError, match=r"tar\.gz is damaged"):
        load("cifar100", download=False)
    path.write_bytes(b"not an archive")
    with pytest.raises(ValueError, match=r"tar\.gz is damaged"):
        load("cifar100", download=False)
    assert not (alone / "decoded").exists()


def strips(path, change=None):
    """A zip with a strip of two grey images for each class; ``change`` replaces or drops that of the last."""
    from PIL import Image

    strip = io.BytesIO()
    Image.new("RGB", (32, 64), "grey").save(strip, "WEBP", lossless=True)
    members = {f"{name}.webp": strip.getvalue() for name in CATALOGUE["cifar100"].classes}
    members["worm.webp"] = change(members["worm.webp"]) if change else members["worm.webp"]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)


def a_png(_):
    from PIL import Image

    content = io.BytesIO()
    Image.new("RGB", (32, 64)).save(content, "PNG")
    return content.getvalue()


def too_long(_):
    from PIL import Image

    content = io.BytesIO()
    Image.new("RGB", (32, 96)).save(content, "WEBP", lossless=True)
    return content.getvalue()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda strip: None, "no item named 'worm.webp'"),
        (lambda strip: strip[:-20], "test.zip is damaged"),
        (lambda strip: b"no image", "cannot identify"),
        (a_png, "cannot identify"),
        (too_long, r"worm.webp is \(32, 96\), not 32 x 64"),
    ],
)
def test_damaged_strips_are_refused(alone, tmp_path, monkeypatch, change, why):
    monkeypatch.setitem(
        CATALOGUE, "cifar100", dataclasses.replace(CATALOGUE["cifar100"], train_size=200, test_size=200)
    )
    folder = tmp_path / "cifar100"
    folder.mkdir()
    strips(folder / "train.zip")
    strips(folder / "test.zip")
    assert load("cifar100", root=tmp_path, download=False).test[0].shape == (200, 3, 32, 32)
    strips(folder / "test.zip", change)  # other content: what the cache holds does not count
    with pytest.raises(ValueError, match=why):
        load("cifar100", root=tmp_path, download=False)
    (folder / "test.zip").write_bytes((folder / "train.zip").read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"test\.zip is damaged"):
        load("cifar100", root=tmp_path, download=False)


@pytest.fixture
def decode():
    """A decoder that counts its calls."""
    pair = (np.arange(6, dtype=np.uint8), np.arange(2))

    def run():
        run.calls += 1
        return pair, pair

    run.calls = 0
    return run


def test_the_cache_follows_the_content_of_the_files(alone, tmp_path, decode):
    source = tmp_path / "source"
    source.write_bytes(b"one")
    for _ in range(2):
        (x, _), _ = cached("name", (source,), decode)
        assert x.tolist() == [0, 1, 2, 3, 4, 5]
    assert decode.calls == 1
    source.write_bytes(b"two")
    cached("name", (source,), decode)
    assert decode.calls == 2


@pytest.mark.parametrize(
    "spoil", [lambda kept: kept[:-30], lambda kept: b"", lambda kept: kept.replace(b"\1\2\3", b"\1\2\4")]
)
def test_a_spoilt_cache_is_decoded_and_written_again(alone, tmp_path, decode, spoil):
    source = tmp_path / "source"
    source.write_bytes(b"one")
    cached("name", (source,), decode)
    (path,) = (alone / "decoded").iterdir()
    sound = path.read_bytes()
    path.write_bytes(spoil(sound))
    (x, _), _ = cached("name", (source,), decode)
    assert (x.tolist(), decode.calls) == ([0, 1, 2, 3, 4, 5], 2)
    cached("name", (source,), decode)
    assert decode.calls == 2


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, monkeypatch, decode):
    source = tmp_path / "source"
    source.write_bytes(b"a file is no folder")
    monkeypatch.setenv("PERDURE_CACHE", str(source))
    for _ in range(2):
        cached("name", (source,), decode)
    assert decode.calls == 2
