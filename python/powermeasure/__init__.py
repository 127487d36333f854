# SPDX-License-Identifier: MIT
"""Asks a power meter, by event, to measure what processes use.

    import os
    from powermeasure import connect, send_power_measure_fb_event

    socket = connect()
    send_power_measure_fb_event(socket, [os.getpid()], [0], 10)

The receiver is a `powermeasure plugin` that listens, or the port that an event engine keeps for
one of its plugins: both give the same answers.
"""

from ._client import (
    DEFAULT_ADDRESS,
    MSG_PUBLISHED,
    NoAnswer,
    connect,
    send_monitor_power_start_fb_event,
    send_monitor_power_stop_fb_event,
    send_power_measure_fb_event,
    send_terminate_plugin_fb_event,
)

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_ADDRESS",
    "MSG_PUBLISHED",
    "NoAnswer",
    "connect",
    "send_monitor_power_start_fb_event",
    "send_monitor_power_stop_fb_event",
    "send_power_measure_fb_event",
    "send_terminate_plugin_fb_event",
]
