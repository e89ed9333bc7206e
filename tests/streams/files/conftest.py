import os
from pathlib import Path

import pytest


@pytest.fixture
def perdure_data() -> Path:
    """The folder of data sets, where there is one."""
    if "PERDURE_DATA" not in os.environ:
        pytest.skip("PERDURE_DATA is not set")
    return Path(os.environ["PERDURE_DATA"])
