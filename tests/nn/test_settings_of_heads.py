"""What divides or weighs is a number: no head takes NaN."""

import math

import pytest

from perdure.nn import CosineHead
from perdure.nn.closed_form import AlignedLinear, CalibratedMeans, MahalanobisHead, TranslationHead


@pytest.mark.parametrize(
    ("head", "options"),
    [
        (lambda **given: CosineHead(4, 2, **given), ["scale"]),
        (AlignedLinear, ["temperature", "lr"]),
        (CalibratedMeans, ["alpha", "temperature"]),
        (MahalanobisHead, ["on", "off"]),
        (TranslationHead, ["cost"]),
    ],
)
def test_nan_is_refused_by_name(head, options):
    for option in options:
        with pytest.raises(ValueError, match=f"{option}=nan"):
            head(**{option: math.nan})
