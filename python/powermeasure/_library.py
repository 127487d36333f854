# SPDX-License-Identifier: MIT
"""libpowermeasure by ctypes: where it is found, and its structs (see powermeasure.h)."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, Structure, c_char_p, c_int, c_size_t, c_uint, c_uint32, c_uint64
from typing import Any, List

# The major version of the package, which is the library's.
SONAME = "libpowermeasure.so.0"

KINDS = ("cpu", "dram", "gpu", "platform")

MACHINE, SELF = 0, 1

# enum pm_flag; a test compares them with the header.
MEASURED = 1 << 0
INTEGRATED = 1 << 1
ESTIMATED = 1 << 2
GAP = 1 << 3
RESET = 1 << 4
TAIL = 1 << 6
DISPUTED = 1 << 7
PARTIAL = 1 << 16


class MonitorError(RuntimeError):
    """Something of libpowermeasure failed; the text tells why and what to do, `errno` which error
    it was (0: none of the library's)."""

    def __init__(self, text: str, errno: int = 0) -> None:
        super().__init__(text)
        self.errno = errno


class LibraryNotFound(MonitorError):
    """libpowermeasure is not installed where it is looked for."""


class _Sized(Structure):
    def __init__(self, **members: Any) -> None:
        super().__init__(size=ctypes.sizeof(self), **members)


class Options(_Sized):
    _fields_ = [("size", c_size_t), ("root", c_char_p), ("sensors", c_char_p), ("gpus", c_char_p),
                ("estimate_idle_mw", c_uint64), ("estimate_full_mw", c_uint64),
                ("kinds", c_uint32), ("reserved", c_uint32)]


class Sensor(_Sized):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("usable", c_int), ("used", c_int),
                ("needs_polling", c_int), ("error", c_int), ("reason", c_char_p),
                ("fix", c_char_p)]


class Domain(_Sized):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("sensor", c_char_p),
                ("scope", c_char_p), ("id", c_char_p), ("model", c_char_p), ("kind", c_int),
                ("parent", c_int), ("counted", c_int), ("quality", c_uint),
                ("update_ns", c_uint64)]


class Energy(Structure):
    _fields_ = [("known", c_uint32), ("flags", c_uint32), ("energy_uj", c_uint64),
                ("low_uj", c_uint64), ("high_uj", c_uint64), ("power_uw", c_uint64),
                ("interval_ns", c_uint64), ("reserved", c_uint64 * 2)]


class Usage(_Sized):
    _fields_ = [("size", c_size_t), ("elapsed_ns", c_uint64), ("cpu_ns", c_uint64),
                ("cpu", Energy), ("dram", Energy), ("gpu", Energy), ("platform", Energy),
                ("total", Energy), ("ended", c_uint32), ("reserved", c_uint32)]


class _Handle(Structure):
    """What only the library knows."""


Handle = POINTER(_Handle)
Result = POINTER(_Handle)

_FUNCTIONS = {
    "pm_open": (c_int, [POINTER(Handle), POINTER(Options)]),
    "pm_close": (None, [Handle]),
    "pm_start_polling": (c_int, [Handle]),
    "pm_longest_gap_ns": (c_uint64, [Handle]),
    "pm_sensor_count": (c_size_t, [Handle]),
    "pm_sensor": (c_int, [Handle, c_size_t, POINTER(Sensor)]),
    "pm_domain_count": (c_size_t, [Handle]),
    "pm_domain": (c_int, [Handle, c_size_t, POINTER(Domain)]),
    "pm_add_process": (c_int, [Handle, c_int, POINTER(c_int)]),
    "pm_remove_process": (c_int, [Handle, c_int]),
    "pm_begin_window": (c_int, [Handle, c_char_p]),
    "pm_end_window": (c_int, [Handle, c_char_p, POINTER(Result)]),
    "pm_cancel_window": (c_int, [Handle, c_char_p]),
    "pm_read": (c_int, [Handle, POINTER(Result)]),
    "pm_result_usage": (c_int, [Result, c_int, POINTER(Usage)]),
    "pm_result_domain": (c_int, [Result, c_int, c_size_t, POINTER(Energy)]),
    "pm_result_free": (None, [Result]),
    "pm_error": (c_char_p, []),
    "pm_version": (c_char_p, []),
}


def _candidates() -> List[str]:
    """In the order in which they are tried. What the user names is the only one."""
    named = os.environ.get("POWERMEASURE_LIBRARY")
    if named:
        return [named]
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), SONAME)
    return [beside, SONAME] if os.path.exists(beside) else [SONAME]


def load() -> Any:
    """The library, with its functions' types. Raises LibraryNotFound."""
    complaints = []
    for name in _candidates():
        try:
            library = ctypes.CDLL(name)
            for function, (result, arguments) in _FUNCTIONS.items():
                bound = getattr(library, function)
                bound.restype, bound.argtypes = result, arguments
            return library
        except (OSError, AttributeError) as error:
            complaints.append(f"{name}: {error}")
    raise LibraryNotFound(
        "libpowermeasure was not found: install powermeasure, or name the library's file in "
        f"POWERMEASURE_LIBRARY ({'; '.join(complaints)})")
