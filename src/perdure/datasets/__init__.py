"""Data sets by name: found where you keep them, or downloaded from the official source and checked."""

from perdure.datasets._catalogue import list_datasets
from perdure.datasets._info import Dataset, DatasetInfo
from perdure.datasets._load import load
from perdure.datasets._locate import locate

__all__ = ["Dataset", "DatasetInfo", "list_datasets", "load", "locate"]
