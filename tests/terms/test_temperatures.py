"""A temperature divides: no term takes one that is not above 0."""

import inspect
import math

import pytest

from perdure import Draw, terms
from perdure.memory import Reservoir

COOLED = [
    made
    for made in map(vars(terms).get, terms.__all__)
    if inspect.isclass(made) and "temperature" in inspect.signature(made).parameters
]


@pytest.mark.parametrize("term", COOLED)
@pytest.mark.parametrize("temperature", [0, -1.0, math.nan])
def test_a_temperature_is_above_zero(term, temperature):
    given = inspect.signature(term).parameters.values()
    needed = [
        Draw("replay", Reservoir(10), 5) if "Draw" in str(one.annotation) else object()
        for one in given
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.VAR_POSITIONAL) and one.default is one.empty
    ]
    keywords = {one.name: object() for one in given if one.kind is one.KEYWORD_ONLY and one.default is one.empty}
    with pytest.raises(ValueError, match=f"temperature={temperature}"):
        term(*needed, **keywords, temperature=temperature)
