# SPDX-License-Identifier: MIT
"""The socket, and the calls that send an event over it and return the answer."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, Iterable, Optional

import zmq

from . import _messages
from ._messages import StartTime

#: Where a plugin listens, and where an engine serves the power plugin, if nothing else is said.
DEFAULT_ADDRESS = "tcp://127.0.0.1:6010"

#: The answer to an event that was taken. Any other answer names a reason.
MSG_PUBLISHED = "event-engine: msg published"

# ZeroMQ counts milliseconds in an int.
_LONGEST_TIMEOUT_S = 2**31 / 1000 - 1


class NoAnswer(TimeoutError):
    """Nobody answered in time. The event may still have been taken: the one who has it did not say
    so. The socket is closed, since a REQ socket cannot send again before it got its answer."""


def connect(addr: str = DEFAULT_ADDRESS, timeout: Optional[float] = None) -> zmq.Socket[bytes]:
    """Makes the REQ socket that the other calls need.

    `addr` is a plugin that listens, or the port that an event engine keeps for one of its plugins.
    That nobody is there yet is no error: the connection is made as soon as there is.

    Without a timeout a call waits for its answer for as long as it takes. With one (in seconds) a
    call that gets no answer raises NoAnswer, and closing the socket takes no longer either.

    It is an ordinary pyzmq socket, good for `with connect() as socket:` too, and for one thread at
    a time.
    """
    milliseconds = None if timeout is None else _milliseconds(timeout)
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.REQ)
    try:
        if milliseconds is not None:
            socket.sndtimeo = socket.rcvtimeo = socket.linger = milliseconds
        socket.connect(addr)
    except zmq.ZMQError as error:
        socket.close(linger=0)
        raise ValueError(
            f"{addr!r} is no address to connect to ({error}); "
            f"one looks like {DEFAULT_ADDRESS}"
        ) from error
    except BaseException:
        socket.close(linger=0)
        raise
    return socket


def send_power_measure_fb_event(
    socket: zmq.Socket[bytes],
    pids: Iterable[int],
    monitor_type: Iterable[int],
    monitor_duration: int,
    *,
    start: Optional[StartTime] = None,
) -> str:
    """Asks for the power of processes and returns the answer, MSG_PUBLISHED if all is well.

    `monitor_type` is a list: by default 0 is CPU and GPU, 1 CPU, 2 GPU, 3 DRAM.
    `monitor_duration` is in seconds; 0 is until a stop. `start` is when to begin: a time stamp
    (RFC 3339, or without an offset in UTC), a datetime with a time zone, or seconds from now;
    without it, at once.

    Raises TypeError or ValueError for what cannot be sent, and NoAnswer.
    """
    return _send(socket, _messages.monitor_start(pids, monitor_type, monitor_duration, start))


def send_monitor_power_start_fb_event(
    socket: zmq.Socket[bytes],
    pids: Iterable[int],
    monitor_types: Iterable[int],
    monitor_seconds: int,
    *,
    start: Optional[StartTime] = None,
) -> str:
    """The later name of send_power_measure_fb_event()."""
    return _send(socket, _messages.monitor_start(pids, monitor_types, monitor_seconds, start))


def send_monitor_power_stop_fb_event(socket: zmq.Socket[bytes], pids: Iterable[int]) -> str:
    """Stops measuring these processes, and no others; returns the answer."""
    return _send(socket, _messages.monitor_stop(pids))


def send_terminate_plugin_fb_event(
    socket: zmq.Socket[bytes], target_plugin_name: str, target_plugin_uuid: str
) -> str:
    """Ends the plugin of that name or that uuid; "*" is every plugin. Returns the answer."""
    return _send(socket, _messages.plugin_terminate(target_plugin_name, target_plugin_uuid))


def _milliseconds(timeout: Any) -> int:
    if isinstance(timeout, bool) or not isinstance(timeout, Real):
        raise TypeError(f"timeout: {timeout!r} is neither None nor a number of seconds")
    seconds = float(timeout)
    if math.isnan(seconds) or seconds <= 0:
        raise ValueError(f"timeout: {timeout!r} is not above 0")
    return max(1, int(min(seconds, _LONGEST_TIMEOUT_S) * 1000))


def _send(socket: zmq.Socket[bytes], message: bytes) -> str:
    if socket.closed:
        raise ValueError("the socket is closed: connect() makes a new one")
    try:
        socket.send(message)
        return socket.recv_string()
    except zmq.Again:
        address = socket.getsockopt_string(zmq.LAST_ENDPOINT) or "anybody"
        # Closed without lingering: an event that was given up must not arrive later.
        socket.close(linger=0)
        raise NoAnswer(
            f"no answer from {address}: is a plugin or an event engine running there? "
            "`powermeasure plugin` starts a plugin; then connect() again"
        ) from None
