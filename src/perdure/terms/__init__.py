"""Terms: parts that add to the objective from data."""

from perdure.terms._cross_entropy import CrossEntropy
from perdure.terms._logit_match import LogitMatch

__all__ = ["CrossEntropy", "LogitMatch"]
