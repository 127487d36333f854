# SPDX-License-Identifier: MIT
"""Energy, measured two ways; and phases, for a meter that runs beside.

Of a stretch of this program, by libpowermeasure:

    from powermeasure import Monitor

    monitor = Monitor()
    with monitor.window("work") as w:
        work()
    print(w.result.time, w.result.total_energy)

Of any process, by asking a power meter that runs as a service, a `powermeasure plugin` or an event
engine that has one:

    import os
    from powermeasure import connect, send_power_measure_fb_event

    socket = connect()
    send_power_measure_fb_event(socket, [os.getpid()], [0], 10)

And it marks the phases of this program for `powermeasure run`, which then tells of each:

    from powermeasure import phase

    with phase("infer"):
        work()

And it reads the logs that a plugin wrote, as rows or as a pandas frame:

    from powermeasure import read_log

    for time, watts, pid, name in read_log("CPU.json"):
        print(time, watts, pid, name)

The first needs nothing but the library, the second pyzmq and flatbuffers, the others nothing: each is
imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, List

if TYPE_CHECKING:
    from ._client import (  # noqa: F401
        DEFAULT_ADDRESS,
        MSG_PUBLISHED,
        NoAnswer,
        connect,
        send_monitor_power_start_fb_event,
        send_monitor_power_stop_fb_event,
        send_power_measure_fb_event,
        send_terminate_plugin_fb_event,
    )
    from ._library import LibraryNotFound, MonitorError  # noqa: F401
    from ._log import LogRow, read_log  # noqa: F401
    from ._monitor import (  # noqa: F401
        Domain,
        Energy,
        Measurement,
        Monitor,
        ProcessUse,
        Sensor,
        Window,
        WindowError,
    )
    from ._phase import phase  # noqa: F401

__version__ = "0.1.0"

_FROM = {
    "_client": ["DEFAULT_ADDRESS", "MSG_PUBLISHED", "NoAnswer", "connect",
                "send_monitor_power_start_fb_event", "send_monitor_power_stop_fb_event",
                "send_power_measure_fb_event", "send_terminate_plugin_fb_event"],
    "_library": ["LibraryNotFound", "MonitorError"],
    "_log": ["LogRow", "read_log"],
    "_monitor": ["Domain", "Energy", "Measurement", "Monitor", "ProcessUse", "Sensor", "Window",
                 "WindowError"],
    "_phase": ["phase"],
}
_MODULES = {name: module for module, names in _FROM.items() for name in names}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})
