"""Which exemplars to replay, where a random choice is not enough."""
