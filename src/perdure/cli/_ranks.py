"""One run in several processes that torchrun has started: the first does everything, the others learn with it."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from perdure.cli._codes import DONE, FAILED
from perdure.cli._errors import one_line

if TYPE_CHECKING:
    from perdure import Record
    from perdure.cli._options import Options

T = TypeVar("T")
PREPARE = "prepare"


class NotReady(Exception):
    """Learning cannot begin; the first process says why."""


class Gone(Exception):
    """Another process of the run has ended before its time."""


def wanted() -> int:
    """How many processes torchrun has started, 1 where nobody has."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def here() -> int:
    """Which of them this is."""
    return int(os.environ["RANK"]) if wanted() > 1 else 0


def restarted() -> bool:
    """Whether torchrun has started them again, as one of them had died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def launch() -> str:
    """What tells this torchrun from others; "" where there is none."""
    name = os.environ.get("TORCHELASTIC_RUN_ID", "")
    return "" if name == "none" else name


def find_folder(out: str | None, runs: Path) -> Path | None:
    """The folder that was made before torchrun started again; None if it had come to none."""
    for path in [Path(out)] if out is not None else sorted(runs.glob("*"), key=lambda path: -path.stat().st_mtime):
        with suppress(OSError, ValueError, AttributeError):
            found = json.loads((path / "environment.json").read_text()).get("torchrun")
            if found == launch() and found:
                return path
    return None


@contextmanager
def ranks(options: Options, jobs: object) -> Iterator[int]:
    """Meet the others, if there are any; which of them this is."""
    if wanted() == 1:
        yield 0
        return
    if jobs is not None:
        raise ValueError("--jobs starts processes of its own, and torchrun has started some: leave one of them out")
    import torch

    from perdure.distributed import meet

    if options.device.startswith("cuda") and options.device != "cuda":
        raise ValueError(f"--device {options.device}: {wanted()} processes take a GPU each; use --device cuda")
    meet(options.device)
    with telling():
        yield here()
    torch.distributed.destroy_process_group()


@contextmanager
def telling() -> Iterator[None]:
    """Say it plainly where another process has ended."""
    try:
        yield
    except RuntimeError as error:
        if _is_gone(error):
            raise Gone(
                "another process of this run has died: torchrun starts all again if --max-restarts allows it, and "
                "perdure resume goes on with what was saved"
            ) from error
        raise


def in_turn(make: Callable[[], T]) -> T:
    """What ``make`` makes on each process, on the first one first: what it keeps on disk the others find there.

    Raises ``NotReady`` on the others if it fails.
    """
    from perdure._agreement import rank_and_world, texts, together

    (rank, world), made = rank_and_world(), []
    if world > 1 and rank == 0:
        texts(PREPARE)
    try:
        for turn in (rank == 0, rank > 0):
            with together("prepare to learn"):
                if turn:
                    made.append(make())
    except Exception as error:
        if rank:
            raise NotReady from error
        raise
    return made[0]


def announce(method: str = "", seed: int = 0, folder: Path | None = None) -> None:
    """Tell the others what is learnt next; nothing more without arguments."""
    from perdure._agreement import texts

    texts(json.dumps([method, seed, str(folder)]) if method else "")


class Silent:
    """Hears of what is learnt, and tells nobody."""

    def say(self, text: str) -> None:
        """Of no concern."""

    def warn(self, text: str) -> None:
        """As the first process says it."""

    def begin(self, method: str, seed: int) -> Silent:
        """As if it were shown."""
        return self

    def update(self, done: int, total: int, text: str) -> None:
        """Of no concern."""

    def end(self, record: Record) -> None:
        """Of no concern."""

    def close(self) -> None:
        """Of no concern."""


def follow(options: Options, *, debug: bool) -> int:
    """All that a process does that is not the first: learn with it what it announces. The exit code."""
    try:
        _follow(options)
    except Exception as error:  # noqa: BLE001 the first process says what all have found
        if isinstance(error, NotReady) or _is_gone(error):
            return FAILED
        if debug:
            traceback.print_exception(error)
        print(f"perdure (process {here()}): {type(error).__name__}: {one_line(error)}", file=sys.stderr)
        return FAILED
    return DONE


def leave(code: int) -> NoReturn:
    """End a process that is not the first, at once: what PyTorch does at the end of Python aborts one in thirty of them
    (2.13 with gloo, on a busy machine), upon which torchrun ends the first, which has yet to write the scores.
    """
    import torch

    torch.distributed.destroy_process_group()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _follow(options: Options) -> None:
    from perdure._agreement import texts
    from perdure.cli._prepare import prepare
    from perdure.cli._unit import Failed, Stopped, Units

    if texts("")[0] != PREPARE:  # there is nothing to learn
        return
    streams, learners, made = in_turn(lambda: prepare(options, options.seeds[0], Silent()))
    while task := texts("")[0]:
        name, seed, folder = json.loads(task)
        if seed not in made:
            made = {seed: streams.make(seed)}
        units = Units(options, Path(folder), Silent(), debug=False, tuning={})
        info = next(info for info in learners.methods if info.name == name)
        with suppress(Failed, Stopped):
            units.learn(learners, info, made[seed], learners.inputs(made[seed]), seed)


def _is_gone(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in text for word in ("gloo", "nccl", "connection"))
