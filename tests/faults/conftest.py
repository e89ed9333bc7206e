"""The tools of these tests, which ``soak.py`` uses too, are modules beside them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
