"""Averages of weights over time."""

from perdure.averaging._consistency import Consistency
from perdure.averaging._moving import AnsweringAverage, MovingAverage

__all__ = ["AnsweringAverage", "Consistency", "MovingAverage"]
