"""Which exemplars to replay, where a random choice is not enough."""

from perdure.memory.retrieval._mir import MaximallyInterfered

__all__ = ["MaximallyInterfered"]
