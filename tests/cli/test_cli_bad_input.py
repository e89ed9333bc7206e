"""Bad input: exit code 2, one line that says what is wrong and what to do, nothing left behind."""

import os

import numpy as np
import pytest

RUN = "run --model linear --seeds 1 --eval-every 0"
FILES = {
    "good.csv": "a,b,kind\n" + "1,2,x\n3,4,y\n" * 20,
    "hole.csv": "a,b,kind\n" + "1,2,x\n3,4,y\n" * 20 + "1,2,\n",
    "words.csv": "a,b,kind\n" + "1,2,x\n3,4,y\n" * 20 + "1,red,x\n",
    "nan.csv": "a,b,kind\n" + "1,2,x\n3,4,y\n" * 20 + "1,nan,x\n",
    "one.csv": "a,b,kind\n" + "1,2,x\n" * 20,
    "typo.yaml": "data: digits\nmethod: er\nepoch: 3\n",
    "type.yaml": "data: digits\nmethod: er\nlr: fast\n",
    "list.yaml": "- data\n",
    "broken.yaml": "data: [\n",
    "option.yaml": "option: 3\n",
    "notes.txt": "hello",
}

CASES = {
    # the files
    "--data sales.csv --method er": ["--data sales.csv", "no file or folder"],
    "--data digit --method er": ["did you mean digits?", "mnist"],
    "--data good.csv --target kinds --method er": ["good.csv", "no column 'kinds'", "did you mean 'kind'?"],
    "--data good.csv --target kind --features a,c --method er": ["no column 'c'"],
    "--data good.csv --target kind --by column:day --method er": ["no column 'day'"],
    "--data good.csv --target kind --experiences 2 --method er --augment crop": ["--augment is for images"],
    "--data good.csv --target kind --by week --method er": ["--by 'week'", "column:NAME"],
    "--data good.csv --target kind --experiences 2 --test none.csv --method er": ["none.csv"],
    "--data hole.csv --target kind --experiences 2 --method er": ["'kind'", "no value", "row 40"],
    "--data nan.csv --target kind --experiences 2 --method er": ["'b'", "row 40"],
    "--data words.csv --target kind --features a,b --experiences 2 --method er": ["'b'", "numbers are due"],
    "--data one.csv --target kind --method er": ["one.csv", "one class only, 'x'", "at least two"],
    "--data good.csv --target kind --method er": ["5 experiences of 2 classes", "--experiences from 1 to 2"],
    "--data notes.txt --method er": ["notes.txt", ".parquet"],
    "--data torn.npz --method er": ["torn.npz", "damaged"],
    "--data uneven.npz --method er": ["uneven.npz", "'y'"],
    "--data pictures --method er --experiences 2": ["pictures", "size", "--image-size"],
    "--data pictures --method er --experiences 2 --target kind": ["folder of images"],
    "--data good.csv --target kind --experiences 2 --image-size 8 --method er": ["--image-size is for folders"],
    "--data digits --target y2 --method er": ["--target is for files"],
    "--data digits --holdout 0.5 --method er": ["test", "--holdout"],
    # methods
    "--data digits --method err": ["unknown method 'err'", "did you mean 'er'?"],
    "--data digits --method er --memory 8": ["er: draw 32 > capacity 8", "lower --draw or raise"],
    "--data digits --setting task-free --method finetune,joint": [
        "joint does not serve a task-free stream",
        "class-incremental",
    ],
    "--data digits --method er,finetune --option alphaa=0.2": ["--option alphaa: none of er, finetune has it"],
    "--data digits --method er,der --option er.alpha=0.2": ["er has no option 'alpha'", "draw"],
    "--data digits --method der --option alpha=much": ["der: ", "alpha", "float"],
    "--data digits --method er --option alpha": ["--option: expected NAME=VALUE, found 'alpha'"],
    # the stream
    "--data digits --setting class --method er": ["--setting class", "class-incremental"],
    "--data digits --experiences 11 --method er": ["11 experiences of 10 classes", "--experiences from 1 to 10"],
    "--data digits --experiences 0 --method er": ["--experiences 0: expected a whole number of at least 1"],
    "--data digits --order 1,2 --method er": ["name each class of 0 to 9 exactly once"],
    "--data digits --transform rotated --blurry 0.9 --method er": ["--transform and --blurry", "choose one"],
    "--data digits --transform rotated --setting class-incremental --method er": ["--transform is domain-incremental"],
    "--data digits --transform rotated --order shuffled --method er": ["--order", "leave it out"],
    "--data digits --setting task-free --epochs 2 --method er": ["use --epochs 1"],
    "--data digits --setting task-free --updates 2 --method er": ["--updates 2", "seen once", "leave it out"],
    "--data digits --epochs 2 --updates 9 --method er": ["--epochs 2 and --updates 9", "choose one"],
    "--data digits --updates 0 --method er": ["--updates 0: expected a whole number of at least 1"],
    "--data digits --blurry 1.5 --method er": ["--blurry 1.5: expected a number from 0 to 1"],
    "--data good.csv --target kind --transform rotated --experiences 2 --method er": ["rotate"],
    # model and training
    "--data digits --method er --model mlpp": ["did you mean mlp?"],
    "--data digits --method er --model mlp --model-option hiddenn=9": ["did you mean hidden?"],
    "--data digits --method er --model mlp --head fc": ["of your own"],
    "--data digits --method er --model nowhere:Net": ["no module 'nowhere'"],
    "--data digits --method er --model torch.nn:Linear": ["in_features"],
    "--data digits --method er --model torch.nn:Linear --model-option in_features=3 --model-option out_features=10": [
        "cannot take examples of shape (1, 8, 8)"
    ],
    "--data good.csv --target kind --experiences 2 --model resnet32 --method er": ["takes images"],
    "--data digits --method er --optimizer sgdd": ["did you mean sgd?"],
    "--data digits --method er --lr 0": ["--lr 0: expected a number above 0"],
    "--data digits --method er --lr=fast": ["--lr fast: expected a number above 0"],
    "--data digits --method er --scheduler CosineAnnealingLR": ["CosineAnnealingLR", "T_max"],
    "--data digits --method er --scheduler-option T_max=3": ["name the scheduler"],
    "--data digits --method er --device gpu": ["--device gpu"],
    "--data digits --method er --seeds 3,3": ["--seeds 3,3", "none twice"],
    "--data digits --method er --seeds 0": ["--seeds 0: expected how many"],
    # survival
    "--data digits --method er --checkpoint-every 0": ["--checkpoint-every 0: expected a whole number of at least 1"],
    "--data digits --method er --checkpoint-minutes -1": ["--checkpoint-minutes", "expected"],
    "--data digits --method er --checkpoint-minutes=-1": ["--checkpoint-minutes -1: expected a number of at least 0"],
    "--data digits --method er --keep-checkpoints 0": ["--keep-checkpoints 0: expected a whole number of at least 1"],
    "--data digits --method er --on-checkpoint-error raise": ["--on-checkpoint-error raise: expected stop or continue"],
    "--data digits --method er --on-bad-batch drop": ["--on-bad-batch drop: expected raise or skip"],
    "--data digits --method er --on-divergence skip": ["--on-divergence skip: expected raise or rollback"],
    "--data digits --method er --rollback-factor 1": ["--rollback-factor 1: expected a number between 0 and 1"],
    "--data digits --method er --max-rollbacks=-1": ["--max-rollbacks -1: expected a whole number of at least 0"],
    # usage
    "": ["--data is missing", "perdure data"],
    "--data digits": ["--method is missing", "perdure methods"],
    "--data digits --method er --epoch 3": ["unknown option --epoch: did you mean --epochs?"],
    "--data digits --method er --epochs": ["--epochs: expected one argument"],
    "--data digits --method er 3": ["'3' is not expected here"],
    "--config typo.yaml": ["typo.yaml: unknown option 'epoch': did you mean epochs?"],
    "--config type.yaml": ["type.yaml: lr: 'fast': expected a number above 0"],
    "--config list.yaml": ["list.yaml holds list"],
    "--config broken.yaml": ["broken.yaml is not YAML"],
    "--config option.yaml": ["option.yaml: option: 3: expected a mapping"],
    "--config none.yaml": ["none.yaml: No such file"],
}


