"""Parts that edit gradients."""

from perdure.gradients._gpm import GPM
from perdure.gradients._subnet import SubnetTuning

__all__ = ["GPM", "SubnetTuning"]
