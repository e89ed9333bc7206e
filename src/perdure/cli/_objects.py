"""Classes and functions by name, and their arguments checked against their signatures before they are called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from perdure.cli._words import hint


def find_object(path: str, what: str) -> Any:
    """What ``package.module:name`` or ``package.module.name`` stands for; the current folder is searched too."""
    module_name, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise ImportError(f"{what} {path}: importing {module_name} failed: no module {error.name!r}") from error
        raise ValueError(
            f"{what} {path}: no module {error.name!r} among the installed ones or in {here}: give package.module:name"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise ValueError(
                f"{what} {path}: no {part!r} in {module_name}: {hint(part, dir(found))}give package.module:name"
            )
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"{what} {path} is a {type(found).__name__}: name a class or a function")
    return found


def find_class(name: str, what: str, module: ModuleType, base: type) -> Any:
    """The subclass of ``base`` in ``module`` called ``name`` (in any case), or any class by its path."""
    if ":" in name or "." in name:
        return find_object(name, what)
    known = {
        n.lower(): c for n, c in vars(module).items() if isinstance(c, type) and issubclass(c, base) and c is not base
    }
    if name.lower() not in known:
        names = [c.__name__ for c in known.values()]
        near = hint(name.lower(), known)
        raise ValueError(
            f"{what} {name}: {near}{module.__name__} has {', '.join(sorted(names))}; others as package.module:Class"
        )
    return known[name.lower()]


def checked(
    what: str, function: Callable[..., Any], given: Mapping[str, Any], skip: Collection[str] = ()
) -> dict[str, Any]:
    """The arguments ``given`` to ``function``, converted to their types; ``ValueError`` where it does not take them.

    ``skip`` names the arguments that it gets from elsewhere.
    """
    from jsonargparse import ArgumentError, ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    if isinstance(function, type):
        names = parser.add_class_arguments(function, skip=set(skip), fail_untyped=False)
    else:
        names = parser.add_function_arguments(function, skip=set(skip), fail_untyped=False)
    for name in given:
        if name not in names:
            raise ValueError(f"{what} has no option {name!r}: {hint(name, names)}it takes {', '.join(names) or 'none'}")
    try:
        parsed = parser.parse_object(dict(given)).as_dict()
    except ArgumentError as error:
        raise ValueError(f"{what}: {' '.join(str(error).removeprefix('Parser key ').split())}") from error
    return {name: parsed[name] for name in given}