@pytest.fixture
def inputs(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 torn")
    np.savez(tmp_path / "uneven.npz", x=np.zeros((10, 3)), y=np.arange(9))
    from PIL import Image

    for kind in ("cat", "dog"):
        (tmp_path / "pictures" / kind).mkdir(parents=True)
        for i in range(4):
            Image.new("L", (8, 8 + (kind == "dog")), i).save(tmp_path / "pictures" / kind / f"{i}.png")
    return sorted(tmp_path.rglob("*"))


@pytest.mark.parametrize("options", CASES)
def test_bad_input(cli, inputs, tmp_path, options):
    code, out, err = cli(f"{RUN} {options} --out new")
    assert (code, out) == (2, "")
    assert err.startswith("perdure: ")
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err
    for words in CASES[options]:
        assert words in err
    assert sorted(tmp_path.rglob("*")) == inputs


def test_the_good_file_is_good(cli, inputs):
    assert cli(f"{RUN} --data good.csv --target kind --experiences 2 --method er --out new").code == 0


@pytest.mark.parametrize("where", ["good.csv/new", "sealed/new", "pictures"])
def test_run_folder_that_cannot_be_made(cli, inputs, tmp_path, where):
    (tmp_path / "sealed").mkdir(mode=0o500)
    if where.startswith("sealed") and os.geteuid() == 0:
        pytest.skip("nothing is sealed for root")
    before = sorted(tmp_path.rglob("*"))
    code, _, err = cli(f"{RUN} --data digits --method er --out {where}")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert where in err
    assert "choose another" in err
    assert sorted(tmp_path.rglob("*")) == before


def test_debug_shows_the_traceback(cli, monkeypatch):
    assert "Traceback" in cli("run --data digits --method err --debug").err
    assert "Traceback" in cli("--debug run --data digits --method err").err
    monkeypatch.setenv("PERDURE_DEBUG", "1")
    code, _, err = cli("run --data digits --method err")
    assert code == 2
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("perdure: unknown method 'err'")
