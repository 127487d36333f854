# SPDX-License-Identifier: MIT
"""The energy of stretches of a Python program: windows over libpowermeasure."""

from __future__ import annotations

import ctypes
import errno
import functools
import inspect
import itertools
import operator
import re
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, TypeVar, Union

from . import _library
from ._library import KINDS, MonitorError

_Function = TypeVar("_Function", bound=Callable[..., Any])


class WindowError(MonitorError, ValueError):
    """A window that was begun twice, ended twice or never begun."""


@dataclass(frozen=True)
class Energy:
    """Energy in joules, and between which bounds it lies. `float()` of it is its joules."""

    joules: float
    low: float
    high: float
    watts: float
    #: "measured" (a hardware counter), "integrated" (from power samples) or "estimated" (a model,
    #: no measurement); of a sum, the worst of its parts'.
    quality: str
    #: Readings failed meanwhile.
    gap: bool = False
    #: A counter restarted, or may have wrapped unseen: energy is missing.
    reset: bool = False
    #: A sum that lacks a domain that could not be read.
    partial: bool = False
    #: A process was gone before its last CPU time could be read.
    tail: bool = False
    #: The hardware shows it in two ways that disagree by more than 5 %.
    disputed: bool = False

    def __float__(self) -> float:
        return self.joules


@dataclass(frozen=True)
class Domain:
    """One thing that is metered."""

    name: str
    kind: str
    sensor: str
    scope: str
    quality: str
    #: False where another domain of its kind contains it.
    counted: bool
    #: The name of the domain that contains it.
    parent: Optional[str] = None
    #: What the hardware calls itself, like a GPU's UUID.
    id: Optional[str] = None
    #: The model behind an estimate.
    model: Optional[str] = None
    #: How often the hardware updates the value, in seconds.
    update_period: Optional[float] = None


@dataclass(frozen=True)
class Sensor:
    """A way to read energy, used or not."""

    name: str
    used: bool
    usable: bool
    needs_polling: bool
    #: Why it is not usable or not used.
    reason: Optional[str] = None
    #: The exact command that would change that.
    fix: Optional[str] = None


@dataclass(frozen=True)
class ProcessUse:
    """A process's part: its CPU time, the energy that goes by it, and its part of the GPUs where the
    driver reports who used them and the window has 2 s; else `gpu` is None and `total` partial."""

    pid: Optional[int]
    cpu_time: float
    cpu: Optional[Energy]
    dram: Optional[Energy]
    total: Optional[Energy]
    ended: bool = False
    gpu: Optional[Energy] = None


@dataclass(frozen=True)
class Measurement:
    """What was used in a window. Whatever was not measured is None, never 0.

    The names of the first attributes are Zeus's; energies are joules.
    """

    #: Seconds.
    time: float
    #: By index; a GPU that could not be read in the window has None.
    gpu_energy: Optional[Dict[int, Optional[float]]] = None
    cpu_energy: Optional[Dict[int, Optional[float]]] = None
    dram_energy: Optional[Dict[int, Optional[float]]] = None
    platform_energy: Optional[Dict[int, Optional[float]]] = None

    #: The same by kind, with bounds and quality.
    cpu: Optional[Energy] = None
    dram: Optional[Energy] = None
    gpu: Optional[Energy] = None
    platform: Optional[Energy] = None
    #: All kinds: the domains that no other one contains.
    total: Optional[Energy] = None
    #: By the domain's name; None where it was not measured.
    domains: Dict[str, Optional[Energy]] = field(default_factory=dict)
    #: This process, and others by pid (Monitor.add_process()).
    process: Optional[ProcessUse] = None
    processes: Dict[int, ProcessUse] = field(default_factory=dict)

    @property
    def total_energy(self) -> Optional[float]:
        """Joules of all kinds together, each counted once."""
        return self.total.joules if self.total else None

    @property
    def soc_energy(self) -> None:
        """Zeus's; here a board's energy is platform_energy."""
        return None


class Window:
    """A window as a context: `with monitor.window("x") as w: ...`, then w.result."""

    def __init__(self, monitor: Monitor, key: str, sync_execution: bool, restart: bool) -> None:
        self._monitor = monitor
        self._sync_execution = sync_execution
        self._restart = restart
        self.key = key
        #: The measurement, once the window has ended; also where that was by an exception.
        self.result: Optional[Measurement] = None

    def __enter__(self) -> Window:
        self.result = None
        self._monitor.begin_window(self.key, self._sync_execution, self._restart)
        return self

    def __exit__(self, *exception: Any) -> None:
        self.result = self._monitor.end_window(self.key, self._sync_execution)


