# SPDX-License-Identifier: MIT
"""Phases of this program, for a power meter that runs beside it.

    import powermeasure

    with powermeasure.phase("infer"):
        work()

    @powermeasure.phase("load")
    def load(): ...

Under `powermeasure run` the report tells what was used during each. A marker is a time stamp in shared
memory, in the layout of powermeasure_phase.h; where nobody measures (POWERMEASURE_PHASES is not set)
nothing is done.
"""

import errno
import fcntl
import functools
import inspect
import mmap
import os
import stat
import struct
import sys
import threading
import time
from typing import Any, Callable, Dict, Optional, Union

_ENV = "POWERMEASURE_PHASES"
_MAGIC = b"PMPHASE\0"
_VERSION = 1
_RINGS = 256
_RECORDS = 4096
_NAMES = 64
_NAME = 64
_END = 0x80000000

_SLOT = 128
_SLOTS_AT = 4096
_DATA_AT = _SLOTS_AT + _RINGS * _SLOT
_RING = _NAMES * _NAME + _RECORDS * 16
_BYTES = _DATA_AT + _RINGS * _RING

# In the head, and in a slot: claim, time, PID namespace, base; claims, names, cut, unnamed; head.
_USED_AT, _REFUSED_AT = 40, 44
_CLAIM_AT, _BASE_AT, _CLAIMS_AT, _NAMES_AT, _CUT_AT, _UNNAMED_AT, _HEAD_AT = 0, 24, 32, 36, 40, 44, 64

_WAITS = 256  # a channel that is named and not there yet is looked for at each so many markers
_LOCK_TRIES, _LOCK_PAUSE = 2000, 0.0001

_Mark = Callable[[str, int], None]


def _nothing(name: str, end: int) -> None:
    pass


def _add(memory: mmap.mmap, at: int, n: int = 1) -> int:
    value = (struct.unpack_from("=I", memory, at)[0] + n) & 0xffffffff
    struct.pack_into("=I", memory, at, value)
    return value


def _is_gone(claim: int) -> bool:
    """Whether a thread of this PID namespace is gone."""
    pid, tid = claim >> 32, claim & 0xffffffff
    if os.path.exists(f"/proc/{pid}"):
        return not os.path.exists(f"/proc/{pid}/task/{tid}")
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


