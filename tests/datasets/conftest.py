import os
import tempfile
from pathlib import Path

import pytest

from perdure.datasets import load


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """A machine that has no data: an empty cache, which is returned, and no PERDURE_DATA."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("PERDURE_CACHE", str(cache))
    monkeypatch.delenv("PERDURE_DATA", raising=False)
    return cache


@pytest.fixture(scope="session")
def data():
    """The folder of real data sets."""
    if not os.environ.get("PERDURE_DATA"):
        pytest.skip("PERDURE_DATA is not set: the real data sets are not on this machine")
    return Path(os.environ["PERDURE_DATA"])


@pytest.fixture(scope="session")
def cifar(data):
    """CIFAR-100, decoded once for all tests, and the cache that this filled."""
    with tempfile.TemporaryDirectory() as cache, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERDURE_CACHE", cache)
        yield load("cifar100", root=data, download=False), Path(cache)
