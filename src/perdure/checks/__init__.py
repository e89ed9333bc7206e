"""The promises of the library, to be checked on your own classes as on its own."""

from perdure.checks._learner import check_learner, check_part
from perdure.checks._memory import check_memory
from perdure.checks._stream import check_stream

__all__ = ["check_learner", "check_memory", "check_part", "check_stream"]
