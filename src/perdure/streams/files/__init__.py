"""Streams from the user's own files."""

from perdure.streams.files._bad_rows import LEFT_OUT
from perdure.streams.files._from_file import from_file
from perdure.streams.files._from_folder import from_folder

__all__ = ["LEFT_OUT", "from_file", "from_folder"]