class Monitor:
    """Measures windows: stretches between a begin and an end, nested and overlapping as you like.

        monitor = Monitor()
        monitor.begin_window("epoch")
        train()
        measurement = monitor.end_window("epoch")
        print(measurement.time, measurement.total_energy)

    Windows belong to the monitor, not to a thread: another thread may end one. A child of a fork
    makes a monitor of its own.

    `sensors`: names with commas as `powermeasure list` shows them; None: all there are.
    `gpu_indices`: the driver's indexes or UUIDs; None: all, []: none.
    `polling`: GPUs and most boards need threads to be read by; with False there are none, and such
    sensors are not used.
    `sync`: called before a window begins and ends, to wait for what was handed to a GPU
    (torch.cuda.synchronize, say).
    `estimate_watts`: (idle, full) of one CPU, where the CPUs' energy is estimated.
    `root`: the directory in which the machine's /sys and /proc lie.
    """

    def __init__(
        self,
        sensors: Union[None, str, Sequence[str]] = None,
        *,
        gpu_indices: Optional[Sequence[Union[int, str]]] = None,
        polling: bool = True,
        sync: Optional[Callable[[], Any]] = None,
        estimate_watts: Optional[Tuple[float, float]] = None,
        root: Optional[str] = None,
    ) -> None:
        self._handle = None
        if sensors is not None and not isinstance(sensors, str):
            sensors = ",".join(sensors)
        if isinstance(gpu_indices, (str, bytes, int)):
            raise TypeError(f"gpu_indices: a list is needed, not {gpu_indices!r}")
        if sync is not None and not callable(sync):
            raise TypeError(f"sync: {sync!r} cannot be called")
        options = _library.Options(root=_bytes(root), sensors=_bytes(sensors))
        if gpu_indices is not None:
            if gpu_indices:
                options.gpus = _bytes(",".join(str(index) for index in gpu_indices))
            else:
                options.kinds = sum(1 << i for i, kind in enumerate(KINDS) if kind != "gpu")
        if estimate_watts is not None:
            idle, full = (round(watts * 1000) for watts in estimate_watts)
            if idle < 0 or full <= 0:
                raise ValueError(f"estimate_watts: {estimate_watts!r} are no powers")
            options.estimate_idle_mw, options.estimate_full_mw = idle, full
        self._sync = sync
        self._numbers = itertools.count(1)
        self._whos: Dict[int, int] = {}
        self._library = _library.load()
        handle = _library.Handle()
        self._check(self._library.pm_open(ctypes.byref(handle), ctypes.byref(options)))
        self._handle = handle
        try:
            if polling:
                self._check(self._library.pm_start_polling(handle))
            self.domains = self._list_domains()
        except BaseException:
            self.close()
            raise
        self._indexes = _indexes(self.domains)

    # ---- windows

    def begin_window(self, key: str, sync_execution: bool = True, restart: bool = False) -> None:
        """Begins a window. One that is open already raises WindowError, or begins anew with
        `restart`."""
        name = self._name(key)
        if restart:
            self.cancel_window(key, missing_ok=True)
        if sync_execution and self._sync:
            self._sync()
        self._check(self._library.pm_begin_window(self._open(), name), WindowError)

    def end_window(
        self, key: str, sync_execution: bool = True, cancel: bool = False
    ) -> Measurement:
        """Ends a window and returns what was used in it. With `cancel` it is forgotten, and a
        measurement of nothing is returned. Raises WindowError where no such window is open."""
        name = self._name(key)
        if sync_execution and self._sync:
            self._sync()
        if cancel:
            self.cancel_window(key)
            return Measurement(time=0.0)
        result = _library.Result()
        self._check(
            self._library.pm_end_window(self._open(), name, ctypes.byref(result)), WindowError)
        return self._take(result)

    def cancel_window(self, key: str, missing_ok: bool = False) -> None:
        """Forgets a window."""
        error = self._library.pm_cancel_window(self._open(), self._name(key))
        if not (missing_ok and error == -errno.ENOENT):
            self._check(error, WindowError)

    def window(self, key: str, sync_execution: bool = True, restart: bool = False) -> Window:
        """A window as a context: `with monitor.window("x") as w: ...`, then w.result. An exception
        ends it, too: what was measured until then is not lost."""
        self._name(key)
        return Window(self, key, sync_execution, restart)

    def measure(
        self,
        function: Optional[_Function] = None,
        *,
        then: Optional[Callable[[Measurement], Any]] = None,
    ) -> Any:
        """A decorator: each call of the function, coroutine or not, is a window of its own.

            @monitor.measure
            def step(): ...

            step()
            print(step.measurement.total_energy)

        The last call's measurement is the function's `measurement`; `@monitor.measure(then=f)`
        also calls f with each.
        """
        if function is None:
            return functools.partial(self.measure, then=then)
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function!r} is a generator: its call does nothing to be measured")

        def begin() -> Window:
            # A function may call itself, or run in several threads at a time.
            return self.window(f"{function.__qualname__}#{next(self._numbers)}")

        def end(window: Window) -> None:
            # A window that could not end raised its own error.
            if window.result is not None:
                wrapper.measurement = window.result  # type: ignore[attr-defined]
                if then:
                    then(window.result)

        if inspect.iscoroutinefunction(function):
            @functools.wraps(function)
            async def wrapper(*args: Any, **keywords: Any) -> Any:
                window = begin()
                try:
                    with window:
                        return await function(*args, **keywords)
                finally:
                    end(window)
        else:
            @functools.wraps(function)
            def wrapper(*args: Any, **keywords: Any) -> Any:
                window = begin()
                try:
                    with window:
                        return function(*args, **keywords)
                finally:
                    end(window)
        wrapper.measurement = None  # type: ignore[attr-defined]
        return wrapper

    def read(self) -> Measurement:
        """What was used since the monitor was made (of a process: since it was added)."""
        result = _library.Result()
        self._check(self._library.pm_read(self._open(), ctypes.byref(result)))
        return self._take(result)

    # ---- what there is

    def add_process(self, pid: int) -> None:
        """Has another process's part told in the windows that begin from now on. Raises
        ProcessLookupError where there is none."""
        pid, who = operator.index(pid), ctypes.c_int()
        if not 0 < pid < 2**31:
            raise ValueError(f"{pid} is no pid")
        error = self._library.pm_add_process(self._open(), pid, ctypes.byref(who))
        if error == -errno.ESRCH:
            raise ProcessLookupError(errno.ESRCH, self._reason())
        self._check(error)
        if who.value != _library.SELF:
            self._whos[pid] = who.value

    def remove_process(self, pid: int) -> None:
        """Forgets a process. Raises MonitorError while a window has it."""
        if pid not in self._whos:
            raise ProcessLookupError(errno.ESRCH, f"process {pid} was not added")
        self._check(self._library.pm_remove_process(self._open(), self._whos[pid]))
        del self._whos[pid]

    @property
    def sensors(self) -> List[Sensor]:
        """All sensors: which are used, and of the others why not."""
        found = []
        for i in range(self._library.pm_sensor_count(self._open())):
            s = _library.Sensor()
            self._check(self._library.pm_sensor(self._handle, i, ctypes.byref(s)))
            found.append(Sensor(_text(s.name) or "", bool(s.used), bool(s.usable),
                                bool(s.needs_polling), _text(s.reason), _text(s.fix)))
        return found

    # ---- the end

    def close(self) -> None:
        """Forgets all windows and frees everything. A second call does nothing."""
        handle, self._handle = self._handle, None
        if handle:
            self._library.pm_close(handle)

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self.close()

    # ---- inside

    def _open(self) -> Any:
        if not self._handle:
            raise MonitorError("the monitor is closed: make a new one")
        return self._handle

    def _reason(self) -> str:
        return _text(self._library.pm_error()) or "no reason is known"

    def _check(self, error: int, kind: Any = MonitorError) -> None:
        if error == -errno.ENOMEM:
            raise MemoryError(self._reason())
        if error < 0:
            known = kind if -error in (errno.EEXIST, errno.ENOENT, errno.EINVAL) else MonitorError
            raise known(self._reason(), -error)

    @staticmethod
    def _name(key: str) -> bytes:
        if not isinstance(key, str):
            raise TypeError(f"a window's name is a text, not {key!r}")
        if not key or "\0" in key:
            raise WindowError(f"{key!r} is no name of a window", errno.EINVAL)
        return key.encode(errors="surrogateescape")

    def _list_domains(self) -> List[Domain]:
        raw = []
        for i in range(self._library.pm_domain_count(self._open())):
            d = _library.Domain()
            self._check(self._library.pm_domain(self._handle, i, ctypes.byref(d)))
            raw.append(d)
        return [Domain(_text(d.name) or "", KINDS[d.kind], _text(d.sensor) or "",
                       _text(d.scope) or "", _quality(d.quality), bool(d.counted),
                       _text(raw[d.parent].name) if d.parent >= 0 else None, _text(d.id),
                       _text(d.model), d.update_ns / 1e9 if d.update_ns else None)
                for d in raw]

    def _take(self, result: Any) -> Measurement:
        try:
            return self._convert(result)
        finally:
            self._library.pm_result_free(result)

    def _convert(self, result: Any) -> Measurement:
        machine = self._usage(result, _library.MACHINE)
        assert machine is not None
        one = _library.Energy()
        energies: List[Optional[Energy]] = []
        for i in range(len(self.domains)):
            self._check(self._library.pm_result_domain(
                result, _library.MACHINE, i, ctypes.byref(one)))
            energies.append(_energy(one))
        by_index = {kind: {index: _joules(energies[i]) for index, i in places.items()}
                    for kind, places in self._indexes.items()}
        return Measurement(
            time=machine.elapsed_ns / 1e9,
            **{f"{kind}_energy": _if_any(by_index[kind]) for kind in KINDS},
            **{kind: _energy(getattr(machine, kind)) for kind in (*KINDS, "total")},
            domains=dict(zip(_names(self.domains), energies)),
            process=self._process(result, _library.SELF, None),
            processes={pid: use for pid, use in
                       ((pid, self._process(result, who, pid)) for pid, who in self._whos.items())
                       if use})

    def _usage(self, result: Any, who: int) -> Optional[Any]:
        usage = _library.Usage()
        error = self._library.pm_result_usage(result, who, ctypes.byref(usage))
        if error == -errno.ENOENT and who != _library.MACHINE:
            return None
        self._check(error)
        return usage

    def _process(self, result: Any, who: int, pid: Optional[int]) -> Optional[ProcessUse]:
        usage = self._usage(result, who)
        if usage is None:
            return None
        return ProcessUse(pid, usage.cpu_ns / 1e9, _energy(usage.cpu), _energy(usage.dram),
                          _energy(usage.total), bool(usage.ended), _energy(usage.gpu))


