"""Streams: data in the order in which it is learnt."""

from perdure.streams._data import ArrayData, ConcatData, IndexedData
from perdure.streams._stream import SETTINGS, Stream

__all__ = ["SETTINGS", "ArrayData", "ConcatData", "IndexedData", "Stream"]
