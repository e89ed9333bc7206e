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


def check_fits(parts: Sequence[Part], model: Model, mine: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Raise ``ValueError``, naming both sides, unless ``state`` fits the learner whose state is ``mine``."""
    method, other = mine["method"], state.get("method")
    if "parts" not in state or (method and other and method != other):
        raise ValueError(f"the state is of method {other!r}, this learner's is {method!r}: build it with the same one")
    here, there = sorted(mine["parts"]), sorted(state["parts"])
    if here != there:
        raise ValueError(f"the state is of a learner made of {', '.join(there)}; this one is made of {', '.join(here)}")
    _check_model(model.capacity, mine["model"], state["model"])
    _check_example(mine["example"], state["example"])
    if (mine["scheduler"] or {}).keys() != (state["scheduler"] or {}).keys():
        raise ValueError(
            "the state and this learner differ in their learning-rate scheduler: build it with the same one"
        )
    _check_optimizer_state(mine["optimizer"], state["optimizer"])
    for part in parts:
        if isinstance(part, Memory):
            check_memory_fits(part, state["parts"][part.name])


def check_memory_fits(memory: Memory, state: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` unless the memory's ``state`` has its capacity and stored fields (or was never bound)."""
    if "y" not in state:
        return
    if len(state["y"]) != memory.capacity:
        raise ValueError(
            f"the state's {memory.name} keeps {len(state['y'])} exemplars, this learner's {memory.capacity}: "
            f"use memory={len(state['y'])}"
        )
    fields = tuple(sorted(key.removeprefix("stored_") for key in state if key.startswith("stored_")))
    if fields != memory.stored_fields:
        raise ValueError(
            f"the state's {memory.name} stores {fields} beside exemplars, this learner's {memory.stored_fields}"
        )


def _check_model(capacity: int, mine: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    here = {name: tuple(value.shape) for name, value in mine.items()}
    there = {name: tuple(value.shape) for name, value in saved.items()}
    for name in sorted(here.keys() | there.keys()):
        a, b = here.get(name), there.get(name)
        grows = a and b and a[1:] == b[1:] and a[0] == capacity <= b[0]
        if a != b and not grows:
            raise ValueError(
                f"the state's model has {name} of shape {b}, this learner's has {a}: build it with the same model"
            )


def _check_example(mine: Mapping[str, Any] | None, saved: Mapping[str, Any] | None) -> None:
    if mine is None:
        return
    if saved is None:
        raise ValueError("the state is of a learner that has learnt nothing, this one has: load it into a new one")
    here, there = ((tuple(e["x"].shape[1:]), e["x"].dtype, e["task"] is not None) for e in (mine, saved))
    if here != there:
        said = [f"{shape} {dtype} with tasks {'told' if told else 'not told'}" for shape, dtype, told in (there, here)]
        raise ValueError(f"the state is of examples {said[0]}, this learner learns {said[1]}: load it into a new one")


def _check_optimizer_state(mine: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    here, there = ([(len(g["params"]), sorted(g)) for g in state["param_groups"]] for state in (mine, saved))
    if here != there:
        raise ValueError("the state and this learner differ in their optimizer: build it with the same kind and groups")
