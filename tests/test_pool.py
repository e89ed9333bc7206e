"""Real processes, that do nothing much."""

import os
import signal
import subprocess
import sys
import time

import pytest

from perdure._pool import DIED, Pool

SERVANT = """
import os, signal, time
from perdure._serve import serve

def prepare(hello, say):
    def do(task):
        print("heard by nobody who waits for answers")
        say({"pid": os.getpid(), "threads": os.environ["THREADS"]})
        if task.get("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(task.get("sleep", 0))
        return {"answer": task["number"] * hello["factor"], "text": "é" * task.get("long", 0)}
    return do

def load():
    print("nor do those who load")
    hoard.append(bytes(range(250)) * 80_000)

hoard = []
serve(prepare, load)
"""


HELLO = {"factor": 10}


@pytest.fixture
def pool(tmp_path, monkeypatch):
    (tmp_path / "a_servant.py").write_text(SERVANT)
    monkeypatch.syspath_prepend(tmp_path)
    return lambda size: Pool("a_servant", size, {"THREADS": "3"}, quiet=True)


def gone(pid):
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_every_task_is_answered_once_by_processes_that_stay(pool):
    with pool(2) as work:
        told = list(work.talk(HELLO, ({"number": n, "long": 70_000 * (n == 3)} for n in range(7))))
    answers = {task["number"]: said["answer"] for task, said in told if "answer" in said}
    assert answers == {n: 10 * n for n in range(7)}
    assert next(len(said["text"]) for task, said in told if said.get("answer") == 30) == 70_000
    pids = {said["pid"] for _, said in told if "pid" in said}
    assert len(pids) <= 2
    assert {said["threads"] for _, said in told if "threads" in said} == {"3"}
    assert all(map(gone, pids))


def test_one_that_dies_leaves_the_others_alone(pool):
    with pool(2) as work:
        told = list(work.talk(HELLO, ({"number": n, "die": n == 1} for n in range(5))))
    assert {task["number"]: said[DIED] for task, said in told if DIED in said} == {1: "its process ended with signal 9"}
    assert sorted(said["answer"] for _, said in told if "answer" in said) == [0, 20, 30, 40]


def test_tasks_are_asked_for_when_somebody_is_free(pool):
    answered = set()

    def tasks():
        for n in range(4):
            assert n == 0 or n - 1 in answered
            yield {"number": n}

    with pool(1) as work:
        for task, said in work.talk(HELLO, tasks()):
            answered |= {task["number"]} if "answer" in said else set()
    assert answered == set(range(4))


def test_begun_before_there_is_anything_to_do(pool):
    with pool(2) as work:
        work.begin()
        begun = {servant.process.pid for servant in work._servants}
        told = list(work.talk(HELLO, ({"number": n} for n in range(3))))
    assert len(begun) == 2
    assert {said["pid"] for _, said in told if "pid" in said} <= begun
    assert sorted(said["answer"] for _, said in told if "answer" in said) == [0, 10, 20]


def test_begun_and_dead_before_there_is_anything_to_do(pool):
    with pool(1) as work:
        work.begin()
        (first,) = work._servants
        first.process.kill()
        first.process.wait()
        told = list(work.talk(HELLO, ({"number": n} for n in range(2))))
    assert [said["answer"] for _, said in told if "answer" in said] == [0, 10]
    assert not any(DIED in said for _, said in told)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_what_they_hold(pool):
    with pool(2) as work:
        assert work.held_bytes() == 0
        work.begin()
        deadline = time.monotonic() + 60
        while work.held_bytes() < 4e7:  # what each loads
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert work.held_bytes() < 1e8


def test_begun_and_never_asked(pool):
    with pool(2) as work:
        work.begin()
        pids = [servant.process.pid for servant in work._servants]
    assert all(map(gone, pids))


def test_too_many_begun(pool):
    with pool(3) as work:
        work.begin()
        kept, *others = [servant.process.pid for servant in work._servants]
        work.shrink(1)
        assert all(map(gone, others))
        told = list(work.talk(HELLO, ({"number": n} for n in range(3))))
    assert {said["pid"] for _, said in told if "pid" in said} == {kept}
    assert [said["answer"] for _, said in told if "answer" in said] == [0, 10, 20]


def test_told_to_stop(pool):
    with pool(2) as work:
        last = {}
        for task, said in work.talk(HELLO, ({"number": n, "sleep": 60} for n in range(5))):
            last[task["number"]] = said
            if len(last) == 2 and not work.stopping:
                work.stop(signal.SIGTERM)
    assert {number: said.get(DIED) for number, said in last.items()} == dict.fromkeys(
        (0, 1), "its process ended with signal 15"
    )


def test_an_error_ends_them(pool):
    pids = []

    def leave_early():
        with pool(1) as work:
            for _, said in work.talk(HELLO, [{"number": 0, "sleep": 60}]):
                pids.append(said["pid"])
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        leave_early()
    assert gone(*pids)


def test_none_outlives_what_started_it(pool, tmp_path):
    pool(1)  # writes the module
    code = (
        "from perdure._pool import Pool\n"
        "with Pool('a_servant', 1, {'THREADS': '1'}) as work:\n"
        "    for _, said in work.talk({'factor': 1}, [{'number': 0, 'sleep': 60}]):\n"
        "        print(said['pid'], flush=True)\n"
    )
    command = [sys.executable, "-c", code]
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}) as process:
        pid = int(process.stdout.readline())
        process.kill()
    assert gone(pid)
