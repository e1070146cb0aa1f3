import subprocess
import sys

import pytest

from almenara.stations.limits import Confinement

TRIES = """
import os, socket, sys, threading
from almenara.stations.limits import MIB, confine
import encodings.idna, errno
told = confine(600 * MIB, sandbox={sandbox})
print(told.no_new_privileges, told.landlock, told.seccomp, told.degraded)
def attempt(name, act):
    try:
        act()
    except (OSError, MemoryError) as error:
        print(name, "refused", type(error).__name__)
    else:
        print(name, "allowed")
attempt("memory", lambda: bytearray(700 * MIB))
attempt("open", lambda: open("/etc/passwd"))
attempt("listdir", lambda: os.listdir("/"))
attempt("socket", lambda: socket.socket())
attempt("fork", lambda: os.fork() or os._exit(0))
attempt("exec", lambda: os.execv("/bin/true", ["true"]))
attempt("kill", lambda: os.kill(os.getppid(), 0))
thread = threading.Thread(target=lambda: print("thread", "allowed"))
thread.start(); thread.join()
"""


def confined(*, sandbox: bool) -> dict[str, str]:
    script = TRIES.format(sandbox=sandbox)
    done = subprocess.run(  # noqa: S603 -- our own script
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    first, *lines = done.stdout.splitlines()
    return {"walls": first} | dict(line.split(" ", 1) for line in lines)


@pytest.mark.slow
def test_a_confined_process_can_only_compute():
    told = confined(sandbox=True)
    if told["walls"] != "True True True False":
        pytest.skip(f"this kernel lacks a wall: {told['walls']}")

    for act in ("open", "listdir", "socket", "fork", "exec", "memory", "kill"):
        assert told[act].startswith("refused"), act
    assert told["thread"] == "allowed"


@pytest.mark.slow
def test_limits_alone_say_that_they_are_not_enough():
    told = confined(sandbox=False)

    assert told["walls"] == "True False False True"
    assert told["memory"].startswith("refused")


def test_a_missing_wall_is_said():
    assert Confinement(no_new_privileges=True, landlock=False, seccomp=True).degraded
    assert not Confinement(no_new_privileges=True, landlock=True, seccomp=True).degraded
