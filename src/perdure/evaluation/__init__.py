"""When and on what to evaluate; the Record."""

from perdure.evaluation._evaluator import Evaluator
from perdure.evaluation._record import Cost, Curve, Incident, Record

__all__ = ["Cost", "Curve", "Evaluator", "Incident", "Record"]
