# SPDX-License-Identifier: MIT
"""The wire format: two prefix bytes, then a FlatBuffers buffer. Nothing else knows it.

Written with the builder alone: four small tables need no generated code, and generated code would
tie this package to one version of its generator.
"""

from __future__ import annotations

import math
import operator
from datetime import datetime, timedelta, timezone
from numbers import Real
from typing import Any, Callable, Iterable, List, Optional, Sequence, Union

import flatbuffers

#: When measuring begins: a time stamp as it is to be sent, a datetime that knows its time zone, or
#: seconds from now.
StartTime = Union[str, datetime, float]

# Values of the root table's union, and the prefixes by which the bus routes events.
_PLUGIN_TERMINATE, _PLUGIN_TERMINATE_PREFIX = 8, b"\x12\x00"
_MONITOR_START, _MONITOR_START_PREFIX = 9, b"\x20\x00"
_MONITOR_STOP, _MONITOR_STOP_PREFIX = 10, b"\x21\x00"

_INT32 = range(-(2**31), 2**31)
_INT8 = range(-(2**7), 2**7)
_UINT32 = range(2**32)


def monitor_start(
    pids: Iterable[int],
    monitor_types: Iterable[int],
    monitor_seconds: int,
    start: Optional[StartTime] = None,
) -> bytes:
    """A MonitorPowerStartEvent."""
    pid_list = _integers("pids", pids, _INT32)
    type_list = _integers("monitor types", monitor_types, _INT8)
    seconds = _integer("the duration in seconds", monitor_seconds, _UINT32)
    start_ts = _start_ts(start)

    b = flatbuffers.Builder(256)
    created_at = _text(b, _now())
    start_at = _text(b, start_ts)
    types_at = _vector(b, type_list, 1, b.PrependInt8)
    pids_at = _vector(b, pid_list, 4, b.PrependInt32)
    b.StartObject(5)
    b.PrependUOffsetTRelativeSlot(0, created_at, 0)
    b.PrependUOffsetTRelativeSlot(1, pids_at, 0)
    b.PrependUOffsetTRelativeSlot(2, types_at, 0)
    b.PrependUOffsetTRelativeSlot(3, start_at, 0)
    b.PrependUint32Slot(4, seconds, 0)
    return _finish(b, _MONITOR_START, b.EndObject(), _MONITOR_START_PREFIX)


def monitor_stop(pids: Iterable[int]) -> bytes:
    """A MonitorPowerStopEvent."""
    pid_list = _integers("pids", pids, _INT32)

    b = flatbuffers.Builder(256)
    created_at = _text(b, _now())
    pids_at = _vector(b, pid_list, 4, b.PrependInt32)
    b.StartObject(2)
    b.PrependUOffsetTRelativeSlot(0, created_at, 0)
    b.PrependUOffsetTRelativeSlot(1, pids_at, 0)
    return _finish(b, _MONITOR_STOP, b.EndObject(), _MONITOR_STOP_PREFIX)


def plugin_terminate(target_plugin_name: str, target_plugin_uuid: str) -> bytes:
    """A PluginTerminateEvent."""
    for what, value in ("name", target_plugin_name), ("uuid", target_plugin_uuid):
        if not isinstance(value, str):
            raise TypeError(f"the target plugin's {what} must be a str, not {value!r}")

    b = flatbuffers.Builder(256)
    created_at = _text(b, _now())
    name_at = _text(b, target_plugin_name)
    uuid_at = _text(b, target_plugin_uuid)
    b.StartObject(3)
    b.PrependUOffsetTRelativeSlot(0, created_at, 0)
    b.PrependUOffsetTRelativeSlot(1, name_at, 0)
    b.PrependUOffsetTRelativeSlot(2, uuid_at, 0)
    return _finish(b, _PLUGIN_TERMINATE, b.EndObject(), _PLUGIN_TERMINATE_PREFIX)


# ---- what callers pass ---------------------------------------------------------------------------


def _integer(what: str, value: Any, allowed: range) -> int:
    """Takes ints and what stands for one, as numpy's integers do, but not bool: a pid True is a
    mistake."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what}: {value!r} is no integer") from None
    if number not in allowed:
        raise ValueError(f"{what}: {number} is not in {allowed[0]} to {allowed[-1]}")
    return number


def _integers(what: str, values: Any, allowed: range) -> List[int]:
    if isinstance(values, (str, bytes, bytearray)):
        raise TypeError(f"{what}: a list of integers is needed, not {values!r}")
    try:
        listed = list(values)
    except TypeError:
        raise TypeError(
            f"{what}: a list of integers is needed, not {values!r}; [{values!r}] is one of one"
        ) from None
    return [_integer(what, value, allowed) for value in listed]


def _stamp(when: datetime) -> str:
    """UTC without an offset: what the bus's other Python senders write."""
    return when.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec="microseconds")


def _now() -> str:
    return _stamp(datetime.now(timezone.utc))


def _start_ts(start: Optional[StartTime]) -> str:
    if start is None:
        return ""
    if isinstance(start, str):
        return start
    if isinstance(start, datetime):
        # Without an offset it would be UTC on the bus and local time in Python: never guess.
        if start.utcoffset() is None:
            raise ValueError(
                f"start: {start!r} has no time zone; "
                "datetime.now(timezone.utc) and datetime.now().astimezone() do"
            )
        return _stamp(start)
    if isinstance(start, bool) or not isinstance(start, Real):
        raise TypeError(f"start: {start!r} is neither a str, a datetime, nor seconds from now")
    seconds = float(start)
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"start: {seconds} is no number of seconds from now")
    try:
        return _stamp(datetime.now(timezone.utc) + timedelta(seconds=seconds))
    except OverflowError:
        raise ValueError(f"start: {seconds} seconds from now is beyond the calendar") from None


# ---- FlatBuffers ---------------------------------------------------------------------------------


def _text(b: Any, text: str) -> int:
    at: int = b.CreateString(text)
    return at


def _vector(b: Any, values: Sequence[int], size: int, prepend: Callable[[int], None]) -> int:
    b.StartVector(size, len(values), size)
    for value in reversed(values):
        prepend(value)
    try:
        at: int = b.EndVector()
    except TypeError:  # flatbuffers before 2.0 wants to be told the length again
        at = b.EndVector(len(values))
    return at


def _finish(b: Any, union_type: int, table: int, prefix: bytes) -> bytes:
    b.StartObject(2)
    b.PrependUint8Slot(0, union_type, 0)
    b.PrependUOffsetTRelativeSlot(1, table, 0)
    b.Finish(b.EndObject())
    return prefix + bytes(b.Output())
