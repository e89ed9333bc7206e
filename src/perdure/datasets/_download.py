"""Download: beside, counted, checked, then renamed."""

from __future__ import annotations

import hashlib
import http.client
import urllib.request
from pathlib import Path

from perdure.datasets._files import written_beside
from perdure.datasets._info import DatasetInfo, Say, Source

TIMEOUT_SECONDS = 30.0  # without a byte
TELL_EVERY = 10**7  # bytes


def download(info: DatasetInfo, folder: Path, say: Say) -> None:
    """Bring the files of a data set into ``folder``; those that are there already were checked when they came."""
    say(f"{info.title}: licence {info.licence}; cite {info.citation}; see {info.homepage}")
    for source in info.sources:
        if not (folder / source.name).is_file():
            say(f"downloading {source.url} ({source.size / 1e6:.1f} MB) to {folder}")
            fetch(source, folder / source.name, say)


def fetch(source: Source, path: Path, say: Say) -> None:
    """Download one file to ``path``.

    Raises ``ConnectionError`` where the transfer fails and ``ValueError`` where size or SHA-256 are not the declared
    ones; either way nothing is left behind.
    """
    digest, received = hashlib.sha256(), 0
    with written_beside(path) as file:
        try:
            with urllib.request.urlopen(source.url, timeout=TIMEOUT_SECONDS) as answer:
                while received <= source.size and (chunk := answer.read(2**16)):
                    file.write(chunk)
                    digest.update(chunk)
                    if received // TELL_EVERY < (received := received + len(chunk)) // TELL_EVERY:
                        say(f"{source.name}: {received / 1e6:.0f} of {source.size / 1e6:.0f} MB")
        except (OSError, http.client.HTTPException) as fault:
            raise ConnectionError(
                f"could not download {source.url}: {fault}; try again, or put the file at {path}"
            ) from fault
        if received < source.size:
            raise ConnectionError(f"{source.url} broke off after {received} of {source.size} bytes; try again")
        if received > source.size or digest.hexdigest() != source.sha256:
            raise ValueError(f"{source.url} is not the file it should be (SHA-256 or size differ): nothing was kept")
