"""``perdure run --on-bad-batch skip`` on files with rows and images that cannot be learnt from."""

import numpy as np
import pytest
from PIL import Image

from perdure import Record

QUICK = "--model linear --batch-size 32 --eval-every 0 --experiences 2 --method finetune --out a"


@pytest.fixture
def sales(tmp_path):
    """A table with a cell without value, an infinite one, and a row without target."""
    lines = [f"{i / 100},{i % 7},{'yes' if i % 2 else 'no'}" for i in range(240)]
    lines[100], lines[150], lines[200] = "1,,no", "inf,2,no", "2,3,"
    (tmp_path / "sales.csv").write_text("price,day,bought\n" + "\n".join(lines) + "\n")


@pytest.mark.parametrize("division", ["", "--by time", "--setting task-free", "--transform permuted", "--blurry 0.9"])
def test_a_table(cli, sales, tmp_path, division):
    command = f"run --data sales.csv --target bought --seeds 2 {division} {QUICK}"
    code, _, err = cli(command)
    assert code == 2
    assert "sales.csv" in err
    code, _, err = cli(f"{command} --on-bad-batch skip")
    assert code == 0, err
    note = (
        "Left out: 3 of 240 rows that cannot be learnt from (row 100: column 'day' holds no value; "
        "row 150: column 'price' holds 'inf'; row 200: column 'bought' holds no value)."
    )
    assert err.count(note) == 1  # for both seeds
    for seed in (0, 1):
        record = Record.read(tmp_path / f"a/records/finetune-seed{seed}.json")
        assert note in record.notes
        assert record.num_skipped == 0  # no batch was: normalisation and learning saw none of these rows
    page = (tmp_path / "a/report.html").read_text()
    assert "Left out: 3 of 240 rows that cannot be learnt from" in page


def test_a_folder_of_images(cli, tmp_path):
    for kind in range(2):
        (tmp_path / "photos" / f"kind{kind}").mkdir(parents=True)
        for i in range(20):
            Image.fromarray(np.full((9, 9), 100 * kind + i, np.uint8)).save(tmp_path / f"photos/kind{kind}/{i}.png")
    bad = tmp_path / "photos/kind1/7.png"
    bad.write_bytes(bad.read_bytes()[:-20])
    command = f"run --data photos --seeds 1 {QUICK}"
    assert cli(command).code == 2
    code, _, err = cli(f"{command} --on-bad-batch skip")
    assert code == 0, err
    assert "Left out: 1 of 40 images that cannot be read (photos/kind1/7.png: " in err
    assert (
        "Left out: 1 of 40 images that cannot be read (photos/kind1/7.png: " in (tmp_path / "a/report.html").read_text()
    )


def test_mostly_bad_is_bad_input(cli, tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n" + "1,0\nnan,1\nnan,0\n" * 10)
    code, _, err = cli(f"run --data t.csv --seeds 1 {QUICK} --on-bad-batch skip")
    assert code == 2
    assert "20 of 30 rows cannot be used" in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "a").exists()
