"""Pixels of image files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perdure.streams._data import IndexedData
from perdure.streams.files._errors import FileError, reading
from perdure.streams.files._source import Array

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
GREY = ("1", "L", "LA")
DEEP = ("I", "I;16", "I;16B", "I;16L", "F")


@dataclass(frozen=True)
class Form:
    """What images are learnt as: ``mode`` L or RGB of Pillow, ``height`` and ``width`` in pixels."""

    mode: str
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return len(self.mode), self.height, self.width


def common_form(files: Sequence[Path], size: int | None) -> Form:
    """The form of all ``files``, by their headers: grey if all are, else RGB; ``size`` pixels square if given."""
    mode, first = "L", (0, 0)
    for i, file in enumerate(files):
        with _opened(file) as image:
            found, extent = image.mode, image.size
        if found in DEEP:
            raise FileError(f"{file}: {found} pixels, more than 8 bits: save it as an 8-bit image")
        first = first if i else extent
        if size is None and extent != first:
            raise FileError(
                f"{file} has {extent[0]}×{extent[1]} pixels but {files[0]} {first[0]}×{first[1]}: "
                "give size=, such as size=32, to resize all"
            )
        mode = mode if found in GREY else "RGB"
    width, height = first if size is None else (size, size)
    return Form(mode, height, width)


def decode(file: Path, form: Form) -> Array:
    """The pixels of ``file``, (C, H, W) uint8; resized, without keeping its proportions, if it is not of that size."""
    from PIL.Image import Resampling

    with _opened(file) as image:
        converted = image.convert(form.mode)
        if converted.size != (form.width, form.height):
            converted = converted.resize((form.width, form.height), Resampling.BILINEAR)
        return np.asarray(converted).reshape(form.height, form.width, -1).transpose(2, 0, 1)


class ImageData(IndexedData):
    """Images decoded when they are wanted, batch by batch."""

    def __init__(self, files: Sequence[Path], labels: Sequence[int], form: Form) -> None:
        super().__init__(torch.tensor(labels), None, None, None)
        self._files, self._form = files, form

    def _fetch(self, rows: Tensor) -> Tensor:
        return torch.from_numpy(np.stack([decode(self._files[row], self._form) for row in rows.tolist()]))

    def _chunk(self, size: int) -> int:
        return size


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """An image of Pillow's; what is wrong with the file becomes one line."""
    from PIL import Image

    with reading(file), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(file, formats=FORMATS) as image:
                yield image
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise FileError(
                f"{file}: more than {Image.MAX_IMAGE_PIXELS} pixels, which may exhaust memory: make the image smaller"
            ) from error
