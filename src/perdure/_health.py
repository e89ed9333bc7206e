"""Notice a loss or a gradient that is not finite."""

from __future__ import annotations


class Diverged(ArithmeticError):
    """A loss or a gradient is not finite."""
