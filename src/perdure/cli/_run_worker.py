"""A process of ``--jobs``: it learns one method on one seed after the other."""

from __future__ import annotations

import traceback
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure._interrupts import Interrupted
from perdure._serve import Message, Say, serve
from perdure.cli._signals import exit_code, interruptible

if TYPE_CHECKING:
    from torch import nn

    from perdure.cli._learners import Learners
    from perdure.cli._stream import Streams
    from perdure.cli._unit import Units
    from perdure.streams import Stream


class _Worker:
    """Rebuilds from the configuration what the process that started it has: data once, the stream of a seed once."""

    def __init__(self, hello: Message, tell: Say) -> None:
        self._hello, self._tell = hello, tell
        self._made: tuple[int, Stream, nn.Module] | None = None

    @cached_property
    def _parts(self) -> tuple[Streams, Learners, Units]:
        import torch
        import yaml

        from perdure.cli._learners import Learners
        from perdure.cli._options import Options
        from perdure.cli._relay import Relay
        from perdure.cli._stream import Streams
        from perdure.cli._unit import Units
        from perdure.evaluation import Spent

        hello = self._hello
        options = Options(**yaml.safe_load(hello["options"]))
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        streams = Streams(options, lambda text: None)  # it was told by the process that started this one
        tuning = {method: Spent(**spent) for method, spent in hello["tuning"].items()}
        units = Units(options, Path(hello["folder"]), Relay(self._tell), debug=hello["debug"], tuning=tuning)
        return streams, Learners(options, streams.setting), units

    def __call__(self, task: Message) -> dict[str, Any]:
        """Learn, and say what came of it."""
        try:
            with interruptible():
                return self._learn(task["method"], task["seed"])
        except Interrupted as interrupt:
            return {"interrupted": interrupt.signal}

    def _learn(self, method: str, seed: int) -> dict[str, Any]:
        from perdure.cli._unit import Failed, Stopped

        try:
            stream, inputs = self._prepared(seed)
        except Exception as error:  # noqa: BLE001 the other seeds go on
            if self._hello["debug"]:
                traceback.print_exception(error)
            return {"failed seed": str(Failed(f"seed {seed}", error))}
        _, learners, units = self._parts
        info = next(info for info in learners.methods if info.name == method)
        try:
            record, problem = units.learn(learners, info, stream, inputs, seed)
        except Failed as failure:
            return {"failed": str(failure)}
        except Stopped as stop:
            return {"stopped": str(stop)}
        except ValueError as error:
            return {"refused": str(error)}
        return {"record": record.to_json(), "problem": str(problem or "")}

    def _prepared(self, seed: int) -> tuple[Stream, nn.Module]:
        streams, learners, _ = self._parts
        if self._made is None or self._made[0] != seed:
            stream = streams.make(seed)
            self._made = seed, stream, learners.inputs(stream)
        return self._made[1:]


def _load() -> None:
    """What learning needs, before it is known what is to be learnt.

    SIGTERM ends the process there and then: an exception in the midst of an import may get lost, or be another one.
    """
    for name in ("_learners", "_relay", "_stream", "_unit"):
        import_module(f"perdure.cli.{name}")
    import_module("torch._dynamo")  # the first optimizer would


if __name__ == "__main__":
    try:
        serve(_Worker, _load)
    except KeyboardInterrupt as interrupt:
        raise SystemExit(exit_code(interrupt)) from None
