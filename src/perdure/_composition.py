"""Put parts together: what a list of parts needs, and whether it makes sense."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from perdure._part import Part
from perdure._records import Draw
from perdure.memory import Memory
from perdure.nn import Model


def check_optimizer(optimizer: Optimizer, model: nn.Module) -> None:
    """Raise ``ValueError`` unless the optimizer holds every trainable parameter of the model."""
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    forgotten = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in held]
    if forgotten:
        names = ", ".join(forgotten[:3]) + (" and more" if len(forgotten) > 3 else "")
        raise ValueError(
            f"the optimizer does not hold {names}: build it from the parameters of the very model given here, "
            "or pass a function such as lambda params: torch.optim.SGD(params, lr=0.1)"
        )


def with_memories(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts, each memory that a draw names among them; names must differ."""
    everyone = list(parts)
    for part in parts:
        everyone += [draw.memory for draw in part.draws if not any(draw.memory is p for p in everyone)]
    names = [part.name for part in everyone]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two parts are called {name}: tell them apart with name=")
    return tuple(everyone)


def unique_draws(parts: Iterable[Part]) -> tuple[Draw, ...]:
    """What to draw at each step, by name; raises ``ValueError`` if one name stands for two different draws."""
    draws: dict[str, Draw] = {}
    for draw in (draw for part in parts for draw in part.draws):
        if draws.setdefault(draw.name, draw) != draw:
            raise ValueError(f"two different draws are called {draw.name!r}: share one Draw, or choose another name=")
    return tuple(draws[name] for name in sorted(draws))


def check_fits(parts: Sequence[Part], model: Model, state: Mapping[str, Any]) -> None:
    """Raise ``ValueError``, naming both sides, unless ``state`` is of a learner with these parts and this model."""
    mine, saved = sorted(part.name for part in parts), sorted(state["parts"])
    if mine != saved:
        raise ValueError(f"the state is of a learner made of {', '.join(saved)}; this one is made of {', '.join(mine)}")
    here = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    there = {name: tuple(value.shape) for name, value in state["model"].items()}
    for name in sorted(here.keys() | there.keys()):
        a, b = here.get(name), there.get(name)
        grows = a and b and a[1:] == b[1:] and a[0] == model.capacity <= b[0]
        if a != b and not grows:
            raise ValueError(
                f"the state's model has {name} of shape {b}, this learner's has {a}: build it with the same model"
            )
    for part in parts:
        found = len(state["parts"][part.name].get("y", ()))
        if isinstance(part, Memory) and found not in (0, part.capacity):
            raise ValueError(
                f"the state's {part.name} keeps {found} exemplars, this learner's {part.capacity}: use memory={found}"
            )
