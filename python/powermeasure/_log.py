# SPDX-License-Identifier: MIT
"""Reads the log files that `powermeasure plugin` writes."""

import json
import os
from datetime import datetime
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple, Union


class LogRow(NamedTuple):
    """One line of a log: the mean power of an interval that ended at `time`."""

    time: datetime
    """Local time, without a zone, as it stands in the log."""
    watts: float
    pid: Optional[int]
    """None in a log of a whole device (GPU.json, DRAM.json)."""
    name: Optional[str]


def _time(key: str) -> datetime:
    """Keys have microseconds only where the same second had a line before."""
    return datetime.strptime(key, "%Y-%m-%d %H:%M:%S.%f" if "." in key else "%Y-%m-%d %H:%M:%S")


def _pairs(document: Any) -> Iterator[Tuple[str, Any]]:
    if isinstance(document, dict):  # --log-format readme
        yield from document.items()
        return
    for element in document:  # --log-format camera-traps
        for key, pairs in element.items():
            for pair in pairs:
                yield key, pair


def _row(key: str, value: Any) -> LogRow:
    if isinstance(value, (int, float)):
        return LogRow(_time(key), float(value), None, None)
    name = value[2] if len(value) > 2 else None
    return LogRow(_time(key), float(value[0]), int(value[1]), name)


def read_log(path: Union[str, "os.PathLike[str]"], frame: bool = False) -> Any:
    """Reads CPU.json, GPU.json or DRAM.json, or camera-traps' cpu.json, gpu.json or dram.json.

    Returns a list of LogRow, in the order of the log, which is that of time. With frame=True a
    pandas.DataFrame with the columns time, watts, pid and name, for which pandas must be installed.
    """
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    if not isinstance(document, (dict, list)):
        raise ValueError(f"not a log of powermeasure: {os.fspath(path)!r}")
    try:
        rows: List[LogRow] = [_row(key, value) for key, value in _pairs(document)]
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"not a log of powermeasure: {os.fspath(path)!r} ({error})") from error
    if not frame:
        return rows
    import pandas

    table = pandas.DataFrame.from_records(rows, columns=LogRow._fields)
    table["time"] = pandas.to_datetime(table["time"])
    table["watts"] = table["watts"].astype("float64")
    table["pid"] = table["pid"].astype("Int64")
    return table
