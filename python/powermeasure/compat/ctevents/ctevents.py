# SPDX-License-Identifier: MIT
"""The names of camera-traps' Python module that a sender of power events uses."""

from powermeasure import (
    send_monitor_power_start_fb_event,
    send_monitor_power_stop_fb_event,
    send_power_measure_fb_event,
    send_terminate_plugin_fb_event,
)

__all__ = [
    "send_monitor_power_start_fb_event",
    "send_monitor_power_stop_fb_event",
    "send_power_measure_fb_event",
    "send_terminate_plugin_fb_event",
]
