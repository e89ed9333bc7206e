"""The command ``perdure`` in a process that counts what it does to files in some folders, and dies at one of them.

``python child.py PLAN run --data digits ...``: PLAN is JSON with ``folders`` (absolute paths); ``at``: which operation,
from 1; ``die``: by SIGKILL at that very operation, else tell; ``pipe``: a descriptor that gets a line "now" at that
operation and "done NUMBER" with the count of all at the end; ``limit``: null or [FIRST, LAST, BYTES]: from operation
FIRST until LAST no file can grow beyond BYTES, as if the disk were full; ``bound``: permissions of files bind, though
this is root.
"""

import atexit
import ctypes
import itertools
import json
import os
import resource
import signal
import sys
from pathlib import Path

OPERATIONS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.listdir", "os.scandir", "shutil.rmtree"}


def absolute(path: object, folder: object = -1) -> str:
    """The path of an operation, which may be relative to the descriptor of a folder."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        return ""
    start = Path(f"/proc/self/fd/{folder}" if isinstance(folder, int) and folder >= 0 else ".")
    return str(start.resolve() / os.fsdecode(path))


def watch(folders: list[str], at: int, die: bool, pipe: int, limit: list[int] | None) -> None:
    """Count from now on."""
    first, last, size = limit or (0, 0, 0)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    numbers = itertools.count(1)
    total = 0
    inside = tuple(folder + os.sep for folder in folders)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal total
        if event not in OPERATIONS:
            return
        told = arguments[-1] if event in ("os.mkdir", "os.remove", "os.rmdir") else -1
        if not (absolute(arguments[0], told) + os.sep).startswith(inside):
            return
        total = number = next(numbers)
        if number == at:
            if die:
                os.kill(os.getpid(), signal.SIGKILL)
            os.write(pipe, b"now\n")
        if number in (first, last):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size if number == first else most, most))

    sys.addaudithook(hook)
    atexit.register(lambda: os.write(pipe, b"done %d\n" % total))


def let_permissions_bind(plan: dict[str, object]) -> None:
    """Start again without CAP_DAC_OVERRIDE."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP
    os.execv(sys.executable, [sys.executable, __file__, json.dumps({**plan, "bound": False}), *sys.argv[2:]])


if __name__ == "__main__":
    plan = json.loads(sys.argv[1])
    if plan["bound"]:
        let_permissions_bind(plan)
    watch(**{key: value for key, value in plan.items() if key != "bound"})
    sys.path[0] = str(Path.cwd())  # as for the command
    from perdure.cli import main

    sys.exit(main(sys.argv[2:]))