def _bytes(text: Optional[str]) -> Optional[bytes]:
    return None if text is None else str(text).encode(errors="surrogateescape")


def _text(raw: Optional[bytes]) -> Optional[str]:
    return None if raw is None else raw.decode(errors="replace")


def _quality(flags: int) -> str:
    if flags & _library.ESTIMATED:
        return "estimated"
    return "integrated" if flags & _library.INTEGRATED else "measured"


def _energy(raw: Any) -> Optional[Energy]:
    if not raw.known:
        return None
    return Energy(raw.energy_uj / 1e6, raw.low_uj / 1e6, raw.high_uj / 1e6, raw.power_uw / 1e6,
                  _quality(raw.flags), bool(raw.flags & _library.GAP),
                  bool(raw.flags & _library.RESET), bool(raw.flags & _library.PARTIAL),
                  bool(raw.flags & _library.TAIL), bool(raw.flags & _library.DISPUTED))


def _joules(energy: Optional[Energy]) -> Optional[float]:
    return None if energy is None else energy.joules


def _if_any(energies: Dict[int, Optional[float]]) -> Optional[Dict[int, Optional[float]]]:
    """None where nothing of a kind was measured."""
    return energies if any(joules is not None for joules in energies.values()) else None


def _names(domains: Sequence[Domain]) -> List[str]:
    """Domains' names; with the sensor where two sensors have one of the same name."""
    names = [d.name for d in domains]
    return [d.name if names.count(d.name) == 1 else f"{d.sensor}:{d.name}" for d in domains]


def _indexes(domains: Sequence[Domain]) -> Dict[str, Dict[int, int]]:
    """For each kind, which domain has which index: the number that its driver gave it (gpu-0, package-1),
    and for those without one, or of a second sensor, the lowest that is free."""
    result: Dict[str, Dict[int, int]] = {}
    for kind in KINDS:
        places = [i for i, d in enumerate(domains) if d.kind == kind and d.counted]
        numbers = {i: re.fullmatch(r"(?:gpu|package)-(\d+)(?:-dram)?", domains[i].name)
                   for i in places}
        indexes: Dict[int, int] = {}
        for i, number in numbers.items():
            if number:
                indexes.setdefault(int(number.group(1)), i)
        free = (n for n in range(len(domains)) if n not in indexes)
        taken = set(indexes.values())
        indexes.update([(next(free), i) for i in places if i not in taken])
        result[kind] = dict(sorted(indexes.items()))
    return result
