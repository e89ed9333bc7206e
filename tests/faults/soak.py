"""Kill the command 300 times (``KILLS``) over five methods, or 50 times in one run on MNIST, and print what came of it.

``make soak``, or ``python tests/faults/soak.py [--mnist]``.
"""

import argparse
import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import killing
from killing import METHODS, RUN, Life, Tally, live, torment

CHUNK = 10  # kills of a task
HEAD = "| method | kills | of these inside a write | resumes | runs completed | bit-equal | minutes |"
MNIST = (
    "--data mnist --method er --memory 500 --draw 10 --seeds 1 --batch-size 10 --epochs 2 --checkpoint-every 25 "
    "--checkpoint-minutes 0 --model-option hidden=400,400 --model-option dropout=0.2 --optimizer-option momentum=0.9 "
    "--lr 0.01 --quiet --json"
)
MNIST_KILLS, MNIST_REACH = 50, 0.03  # about three quarters of the run


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 a script


def leave_alone(arguments: str, folder: Path) -> Life:
    """The run to compare with."""
    life = live(f"run {arguments} --out {RUN}", folder)
    if life.code:
        raise SystemExit(f"the run left alone failed: {life.err}")
    say(
        f"{folder.parent.name}: left alone, {life.seconds:.1f} s after the start, {life.operations} operations on files"
    )
    return life


def chunk(arguments: str, folder: Path, left: Life, kills: int, seed: int, reach: float) -> Tally:
    """Some kills of one method; what was compared is removed if it was equal."""
    name = folder.parent.name
    try:
        tally = torment(arguments, folder, folder.parent / "alone", left, kills, seed, folder.name, reach=reach)
    except AssertionError as error:
        say(f"{name}: NOT EQUAL, see {folder}: {error}")
        return Tally(equal=False)
    shutil.rmtree(folder)
    say(f"{name}: {kills} kills, {tally.inside} inside a write, {tally.completed} runs completed, all bit-equal")
    return tally


def soak(victims: dict[str, str], kills: int, at_once: int, seed: int, workers: int, reach: float, place: Path) -> bool:
    """Print the table; whether all were equal."""
    folders = {name: place / "".join(c if c.isalnum() else "-" for c in name) for name in victims}
    with ThreadPoolExecutor(workers) as pool:
        alone = dict(
            zip(victims, pool.map(lambda n: leave_alone(victims[n], folders[n] / "alone"), victims), strict=True)
        )
        tasks = [(name, number) for number in range(0, kills, at_once) for name in victims]
        tallies = pool.map(
            lambda task: chunk(
                victims[task[0]],
                folders[task[0]] / f"from-{task[1]}",
                alone[task[0]],
                min(at_once, kills - task[1]),
                seed,
                reach,
            ),
            tasks,
        )
        sums = {name: Tally() for name in victims}
        for (name, _), tally in zip(tasks, tallies, strict=True):
            sums[name] += tally
    rows = {**sums, "all": sum(sums.values(), Tally())} if len(sums) > 1 else sums
    say(f"\n{HEAD}\n|{' --- |' * HEAD.count(' |')}")
    for name, t in rows.items():
        equal = "yes" if t.equal else "NO"
        kinds = f"{sum(t.kills.values())} | {t.inside} | {t.resumes} | {t.completed} | {equal} | {t.seconds / 60:.1f} |"
        say(f"| {name} | {kinds}")
    return all(t.equal for t in sums.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=int(os.environ.get("KILLS", "300")), help="over all methods")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--mnist", action="store_true", help=f"one run on MNIST, killed {MNIST_KILLS} times")
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="perdure-soak-"))
    say(f"moments by seed {given.seed}, in {place}")
    if given.mnist:
        equal = soak({"er on MNIST": MNIST}, MNIST_KILLS, MNIST_KILLS, given.seed, 1, MNIST_REACH, place)
    else:
        victims = {name: f"{killing.COMMON} {arguments}" for name, arguments in METHODS.items()}
        each = -(-given.kills // len(victims))
        equal = soak(victims, each, CHUNK, given.seed, given.workers, killing.REACH, place)
    if equal:
        shutil.rmtree(place)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
