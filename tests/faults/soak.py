"""Kill the command 300 times (``KILLS``) over five methods, and print what came of it as a table.

``make soak``, or ``python tests/faults/soak.py``; with ``--mnist`` 50 times in one run on MNIST, with ``--each`` at
each operation on files of a short run.
"""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import killing
from killing import METHODS, RUN, Life, Moment, Tally, draw_moments, live, torment

CHUNK = 10  # kills of a task
HEAD = "| method | kills | of these inside a write | resumes | runs completed | bit-equal | minutes |"
MNIST = (
    "--data mnist --method er --memory 500 --draw 10 --seeds 1 --batch-size 10 --epochs 2 --checkpoint-every 25 "
    "--checkpoint-minutes 0 --model-option hidden=400,400 --model-option dropout=0.2 --optimizer-option momentum=0.9 "
    "--lr 0.01 --quiet --json"
)
MNIST_KILLS, MNIST_REACH = 50, 0.03  # about three quarters of the run
SHORT = (
    "--data digits --method er --memory 100 --draw 10 --seeds 1 --batch-size 10 --experiences 2 --eval-every 0 "
    "--checkpoint-every 60 --checkpoint-minutes 0 --keep-checkpoints 1 --model-option hidden=20, --quiet --json"
)


@dataclass(frozen=True)
class Victim:
    """A command, and what it did when it was left alone in ``folder / "alone"``."""

    name: str
    arguments: str
    folder: Path
    left: Life


@dataclass(frozen=True)
class Task:
    """``kills`` of one victim, in a folder of their own."""

    victim: Victim
    folder: Path
    moments: Iterable[Moment]
    kills: int


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 a script


def leave_alone(name: str, arguments: str, place: Path) -> Victim:
    """Run it, for what is to be compared."""
    folder = place / re.sub(r"\W+", "-", name)
    life = live(f"run {arguments} --out {RUN}", folder / "alone")
    if life.code:
        raise SystemExit(f"{name}, left alone: {life.err}")
    (method,) = json.loads(life.out)["methods"].values()
    weights, accuracy = method["weights_sha256"][0], method["accuracy"]["mean"]
    say(f"{name}: left alone, {life.seconds:.1f} s after the start, {life.operations} operations on files")
    say(f"{name}: weights {weights}, accuracy {accuracy:.4f}")
    return Victim(name, arguments, folder, life)


def attack(task: Task) -> Tally:
    """What was compared is removed if it was equal."""
    victim = task.victim
    try:
        tally = torment(
            victim.arguments,
            task.folder,
            victim.folder / "alone",
            task.moments,
            task.kills,
            f"NOT EQUAL: {victim.name}",
        )
    except AssertionError as error:
        say(str(error))
        return Tally(equal=False)
    shutil.rmtree(task.folder)
    did = f"{task.kills} kills, {tally.inside} inside a write, {tally.completed} runs completed"
    say(f"{victim.name}: {did}, all bit-equal")
    return tally


def at_random(victim: Victim, kills: int, chunk: int, seed: int, reach: float) -> Iterator[Task]:
    """``kills`` at random moments, ``chunk`` to a task."""
    for start in range(0, kills, chunk):
        moments = draw_moments(seed, f"{victim.name}/{start}", victim.left, reach)
        yield Task(victim, victim.folder / f"from-{start}", moments, min(chunk, kills - start))


def at_each_operation(victim: Victim) -> Iterator[Task]:
    """One kill at each operation on files, from the first to the last."""
    for at in range(1, victim.left.operations + 1):
        yield Task(victim, victim.folder / f"at-{at}", [Moment("at an operation", at, None)], 1)


def table(tallies: dict[str, Tally]) -> str:
    """In Markdown."""
    rows = [HEAD, "|" + " --- |" * HEAD.count(" |")]
    for name, t in {**tallies, "all": sum(tallies.values(), Tally())}.items() if len(tallies) > 1 else tallies.items():
        equal = "yes" if t.equal else "NO"
        counts = f"{sum(t.kills.values())} | {t.inside} | {t.resumes} | {t.completed} | {equal} | {t.seconds / 60:.1f}"
        rows.append(f"| {name} | {counts} |")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=int(os.environ.get("KILLS", "300")), help="over the five methods")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--mnist", action="store_true", help=f"one run on MNIST, killed {MNIST_KILLS} times")
    parser.add_argument("--each", action="store_true", help="a short run, killed at each of its operations on files")
    given = parser.parse_args()
    lines = {name: f"{killing.COMMON} {arguments}" for name, arguments in METHODS.items()}
    lines = {"er on MNIST": MNIST} if given.mnist else {"er, each operation": SHORT} if given.each else lines
    place = Path(tempfile.mkdtemp(prefix="perdure-soak-"))
    say(f"moments by seed {given.seed}, in {place}")
    with ThreadPoolExecutor(given.workers) as pool:
        tasks: list[Task] = []
        for victim in pool.map(lambda name: leave_alone(name, lines[name], place), lines):
            if given.each:
                tasks += at_each_operation(victim)
            elif given.mnist:
                tasks += at_random(victim, MNIST_KILLS, MNIST_KILLS, given.seed, MNIST_REACH)
            else:
                tasks += at_random(victim, -(-given.kills // len(lines)), CHUNK, given.seed, killing.REACH)
        tallies = {name: Tally() for name in lines}
        for task, tally in zip(tasks, pool.map(attack, tasks), strict=True):
            tallies[task.victim.name] += tally
    say(f"\n{table(tallies)}")
    if not all(t.equal for t in tallies.values()):
        return 1
    shutil.rmtree(place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
