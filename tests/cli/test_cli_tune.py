"""``perdure tune``: real searches on small files."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import optuna
import pytest
import yaml

from perdure import Record
from perdure.datasets import load

PERDURE = [sys.executable, "-m", "perdure"]
A, B = (0, 1, 2, 3), (4, 5, 6, 7)


def write(path, digits, part, seed=0):
    """Some digits, called 0 to 3, as an npz file."""
    x, y = getattr(load("digits"), part)
    rows = np.flatnonzero(np.isin(y, digits))
    rows = np.random.default_rng(seed).permutation(rows)[:120]
    np.savez(path, x=x[rows].reshape(len(rows), -1).astype(np.float32) / 16, y=y[rows] - digits[0])


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The streams A and B, as files in the current folder."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.npz", A, "train")
    write(tmp_path / "a_test.npz", A, "test")
    write(tmp_path / "b.npz", B, "train")
    write(tmp_path / "b_test.npz", B, "test")
    return tmp_path


LINE = (
    "tune --data a.npz --test a_test.npz --score-on b.npz --score-test b_test.npz --experiences 2 --model linear "
    "--memory 150 --seeds 2 --tuning-seeds 1 --trials 3 --method er,ewc --out t"
)


def result(folder, name="t"):
    return json.loads((folder / name / "tune.json").read_text())


def trials(found):
    return {
        name: [(t["settings"], t["accuracy"], t["outcome"]) for t in one["trials"]]
        for name, one in found["methods"].items()
    }


def test_search_freeze_score(cli, data):
    code, out, err = cli(LINE)
    assert code == 0, err
    found = result(data)
    for text in ("tuned on a.npz", "scored on b.npz", "Kendall's tau", "draw", "strength"):
        assert text in out
    for name, one in found["methods"].items():
        assert len(one["trials"]) == 3
        tried = [t for t in one["trials"] if t["outcome"] == "complete"]
        assert one["validation_accuracy"] == max(t["accuracy"] for t in tried)
        for folder, number in (("tuned-on", "tuned_on_accuracy"), ("scored-on", "scored_on_accuracy")):
            records = [Record.read(data / "t" / folder / "records" / f"{name}-seed{seed}.json") for seed in (0, 1)]
            assert one[number] == pytest.approx(np.mean([np.mean(r.accuracy[-1]) for r in records]))
            for record in records:
                assert record.cost.tuning.processed == one["spent"]["processed"] > 0
                assert record.cost.tuning.train_seconds == one["spent"]["train_seconds"] > 0
            assert (data / "t" / folder / "report.html").stat().st_size > 10_000
    scores = [one["scored_on_accuracy"] for one in found["methods"].values()]
    assert found["regret"] == pytest.approx(max(scores) - found["methods"][found["chosen"]]["scored_on_accuracy"])
    assert found["kendall_tau"] in (-1.0, 1.0, None)
    _frozen_settings_reproduce_the_scores(cli, data, found)
    _complete_is_not_done_again(cli, data, out)


def _frozen_settings_reproduce_the_scores(cli, data, found):
    config = yaml.safe_load((data / "t" / "frozen.yaml").read_text())
    assert config["option"] == {name: one["settings"] for name, one in found["methods"].items()}
    assert cli("run --config t/frozen.yaml --out again").code == 0
    for name in ("er", "ewc"):
        for seed in (0, 1):
            path = f"records/{name}-seed{seed}.json"
            first, again = (Record.read(data / run / path) for run in ("t/scored-on", "again"))
            assert first.weights_sha256 == again.weights_sha256
            assert first.accuracy == again.accuracy


def _complete_is_not_done_again(cli, data, out):
    before = {p: p.stat().st_mtime_ns for p in (data / "t").glob("*/records/*.json")}
    code, again, err = cli(LINE)
    assert (code, again) == (0, out)
    assert "trial" not in err.replace("trials each", "")
    assert before == {p: p.stat().st_mtime_ns for p in (data / "t").glob("*/records/*.json")}


def test_nothing_is_held_against_the_search(cli, data):
    """The search is the same, to the bit, whatever the test part of A and all of B hold."""
    short = LINE.replace("--seeds 2", "--seeds 1")
    clean = json.loads(cli(f"{short} --json").out)
    rng = np.random.default_rng(1)
    for name in ("a_test", "b", "b_test"):  # other numbers under other names
        with np.load(data / f"{name}.npz") as old:
            x, y = old["x"], old["y"]
        np.savez(data / f"{name}.npz", x=rng.normal(size=x.shape).astype(np.float32), y=rng.permutation(y))
    poisoned = json.loads(cli(f"{short}2 --json").out)
    assert trials(poisoned) == trials(clean)
    for name in ("tuned_on_accuracy", "scored_on_accuracy"):  # it was there to be seen
        assert poisoned["methods"]["er"][name] < clean["methods"]["er"][name]
    with np.load(data / "a.npz") as old:  # the same for what it does learn shows that this can fail
        np.savez(data / "a.npz", x=old["x"][::-1], y=old["y"])
    other = json.loads(cli(f"{short}3 --search-only --json").out)
    assert trials(other) != trials(clean)


def test_killed_and_gone_on_with(cli, data, monkeypatch):
    """kill -9 in the middle: what was complete stays, and everything ends as if nothing had happened."""
    assert cli(f"{LINE}-alone --search-only").code == 0
    command = [*PERDURE, *LINE.split(), "--search-only"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "trial 2 of 3" in line:
                process.kill()
                break
    code, out, err = cli(f"{LINE} --search-only --json")
    assert code == 0
    done = err.count("  trial ")
    assert 1 <= done < 6
    alone = json.loads(cli(f"{LINE}-alone --search-only --json").out)
    assert trials(json.loads(out)) == trials(alone)


def workers_of(method):
    """The processes that tried something for a method."""
    study = optuna.load_study(study_name=f"perdure/{method}", storage="sqlite:///shared.db")
    return {t.user_attrs["worker"]["pid"] for t in study.get_trials() if "worker" in t.user_attrs}


def test_several_processes_share_one_study(cli, data):
    """Each trial is done once, by whoever is free; two workers of this command and one of another."""
    line = LINE.replace("--trials 3", "--trials 6") + " --search-only --storage sqlite:///shared.db"
    command = [*PERDURE, *line.replace("--out t", "--out u").split()]
    other = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for text in other.stderr:
        if "  trial " in text:
            break
    other.send_signal(signal.SIGSTOP)  # or it is done before these have begun
    threading.Thread(target=_go_on_after_a_trial_of_others, args=(other,), daemon=True).start()
    code, out, _ = cli(f"{line} --jobs 2 --json")
    other.communicate(timeout=120)
    assert (code, other.returncode) == (0, 0)
    found = json.loads(out)
    for one in found["methods"].values():
        assert [t["slot"] for t in one["trials"]] == list(range(6))
        assert {t["outcome"] for t in one["trials"]} <= {"complete", "pruned"}
    assert len((workers_of("er") | workers_of("ewc")) - {other.pid}) >= 1


def _go_on_after_a_trial_of_others(process):
    """At the latest after 45 seconds: it may have been stopped while it held the file."""
    deadline = time.monotonic() + 45
    try:
        while time.monotonic() < deadline and workers_of("er") | workers_of("ewc") <= {process.pid}:
            time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGCONT)


def test_interrupt_says_how_to_go_on(data):
    process = subprocess.Popen([*PERDURE, *LINE.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "  trial 1" in line:
            process.send_signal(signal.SIGINT)
            break
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"to go on: perdure {LINE}" in err
    assert "Traceback" not in err


def test_what_has_no_test_part_is_ranked_by_validation(cli, data):
    code, out, _ = cli(LINE.replace("--test a_test.npz ", "") + " --trials 1 --seeds 1")
    assert code == 0
    assert "validation on a.npz" in out
    assert not (data / "t" / "tuned-on").exists()
    found = result(data)["methods"]
    assert all(one["tuned_on_accuracy"] == one["validation_accuracy"] for one in found.values())


def test_upper_bounds_are_not_ranked(cli, data):
    code, out, _ = cli(f"{LINE} --method er,joint --trials 1 --seeds 1")
    assert code == 0
    found = result(data)
    assert found["kendall_tau"] is None
    assert found["methods"]["joint"]["upper_bound"]
    assert found["methods"]["joint"]["tuned_on_rank"] is None
    assert "bound" in out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("--range er.nothing=1,2", "er cannot take it: options are draw, lr"),
        ("--range memory=10..100", "memory is a budget that all methods share"),
        ("--range lr=fast", "--range lr: --option er.lr=fast: expected a number above 0"),
        ("--range lr=2..1", "give two finite numbers, the lower one first"),
        ("--lr 0.1 --range lr=0.1,0.2", "lr is given as well"),
        ("--tuning-seeds 1,5", "1 is one of --seeds"),
        ("--trials 0", "--trials: "),
        ("--pruning hard", "median or hyperband or none"),
        ("--score-epochs none", "--score-epochs"),
        ("--storage sqlite:////nowhere/at/all.db", "cannot be used"),
        ("--score-setting task-free --method ewc", "--score-on b.npz: ewc does not serve a task-free stream"),
        ("--score-on c.npz", "--score-on c.npz: --data c.npz: no file or folder"),
        ("--score-experiences 9", "--score-on b.npz: 9 experiences of 4 classes"),
        ("--method err", "unknown method 'err': did you mean 'er'?"),
        ("--trails 3", "unknown option --trails: did you mean --trials?"),
        ("--out .", "exists and holds no search"),
    ],
)
def test_bad_input_is_one_line(cli, data, change, told):
    code, out, err = cli(f"{LINE} {change}")
    assert (code, out) == (2, "")
    assert told in err
    assert len(err.splitlines()) == 1, err
    assert not (data / "t" / "tuned-on").exists()


def test_the_same_stream_twice(cli, data):
    same = LINE.replace("--score-on b.npz --score-test b_test.npz", "--score-on a.npz")
    assert "it has no test part" in cli(same.replace("--test a_test.npz ", "")).err
    code, _, err = cli(f"{same} --score-test a_test.npz --search-only --trials 1 --method er")
    assert code == 0, err


def test_a_folder_of_another_search(cli, data):
    assert cli(f"{LINE} --search-only --trials 1").code == 0
    code, _, err = cli(f"{LINE} --search-only --trials 2")
    assert code == 2
    assert "--out t holds another search (trials differ)" in err


def test_ranges_of_the_user(cli, data):
    line = LINE.replace("er,ewc", "er") + " --search-only --json --option er.lr=0.02 --range er.draw=5,6"
    found = json.loads(cli(line).out)["methods"]["er"]
    assert {frozenset(t["settings"]) for t in found["trials"]} == {frozenset({"draw"})}
    assert {t["settings"]["draw"] for t in found["trials"]} <= {5, 6}


def test_options_of_additions_are_searched_frozen_and_scored(cli, data):
    method, written = "finetune + ema", "finetune + ema(decay=0.5)"
    line = [*LINE.replace("--method er,ewc", "").split(), "--method", f"{method},{written}", "--lr", "0.1"]
    code, _, err = cli([*line, "--range", "ema.decay=0.2,0.5", "--range", f"{written}.label_smoothing=0.1,0.3"])
    assert code == 0, err
    found = result(data)["methods"]
    assert {trial["settings"]["label_smoothing"] for trial in found[written]["trials"]} <= {0, 0.1, 0.3}
    assert {trial["settings"]["ema.decay"] for trial in found[method]["trials"]} <= {0.2, 0.5, 0.99}
    assert "ema.decay" not in found[written]["settings"]
    frozen = yaml.safe_load((data / "t/frozen.yaml").read_text())
    assert frozen["option"] == {name: found[name]["settings"] for name in (method, written)}
    assert "ema.decay" in frozen["option"][method]
    assert cli(["run", "--config", "t/frozen.yaml", "--out", "r", "--quiet"]).code == 0

    def weights(run, seed=0):
        names = sorted(path for path in (data / run / "records").iterdir() if path.name.endswith(f"seed{seed}.json"))
        return {kept["method"]: kept["accuracy"] for kept in map(json.loads, (path.read_text() for path in names))}

    assert weights("r") == weights("t/scored-on")
    same = ["run", *line[1 : line.index("--score-on")], "--model", "linear", "--experiences", "2", "--lr", "0.1"]
    same += ["--seeds", "1", "--quiet", "--method", f"{method},{written}", "--option", f"{method}.ema.decay=0.5"]
    assert cli([*same, "--out", "s"]).code == 0
    one, other = weights("s").values()
    assert one == other
    code, _, err = cli([*same, "--option", f"{method}.ema.dekay=0.5", "--out", "u"])
    assert (code, "no option 'dekay': did you mean 'decay'?" in err) == (2, True)


@pytest.mark.skipif("PERDURE_POSTGRES" not in os.environ, reason="PERDURE_POSTGRES names no database")
def test_postgresql(cli, data):
    study = f"test-{os.getpid()}-{time.time_ns()}"
    line = f"{LINE} --search-only --storage {os.environ['PERDURE_POSTGRES']} --study {study}"
    other = subprocess.Popen([*PERDURE, *f"{line} --out u".split()], stdout=subprocess.DEVNULL)
    code, out, _ = cli(f"{line} --jobs 2 --json")
    assert (code, other.wait(120)) == (0, 0)
    for one in json.loads(out)["methods"].values():
        assert [t["slot"] for t in one["trials"]] == list(range(3))
