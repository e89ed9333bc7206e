from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from perdure._random import generator
from perdure.streams import Stream
from perdure.streams.files import from_folder

X, Y = load_digits(return_X_y=True)
X, Y = (X[:600].reshape(-1, 8, 8) * 15).astype(np.uint8), Y[:600]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six hundred digits as PNG, one folder for each."""
    return save(tmp_path_factory.mktemp("digits"), X, Y)


def save(folder: Path, x: Any, y: Any, ending: str = ".png") -> Path:
    for i, (image, label) in enumerate(zip(x, y, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / str(label) / f"{i}{ending}")
    return folder


def bag(stream: Stream) -> Counter[tuple[bytes, int]]:
    found: Counter[tuple[bytes, int]] = Counter()
    for e in (*stream.experiences, *stream.evaluations):
        for batch in e.data.batches(64):
            found.update((x.tobytes(), y) for x, y in zip(batch.x.numpy(), batch.y.tolist(), strict=True))
    return found


def rows_of(x: Any, y: Any) -> Counter[tuple[bytes, int]]:
    return Counter((a.tobytes(), int(b)) for a, b in zip(x, y, strict=True))


def refused(folder: Path, pattern: str, **options: Any) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=pattern) as caught:
        from_folder(folder, experiences=1, **options)
    assert len(str(caught.value).splitlines()) == 1


def test_pngs_give_the_digits(digits: Path) -> None:
    stream = from_folder(digits)
    assert (stream.setting, stream.name) == ("class-incremental", digits.name)
    assert stream.classes == tuple("0123456789")
    assert [e.classes for e in stream.experiences] == [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]
    example = stream.example().x
    assert (example.dtype, tuple(example.shape)) == (torch.uint8, (1, 1, 8, 8))
    assert bag(stream) == rows_of(X, Y)


def test_decoded_when_wanted_gives_the_same_batches(digits: Path) -> None:
    held, lazy = from_folder(digits, size=48), from_folder(digits, size=48, memory_limit_mb=1)
    assert type(lazy.experiences[0].data).__name__ == "ImageData"
    assert "Images are decoded anew at each pass." in lazy.notes
    for a, b in zip(held.experiences, lazy.experiences, strict=True):
        batches = [list(e.data.batches(50, generator(0, "s"))) for e in (a, b)]
        for one, other in zip(*batches, strict=True):
            assert torch.equal(one.x, other.x)
            assert torch.equal(one.y, other.y)


def test_numbered_classes_order_and_tasks(tmp_path: Path) -> None:
    save(tmp_path, X[:40], [(9, 10, 100, 2)[i % 4] for i in range(40)])
    assert from_folder(tmp_path, experiences=2).classes == ("2", "9", "10", "100")
    stream = from_folder(tmp_path, experiences=2, order=["100", "9", "2", "10"], task=True)
    assert [e.name for e in stream.experiences] == ["classes 100 9", "classes 2 10"]
    assert stream.setting == "task-incremental"
    refused(tmp_path, r"no value of order=, '7'", order=["7"])


def test_train_and_test_folders(tmp_path: Path) -> None:
    save(tmp_path / "train", X[:400], Y[:400])
    save(tmp_path / "test", X[400:], Y[400:])
    for stream in (from_folder(tmp_path), from_folder(tmp_path / "train", test=tmp_path / "test")):
        assert sum(len(e.data) for e in stream.experiences) == 400
        assert sum(len(e.data) for e in stream.evaluations) == 200
        assert bag(stream) == rows_of(X, Y)
    assert from_folder(tmp_path).name == tmp_path.name
    save(tmp_path / "test", X[:1], ["ten"])
    refused(tmp_path, "test: no class learnt from that is called 'ten'")


def test_modes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (20, 6, 5, 3), np.uint8)
    save(tmp_path, colour, np.arange(20) % 2, ".bmp")
    stream = from_folder(tmp_path, experiences=1)
    assert bag(stream) == rows_of(colour.transpose(0, 3, 1, 2), np.arange(20) % 2)
    Image.fromarray(colour[0]).convert("L").save(tmp_path / "0" / "grey.webp", lossless=True)
    Image.fromarray(colour[0]).convert("RGBA").save(tmp_path / "1" / "alpha.png")
    Image.fromarray(colour[0]).convert("P").save(tmp_path / "1" / "palette.PNG")
    Image.fromarray(colour[0]).save(tmp_path / "1" / "photo.jpeg")
    mixed = from_folder(tmp_path, experiences=1)
    assert {e.x.shape[1:] for e in mixed.experiences[0].data.batches(7)} == {(3, 6, 5)}
    assert bag(mixed)[colour[0].transpose(2, 0, 1).tobytes(), 1] == 1  # the one with transparency
    assert sum(bag(mixed).values()) == 24


def test_sizes(tmp_path: Path) -> None:
    save(tmp_path, X[:20], Y[:20] % 2)
    Image.new("L", (9, 7)).save(tmp_path / "1" / "z.png")
    refused(tmp_path, r"z.png has 9×7 pixels but .*/0/.*\.png 8×8: give size=, such as size=32, to resize all")
    assert from_folder(tmp_path, experiences=1, size=12).example().x.shape == (1, 1, 12, 12)
    refused(tmp_path, "size=0: give at least 1 pixel", size=0)


def test_other_files_are_counted(tmp_path: Path) -> None:
    save(tmp_path, X[:20], Y[:20] % 2)
    (tmp_path / "0" / "labels.txt").write_text("x")
    (tmp_path / "1" / "Thumbs.db").write_text("x")
    (tmp_path / "1" / ".DS_Store").write_text("x")
    assert from_folder(tmp_path, experiences=1).notes[-1] == "Passed over: 2 files that are no images."


def test_folders_that_do_not_fit(tmp_path: Path) -> None:
    refused(tmp_path / "none", "no such folder: check the path")
    refused(tmp_path, "0 sub-folders: put the images of each class into one")
    save(tmp_path, X[:5], [0] * 5)
    refused(tmp_path, "1 sub-folders: .* at least two classes")
    (tmp_path / "1").mkdir()
    refused(tmp_path, "1: no image here .*: add some, or remove the folder")
    save(tmp_path, X[:1], [1])
    refused(tmp_path, "single example")
    refused(tmp_path, "memory_limit_mb=0", memory_limit_mb=0)


def test_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "in", X[:20], Y[:20] % 2)
    (folder / "0" / "same.png").symlink_to(folder / "0" / "0.png")
    from_folder(folder, experiences=1)
    Image.fromarray(X[0]).save(tmp_path / "secret.png")
    (folder / "0" / "out.png").symlink_to(tmp_path / "secret.png")
    refused(folder, "out.png: this link leads out of .*remove the link")
    (folder / "0" / "out.png").unlink()
    save(tmp_path / "elsewhere", X[:3], [2] * 3)
    (folder / "2").symlink_to(tmp_path / "elsewhere" / "2")
    refused(folder, "2: this link leads out of")


def test_bombs_and_deep_pixels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, X[:20], Y[:20] % 2)
    Image.new("L", (200, 200)).save(tmp_path / "1" / "z.png")
    for limit in (30_000, 15_000):  # Pillow warns above, raises above twice the limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        refused(tmp_path, f"z.png: more than {limit} pixels, .*make the image smaller", size=8)
    monkeypatch.undo()
    Image.new("I;16", (8, 8)).save(tmp_path / "1" / "z.png")
    refused(tmp_path, "z.png: I;16 pixels, more than 8 bits")


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".bmp"])
def test_cut_short(tmp_path: Path, ending: str) -> None:
    save(tmp_path, np.kron(X[:20], np.ones((8, 8), np.uint8)), Y[:20] % 2, ending)
    victim = tmp_path / "1" / f"1{ending}"
    whole = victim.read_bytes()
    for share in (0, 0.1, 0.5, 0.9):
        victim.write_bytes(whole[: int(len(whole) * share)])
        refused(tmp_path, f"1{ending}: this file cannot be read .*damaged or cut short")
