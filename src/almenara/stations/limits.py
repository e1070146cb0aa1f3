"""Confines a process that reads what strangers send: a decoder, a demuxer.

Called once in the child, after all imports and before the first byte. Resource limits
and ``no_new_privs`` are always there; Landlock (no path may be opened) and seccomp (no
socket, no program, no new process) where the kernel has them. What is missing is said,
not hidden: the caller shows it as *degraded*.

Source: setrlimit(2), prctl(2), landlock(7), seccomp(2); Linux ``asm/unistd_64.h`` and
``asm-generic/unistd.h`` for the numbers.
"""

import ctypes
import errno
import platform
import resource
import struct
from dataclasses import dataclass
from typing import Final

MIB: Final = 1024 * 1024
OPEN_FILES: Final = 32

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_FILTER = 38, 22, 2
_PR_SET_DUMPABLE = 4
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
_LANDLOCK_VERSION_FLAG = 1
_ACCESS_OF_ABI: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}
_ALLOW, _ERRNO, _KILL = 0x7FFF_0000, 0x0005_0000, 0x8000_0000
_CLONE_THREAD: Final = 0x0001_0000


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """Which of the walls stand."""

    no_new_privileges: bool
    landlock: bool
    seccomp: bool

    @property
    def degraded(self) -> bool:
        """Whether a wall is missing that the design wants."""
        return not (self.no_new_privileges and self.landlock and self.seccomp)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    """Numbers of one architecture."""

    audit_arch: int
    clone: int
    clone3: int
    refused: tuple[int, ...]


_X86_64 = _Machine(
    audit_arch=0xC000_003E,
    clone=56,
    clone3=435,
    # socket, connect, accept, bind, listen, socketpair, fork, vfork, execve, ptrace,
    # kill, mount, umount2, chroot, pivot_root, setns, unshare, keyctl and its kin, bpf,
    # perf_event_open, userfaultfd, process_vm_*, memfd_create, io_uring_*, execveat,
    # open_by_handle_at, init_module, finit_module, kexec_load, reboot, tkill, pidfd_*
    refused=(
        *(41, 42, 43, 49, 50, 53, 57, 58, 59, 101, 62, 165, 166, 161, 155, 308, 272),
        *(248, 249, 250, 321, 298, 323, 310, 311, 319, 425, 426, 427, 322, 304, 175),
        *(313, 246, 169, 200, 424, 434, 438, 288),
    ),
)
_AARCH64 = _Machine(
    audit_arch=0xC000_00B7,
    clone=220,
    clone3=435,
    refused=(
        *(198, 203, 202, 200, 201, 199, 221, 117, 129, 40, 39, 51, 41, 268, 97),
        *(217, 218, 219, 280, 241, 282, 270, 271, 279, 425, 426, 427, 281, 265, 105),
        *(273, 104, 142, 130, 424, 434, 438, 242),
    ),
)
_MACHINES: Final = {"x86_64": _X86_64, "aarch64": _AARCH64}


def confine(memory_bytes: int, *, sandbox: bool = True) -> Confinement:
    """Give up, for this process and its threads, everything decoding does not need.

    Args:
        memory_bytes: Address space it may use; 1 GiB decodes 1080p, loaded libraries
            included.
        sandbox: Also close the file system and the system calls. Nothing can be
            opened, imported or connected afterwards, pipes already open stay.

    Returns:
        Which walls stand now.
    """
    for what, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        _, hard = resource.getrlimit(what)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (limit, limit))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges = libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    closed = sandbox and no_new_privileges
    return Confinement(
        no_new_privileges=no_new_privileges,
        landlock=closed and _close_file_system(libc),
        seccomp=closed and _close_system_calls(libc),
    )


def _close_file_system(libc: ctypes.CDLL) -> bool:
    """Landlock with no path allowed; False where the kernel has none."""
    call = libc.syscall
    call.restype = ctypes.c_long
    nothing = ctypes.c_void_p(None)
    abi = call(_LANDLOCK_CREATE, nothing, ctypes.c_size_t(0), _LANDLOCK_VERSION_FLAG)
    if abi < 1:
        return False
    access = ctypes.c_uint64(_ACCESS_OF_ABI[min(abi, 3)])
    size = ctypes.c_size_t(ctypes.sizeof(access))
    ruleset = call(_LANDLOCK_CREATE, ctypes.byref(access), size, 0)
    if ruleset < 0:
        return False
    return bool(call(_LANDLOCK_RESTRICT, ctypes.c_int(ruleset), 0) == 0)


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _close_system_calls(libc: ctypes.CDLL) -> bool:
    """A seccomp filter for this machine; False where we know no numbers for it."""
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    code = filter_program(machine)
    program = _Program(len(code) // 8, code)
    done = libc.prctl(_PR_SET_SECCOMP, _SECCOMP_FILTER, ctypes.byref(program), 0, 0)
    return bool(done == 0)


def filter_program(machine: _Machine) -> bytes:
    """The filter in classic BPF: eight bytes an instruction.

    ``fork`` is ``clone`` underneath, so ``clone`` passes only for threads, and
    ``clone3``, whose flags a filter cannot read, answers that it does not exist.
    """
    load, equal, has_bits, answer = 0x20, 0x15, 0x45, 0x06
    refuse = _ERRNO | errno.EPERM

    def step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("=HBBI", code, yes, no, value)

    steps = [
        step(load, 4),
        step(equal, machine.audit_arch, 1, 0),
        step(answer, _KILL),
        step(load, 0),
        step(equal, machine.clone3, 0, 1),
        step(answer, _ERRNO | errno.ENOSYS),
        step(equal, machine.clone, 0, 4),
        step(load, 16),
        step(has_bits, _CLONE_THREAD, 0, 1),
        step(answer, _ALLOW),
        step(answer, refuse),
    ]
    for number in machine.refused:
        steps += [step(equal, number, 0, 1), step(answer, refuse)]
    if machine.audit_arch == _X86_64.audit_arch:
        # The x32 table repeats every call under another number.
        steps += [step(0x35, 0x4000_0000, 0, 1), step(answer, refuse)]
    steps.append(step(answer, _ALLOW))
    return b"".join(steps)
