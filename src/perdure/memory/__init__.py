"""Memories: which exemplars to keep."""

from perdure.memory._memory import Memory
from perdure.memory._per_class import ClassBalanced, Ring
from perdure.memory._per_experience import PerExperience
from perdure.memory._reservoir import Reservoir

__all__ = ["ClassBalanced", "Memory", "PerExperience", "Reservoir", "Ring"]
