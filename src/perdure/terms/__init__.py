"""Terms: parts that add to the objective from data."""

from perdure.terms._cross_entropy import CrossEntropy, Weight
from perdure.terms._logit_match import LogitMatch
from perdure.terms._pseudo_classes import PseudoClasses
from perdure.terms._supervised_contrastive import SupervisedContrastive

__all__ = ["CrossEntropy", "LogitMatch", "PseudoClasses", "SupervisedContrastive", "Weight"]
