"""Run one job in a process of its own and leave its result."""

from __future__ import annotations

import json
import os
import platform
import time

import building
import numpy as np
import torch
from measures import MEASURES
from protocol import Job

import perdure


def work(job: Job) -> None:
    """Write the result, complete or not at all."""
    torch.set_num_threads(1)
    spec = job.spec
    wall, processor = time.perf_counter(), time.process_time()
    whole = building.stream(job.setting, job.seed, **spec["stream"])
    learner = building.learner(building.model(whole, job.seed, **spec["model"]), job.seed, spec)
    fed = building.all_at_once(whole) if spec.get("all_at_once") else whole
    record = perdure.run(learner, fed, seed=job.seed, **{"evaluate_every": 0, **spec["run"]})
    numbers = MEASURES[spec.get("measure", "final")](learner, whole, record)
    result = {
        "job": job.name,
        "seed": job.seed,
        "fingerprint": job.fingerprint,
        "numbers": {name: round(value, 4) for name, value in numbers.items()},
        "accuracy_per_experience": [round(100 * a, 3) for a in record.accuracy[-1]],
        "updates": record.cost.updates,
        "seconds": round(time.perf_counter() - wall, 1),
        "processor_seconds": round(time.process_time() - processor, 1),
        "weights_sha256": record.weights_sha256,
        "versions": {
            "perdure": perdure.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
    }
    job.path.parent.mkdir(parents=True, exist_ok=True)
    part = job.path.with_name(f".{job.path.name}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        part.replace(job.path)
    finally:
        part.unlink(missing_ok=True)
