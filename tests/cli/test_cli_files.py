"""``perdure run`` on files and on data in order of time."""

import os

import numpy as np
import pytest
from PIL import Image

from perdure import Record

QUICK = "--model linear --seeds 1 --batch-size 32 --eval-every 0 --method finetune --out a"


@pytest.fixture
def sales(tmp_path):
    """Two classes whose feature drifts; three shops; labels in runs of two."""
    rows = np.arange(240)
    labels = rows // 2 % 2
    lines = [f"{labels[i] + i / 100:.2f},{i % 7},shop {i // 80},{'yes' if labels[i] else 'no'}" for i in rows]
    (tmp_path / "sales.csv").write_text("price,day,shop,bought\n" + "\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("options", "setting", "experiences"),
    [
        ("--by time --experiences 3", "domain-incremental", ["rows 0–79", "rows 80–159", "rows 160–239"]),
        ("--setting domain-incremental --experiences 2", "domain-incremental", ["rows 0–119", "rows 120–239"]),
        ("--setting domain-incremental --by classes --experiences 1", "domain-incremental", ["classes no yes"]),
        ("--by column:shop", "domain-incremental", ["shop shop 0", "shop shop 1", "shop shop 2"]),
        ("--experiences 2", "class-incremental", ["class no", "class yes"]),
        ("--experiences 1 --setting task-incremental", "task-incremental", ["classes no yes"]),
        ("--by time --experiences 2 --setting task-free", "task-free", ["rows 0–119", "rows 120–239"]),
        ("--transform permuted --experiences 2", "domain-incremental", ["permutation 0", "permutation 1"]),
        ("--experiences 2 --blurry 0.8 --features price", "class-incremental", ["class no", "class yes"]),
        ("--experiences 2 --order yes,no", "class-incremental", ["class yes", "class no"]),
    ],
)
def test_divisions_of_a_table(cli, sales, tmp_path, options, setting, experiences):
    code, _, err = cli(f"run --data sales.csv --target bought {options} {QUICK}")
    assert code == 0, err
    record = Record.read(tmp_path / "a/records/finetune-seed0.json")
    assert (record.data, record.setting, record.experiences) == ("sales", setting, experiences)
    assert any("repeating the last label" in note for note in record.notes) == ("rows 0" in experiences[0])


def test_a_folder_of_images(cli, tmp_path):
    for kind in range(4):
        (tmp_path / "photos" / f"kind{kind}").mkdir(parents=True)
        for i in range(10):
            Image.new("L", (9, 8 + i % 2), 60 * kind + i).save(tmp_path / "photos" / f"kind{kind}" / f"{i}.png")
    code, _, err = cli(f"run --data photos --image-size 6 --experiences 2 {QUICK}")
    assert code == 0, err
    record = Record.read(tmp_path / "a/records/finetune-seed0.json")
    assert record.experiences == ["classes kind0 kind1", "classes kind2 kind3"]
    assert record.cost.parameters == (6 * 6 + 1) * 4


@pytest.mark.skipif("PERDURE_DATA" not in os.environ, reason="needs the stream electricity: set PERDURE_DATA")
def test_a_stream_shows_what_guessing_scores(cli, tmp_path):
    """85.33 % is what repeating the last label scores on the whole of electricity."""
    code, _, err = cli(f"run --data electricity --experiences 4 {QUICK}")
    assert code == 0, err
    record = Record.read(tmp_path / "a/records/finetune-seed0.json")
    assert record.setting == "domain-incremental"
    assert any("repeating the last label scores 85.3 %, the majority class 57.5 %" in note for note in record.notes)
    assert "repeating the last label scores 85.3 %" in (tmp_path / "a/report.html").read_text()
