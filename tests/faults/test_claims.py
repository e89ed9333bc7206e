"""Files that claim to be large are refused before memory is taken for what they claim.

A child process with little memory loads them.
"""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory as Linux has them")

SPARE = 400 << 20  # bytes; the learner's state has 20 kB
CHILD = r"""
import json, resource, struct, sys
import torch
from forging import attempt, change_state, forged, set_to, sound
from safetensors.torch import load as from_bytes, save as to_bytes
from perdure.checkpoint._manifest import TENSORS

def header(content, data=b""):
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(text)) + text + data

def f32(shape, offsets):
    return {"dtype": "F32", "shape": shape, "data_offsets": offsets}

HEADERS = {
    "a header of exabytes": struct.pack("<Q", 1 << 62) + b"{}",
    "a header of 99 megabytes": struct.pack("<Q", 99 << 20) + b"{}",
    "a tensor of terabytes": header({"x": f32([1 << 40], [0, 1 << 42])}, bytes(8)),
    "a shape of terabytes": header({"x": f32([1 << 40], [0, 8])}, bytes(8)),
    "a shape that overflows": header({"x": f32([1 << 33, 1 << 33], [0, 0])}),
    "a shape of no rows and endless columns": header({"x": f32([0, 1 << 62], [0, 0])}),
    "offsets below zero": header({"x": f32([2], [-8, 0])}, bytes(8)),
    "offsets the wrong way": header({"x": f32([2], [8, 0])}, bytes(8)),
    "tensors that overlap": header({"x": f32([2], [0, 8]), "y": f32([2], [0, 8])}, bytes(8)),
    "an unknown type": header({"x": {"dtype": "F1024", "shape": [1], "data_offsets": [0, 128]}}, bytes(128)),
    "a hundred thousand tensors": header({str(i): f32([0], [0, 0]) for i in range(100_000)}),
    "deep": header(b"[" * 1_000_000),
}

def numbers(shape, kind):
    return {"$tensor": "huge"}, {"huge": torch.zeros(shape, dtype=kind)}

def with_tensors(name, change, tensors):
    files = sound(name)
    (path,) = (path for path in files if path.endswith(TENSORS))
    files = {**files, path: to_bytes({**from_bytes(files[path]), **tensors})}
    with forged(files, sealed=True) as checkpoint:
        change_state(checkpoint, change)
        return attempt(checkpoint, name)

seen, huge = numbers((10_000_000,), torch.bool)
example, wide = numbers((1, 2_000_000), torch.float32)
STATES = {
    "ten million classes": ("der_pp", set_to(seen, "classes", "seen"), huge),
    "ten million classes, by task": ("er", set_to(seen, "classes", "tasks"), huge),
    "a billion classes to come": ("gdumb", set_to(10**9, "num_classes"), {}),
    "an example of megabytes": ("er", set_to(example, "example", "x"), wide),
    "an example of megabytes, for gdumb": ("gdumb", set_to(example, "example", "x"), wide),
    "classes beyond": ("er", set_to({"$items": [["index", 0], ["classes", [10**9]], ["task", 10**9], ["name", ""]]},
                                    "experience"), {}),
    "a million keys": ("er", set_to({"$items": [[str(i), 0] for i in range(300_000)]}, "model"), {}),
}

for name in ("er", "der_pp", "gdumb"):
    with forged(sound(name), sealed=True) as checkpoint:
        assert attempt(checkpoint, name) == ""
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]),) * 2)
try:
    torch.zeros(2 * int(sys.argv[1]), dtype=torch.uint8)
    raise SystemExit("memory is not limited")
except RuntimeError:
    said = {}
for what, content in HEADERS.items():
    for path in sorted(path for path in sound("er") if path.endswith(".safetensors"))[:2]:
        with forged({**sound("er"), path: content}, sealed=True) as checkpoint:
            said[f"{what}, {path}"] = attempt(checkpoint, "er")
for what, (name, change, tensors) in STATES.items():
    try:
        said[what] = with_tensors(name, change, tensors)
    except MemoryError as error:
        said[what] = "MemoryError"
print(json.dumps(said))
"""


def test_what_is_claimed_is_not_believed():
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(SPARE)], capture_output=True, text=True, env=environment, timeout=120
    )
    assert child.returncode == 0, child.stderr[-2000:]
    said = json.loads(child.stdout)
    for what, text in said.items():
        assert text, f"{what} was loaded"
        assert "alloc" not in text, f"{what}: {text}"
        assert "memory" not in text.lower() or "Reservoir" in text, f"{what}: {text}"