class _Channel:
    """The shared memory of this process."""

    def __init__(self, path: str) -> None:
        self.path = path
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or status.st_size < _BYTES:
                raise OSError(errno.EINVAL, "no channel", path)
            self.memory = mmap.mmap(fd, _BYTES)
        finally:
            os.close(fd)
        if struct.unpack_from("=8sI", self.memory) != (_MAGIC, _VERSION):
            raise OSError(errno.EINVAL, "no channel", path)
        # An item of this is written in one go.
        self.words = memoryview(self.memory).cast("Q")

    def _slot(self, i: int) -> int:
        return _SLOTS_AT + i * _SLOT

    def _free_ring(self, pid_ns: int) -> Optional[int]:
        slots = [struct.unpack_from("=QQQ", self.memory, self._slot(i)) for i in range(_RINGS)]
        for i, (claim, _, _) in enumerate(slots):
            if claim == 0:
                return i
        # The one that was claimed first: what it has was most likely read.
        for i in sorted(range(_RINGS), key=lambda i: slots[i][1]):
            if slots[i][2] == pid_ns and _is_gone(slots[i][0]):
                return i
        return None

    def claim(self) -> Optional[int]:
        """A ring for this thread; None if there is none left."""
        fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            for _ in range(_LOCK_TRIES):
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    time.sleep(_LOCK_PAUSE)
            else:
                return None
            try:
                return self._claim_locked(fd)
            finally:
                fcntl.flock(fd, fcntl.LOCK_UN)
        finally:
            os.close(fd)

    def _claim_locked(self, fd: int) -> Optional[int]:
        memory, pid_ns = self.memory, os.stat("/proc/self/ns/pid").st_ino
        i = self._free_ring(pid_ns)
        if i is None:
            return None
        try:
            os.posix_fallocate(fd, _DATA_AT + i * _RING, _RING)
        except OSError as e:
            # What cannot be had now would be a signal at a marker.
            if e.errno in (errno.ENOSPC, errno.ENOMEM, errno.EFBIG, errno.EDQUOT):
                return None
        at = self._slot(i)
        head = self.words[(at + _HEAD_AT) // 8]
        self.words[(at + _CLAIM_AT) // 8] = 0
        _add(memory, at + _CLAIMS_AT)
        struct.pack_into("=QQQ", memory, at + 8, time.clock_gettime_ns(time.CLOCK_BOOTTIME), pid_ns,
                         head)
        struct.pack_into("=III", memory, at + _NAMES_AT, 0, 0, 0)
        self.words[(at + _CLAIM_AT) // 8] = os.getpid() << 32 | threading.get_native_id()
        if struct.unpack_from("=I", memory, _USED_AT)[0] <= i:
            struct.pack_into("=I", memory, _USED_AT, i + 1)
        return i

    def marker(self) -> _Mark:
        """What marks for this thread."""
        try:
            ring = self.claim()
        except OSError:
            ring = None
        if ring is None:
            _add(self.memory, _REFUSED_AT)
            return _nothing
        memory, words, now, names = self.memory, self.words, time.monotonic_ns, {}  # type: ignore
        slot = self._slot(ring)
        names_at = _DATA_AT + ring * _RING
        records, head_at = (names_at + _NAMES * _NAME) // 8, (slot + _HEAD_AT) // 8
        head = words[head_at]

        def intern(name: str) -> int:
            number = len(names)
            if number == _NAMES:
                _add(memory, slot + _UNNAMED_AT)
                return -1
            text = name.encode("utf-8", "replace").replace(b"\0", b"?")
            if len(text) >= _NAME:
                text = text[:_NAME - 1].decode("utf-8", "ignore").encode()
                _add(memory, slot + _CUT_AT)
            at = names_at + number * _NAME
            memory[at:at + _NAME] = text.ljust(_NAME, b"\0")
            _add(memory, slot + _NAMES_AT)
            names[name] = number
            return number

        def mark(name: str, end: int) -> None:
            nonlocal head
            try:
                number = names[name]
            except KeyError:
                number = intern(name)
                if number < 0:
                    return
            at = records + ((head & 4095) << 1)
            words[at] = now()
            words[at + 1] = (head & 0xffffffff) << 32 | end | number
            head += 1
            words[head_at] = head

        return mark


_channel: Optional[_Channel] = None
_looked = False
_may_come = False
_local = threading.local()
_lock = threading.Lock()


def _look() -> None:
    global _channel, _may_come
    with _lock:
        path = os.environ.get(_ENV)
        _may_come = False
        if _channel is None and path and sys.byteorder == "little":
            try:
                _channel = _Channel(path)
            except FileNotFoundError:
                _may_come = True
            except (OSError, ValueError):
                pass


def _is_on() -> bool:
    """Whether somebody measures, or may do so later; decided once."""
    global _looked
    if not _looked:
        _look()
        _looked = True
    return _channel is not None or _may_come


def _waiter() -> _Mark:
    """What a marker does where the channel is named and not there yet."""
    waits = 0

    def wait(name: str, end: int) -> None:
        nonlocal waits
        waits += 1
        if waits % _WAITS == 0:
            _look()
            if _channel is not None:
                _begin_thread()(name, end)

    return wait


def _begin_thread() -> _Mark:
    _local.mark = _nothing  # a signal's handler may mark meanwhile
    _local.mark = _channel.marker() if _channel else _waiter() if _may_come else _nothing
    return _local.mark


def _after_fork() -> None:
    """The child is another process: its threads have no rings yet."""
    global _local, _lock
    _local = threading.local()
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


class _Phase:
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> "_Phase":
        try:
            mark = _local.mark
        except AttributeError:
            mark = _begin_thread()
        mark(self.name, 0)
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            mark = _local.mark
        except AttributeError:
            mark = _begin_thread()
        mark(self.name, _END)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return _wrap(function, self)


class _NoPhase:
    """Nobody measures."""

    __slots__ = ()

    def __enter__(self) -> "_NoPhase":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function


_NO_PHASE = _NoPhase()
_phases: Dict[str, Union[_Phase, _NoPhase]] = {}
_MOST_KEPT = 1024


def _wrap(function: Callable[..., Any], of: _Phase) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):
        @functools.wraps(function)
        async def wrapped(*args: Any, **keywords: Any) -> Any:
            with of:
                return await function(*args, **keywords)
    elif inspect.isasyncgenfunction(function):
        @functools.wraps(function)
        async def wrapped(*args: Any, **keywords: Any) -> Any:
            with of:
                # What is sent into it, asend() and athrow(), does not come through.
                async for item in function(*args, **keywords):
                    yield item
    elif inspect.isgeneratorfunction(function):
        @functools.wraps(function)
        def wrapped(*args: Any, **keywords: Any) -> Any:
            with of:
                return (yield from function(*args, **keywords))
    else:
        @functools.wraps(function)
        def wrapped(*args: Any, **keywords: Any) -> Any:
            with of:
                return function(*args, **keywords)
    return wrapped


def phase(name: Union[str, Callable[..., Any]]) -> Any:
    """A phase of this program: for `with phase("infer"):`, as a decorator with a name, or as one
    without, where the function's name is the phase's. Phases nest, overlap and run in several threads
    as they like; 63 bytes of a name count."""
    known = _phases.get(name)  # type: ignore
    if known is not None:
        return known
    if callable(name):
        return phase(getattr(name, "__qualname__", type(name).__qualname__))(name)
    if not isinstance(name, str):
        raise TypeError(f"a phase's name is a str, not {type(name).__name__}")
    made = _Phase(name) if _is_on() else _NO_PHASE
    return _phases.setdefault(name, made) if len(_phases) < _MOST_KEPT else made
