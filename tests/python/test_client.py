# SPDX-License-Identifier: MIT
"""The Python client, against a real plugin where there is an answer to be had."""

import os
import re
import signal
import socket as tcp
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest
import zmq

from conftest import GIVE_UP_S, TOP, wait_for
from eventreader import Reader

PACKAGE = TOP / "python"
sys.path.insert(0, str(PACKAGE))

import powermeasure  # noqa: E402
from powermeasure import (  # noqa: E402
    MSG_PUBLISHED,
    NoAnswer,
    connect,
    send_monitor_power_start_fb_event,
    send_monitor_power_stop_fb_event,
    send_power_measure_fb_event,
    send_terminate_plugin_fb_event,
)

SIM = ("--sensors", "sim")


@pytest.fixture
def unanswered():
    """An address where nobody is, and nobody else will be: bound, but not listening."""
    with tcp.socket() as reserved:
        reserved.setsockopt(tcp.SOL_SOCKET, tcp.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield f"tcp://127.0.0.1:{reserved.getsockname()[1]}"


def python(code, *arguments, path=PACKAGE):
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=str(path)))


# ---- events --------------------------------------------------------------------------------------


def test_a_start_is_measured_as_it_was_asked_for(plugin, load):
    p, one, two = plugin(*SIM), load(0.2), load(0.2)
    with connect(p.address, timeout=GIVE_UP_S) as socket:
        answer = send_power_measure_fb_event(socket, [one.pid, two.pid], [1], 1)
        assert answer == MSG_PUBLISHED
        for pid in one.pid, two.pid:
            p.wait_said(rf"pid {pid} .*time is up")
        assert p.log("GPU.json") == {}
        lines = p.log("CPU.json")
        assert {int(pid) for _, pid, _ in lines.values()} == {one.pid, two.pid}
        assert send_monitor_power_start_fb_event(socket, [one.pid], [2], 1) == MSG_PUBLISHED
        wait_for(lambda: p.log("GPU.json"), what="a line in GPU.json")
    assert p.stop() == 0
    assert p.log("CPU.json") == lines


def test_a_stop_ends_its_pids_and_a_terminate_the_plugin(plugin, load):
    p, one, two = plugin(*SIM), load(0.2), load(0.2)
    with connect(p.address, timeout=GIVE_UP_S) as socket:
        assert send_power_measure_fb_event(socket, [one.pid, two.pid], [0], 0) == MSG_PUBLISHED
        p.wait_said(rf"pid {two.pid} .*begins")
        assert send_monitor_power_stop_fb_event(socket, [one.pid]) == MSG_PUBLISHED
        p.wait_said(rf"pid {one.pid} .*stop")
        assert not re.search(rf"pid {two.pid} .*stop", p.said)
        assert send_terminate_plugin_fb_event(socket, "somebody_else", "") == MSG_PUBLISHED
        assert send_monitor_power_stop_fb_event(socket, [one.pid]) == MSG_PUBLISHED
        assert send_terminate_plugin_fb_event(
            socket, "", "4a0fca25-1935-472a-8674-58f22c3a32b3") == MSG_PUBLISHED
    assert p.process.wait(GIVE_UP_S) == 0


def test_a_refusal_is_returned(plugin):
    p = plugin(*SIM)
    with connect(p.address, timeout=GIVE_UP_S) as socket:
        for pids, types in ([], [0]), ([os.getpid()], []), ([-1], [0]), ([os.getpid()], [77]):
            answer = send_power_measure_fb_event(socket, pids, types, 1)
            assert answer.startswith("event-engine: bad msg: "), (pids, types)
        # A list that is empty must be there: "names no pids" is what its receiver sees.
        assert "names no pids" in send_monitor_power_stop_fb_event(socket, [])
        assert send_power_measure_fb_event(
            socket, [os.getpid()], [0], 1, start="tomorrow").startswith("event-engine: bad msg: ")


def test_a_start_may_be_later(plugin):
    p = plugin(*SIM)
    soon = datetime.now(timezone.utc) + timedelta(seconds=0.4)
    starts = [0.4, soon, soon.astimezone(timezone(timedelta(hours=5, minutes=30))),
              soon.isoformat()]
    with connect(p.address, timeout=GIVE_UP_S) as socket:
        for start in starts:
            assert send_power_measure_fb_event(
                socket, [os.getpid()], [0], 1, start=start) == MSG_PUBLISHED
    wait_for(lambda: p.said.count("time is up") == len(starts), what="all sessions' ends")


def test_the_readme_s_call(plugin, monkeypatch):
    p = plugin(*SIM)
    readme = (PACKAGE / "README.md").read_text()
    snippet = re.search(r"```python\n((?:(?!```).)*send_power_measure_fb_event\(socket.*?)```", readme,
                        re.S)
    # Its port is nobody's here.
    monkeypatch.setattr(powermeasure, "connect", lambda: connect(p.address, GIVE_UP_S))
    exec(snippet.group(1), {})
    p.wait_said(rf"pid {os.getpid()} .*begins")


# ---- bytes ---------------------------------------------------------------------------------------


class Sent:
    """Takes the place of the socket and keeps the message."""

    closed = False

    def send(self, message):
        self.message = message

    def recv_string(self):
        return MSG_PUBLISHED

    def fields(self, *kinds):
        """The union's type, and the table's fields."""
        reader = Reader(self.message)
        return reader.union_type, reader.fields(*kinds)


def utc(stamp):
    return datetime.fromisoformat(stamp).replace(tzinfo=timezone.utc)


def test_the_bytes_of_a_start():
    sent, before = Sent(), datetime.now(timezone.utc)
    pids, types = [1, 2**31 - 1, -2**31, 0], [0, 127, -128]
    assert send_power_measure_fb_event(sent, pids, types, 2**32 - 1, start="gestern, früh") \
        == MSG_PUBLISHED
    assert sent.message[:2] == b"\x20\x00"
    union_type, (created, *rest) = sent.fields("text", 4, 1, "text", "u32")
    assert union_type == 9
    assert rest == [pids, types, "gestern, früh", 2**32 - 1]
    assert before <= utc(created) <= datetime.now(timezone.utc)


@pytest.mark.parametrize("start, expected", [
    (None, ""),
    ("", ""),
    (datetime(2030, 1, 2, 3, 4, 5, 6, timezone.utc), "2030-01-02T03:04:05.000006"),
    (datetime(2030, 1, 2, 3, tzinfo=timezone(timedelta(hours=-5))), "2030-01-02T08:00:00.000000"),
])
def test_the_start_time_on_the_wire(start, expected):
    sent = Sent()
    send_power_measure_fb_event(sent, [1], [0], 0, start=start)
    assert sent.fields("text", 4, 1, "text", "u32")[1][1:] == [[1], [0], expected, 0]


def test_seconds_from_now_on_the_wire():
    sent, before = Sent(), datetime.now(timezone.utc)
    send_power_measure_fb_event(sent, [1], [0], 0, start=90)
    at = utc(sent.fields("text", 4, 1, "text")[1][3]) - timedelta(seconds=90)
    assert before <= at <= datetime.now(timezone.utc)


def test_the_bytes_of_a_stop_and_a_terminate():
    sent = Sent()
    send_monitor_power_stop_fb_event(sent, (n for n in (7, 8)))
    assert sent.message[:2] == b"\x21\x00"
    union_type, (created, pids) = sent.fields("text", 4)
    assert (union_type, pids) == (10, [7, 8]) and utc(created)
    send_terminate_plugin_fb_event(sent, "*", "6e153711-9823-4ee6-b608-58e2e801db51")
    assert sent.message[:2] == b"\x12\x00"
    union_type, (created, name, uuid) = sent.fields("text", "text", "text")
    assert union_type == 8 and utc(created)
    assert (name, uuid) == ("*", "6e153711-9823-4ee6-b608-58e2e801db51")


def test_whatever_stands_for_an_integer_is_taken():
    class Index:
        def __index__(self):
            return 5

    sent = Sent()
    send_power_measure_fb_event(sent, (Index(),), {Index()}, Index())
    assert sent.fields("text", 4, 1, "text", "u32")[1][1:] == [[5], [5], "", 5]


def test_numpy_s_integers_are_taken():
    numpy, sent = pytest.importorskip("numpy"), Sent()
    send_power_measure_fb_event(sent, numpy.array([1, 2]), [numpy.int8(1)], numpy.uint32(3))
    assert sent.fields("text", 4, 1, "text", "u32")[1][1:] == [[1, 2], [1], "", 3]


@pytest.mark.parametrize("arguments, error, text", [
    (([2**31], [0], 1), ValueError, "pids: 2147483648 is not in -2147483648 to 2147483647"),
    (([-2**31 - 1], [0], 1), ValueError, "pids: -2147483649 is not in"),
    (([1.0], [0], 1), TypeError, "pids: 1.0 is no integer"),
    (([True], [0], 1), TypeError, "pids: True is no integer"),
    ((["1"], [0], 1), TypeError, "pids: '1' is no integer"),
    ((5, [0], 1), TypeError, r"pids: a list of integers is needed, not 5; \[5\] is one"),
    ((b"12", [0], 1), TypeError, "pids: a list of integers is needed"),
    (([1], [128], 1), ValueError, "monitor types: 128 is not in -128 to 127"),
    (([1], [-129], 1), ValueError, "monitor types: -129 is not in"),
    (([1], "0", 1), TypeError, "monitor types: a list of integers is needed"),
    (([1], 0, 1), TypeError, "monitor types: a list of integers is needed"),
    (([1], [0], -1), ValueError, "duration in seconds: -1 is not in 0 to 4294967295"),
    (([1], [0], 2**32), ValueError, "duration in seconds: 4294967296"),
    (([1], [0], 1.5), TypeError, "duration in seconds: 1.5 is no integer"),
    (([1], [0], None), TypeError, "duration in seconds: None is no integer"),
])
def test_what_cannot_be_encoded_is_not_sent(arguments, error, text):
    for call in send_power_measure_fb_event, send_monitor_power_start_fb_event:
        with pytest.raises(error, match=text):
            call(None, *arguments)


@pytest.mark.parametrize("start, error", [
    (datetime(2030, 1, 1), ValueError), (-1, ValueError), (float("nan"), ValueError),
    (float("inf"), ValueError), (1e300, ValueError), (1e12, ValueError), (True, TypeError),
    ([], TypeError), (b"2030-01-01", TypeError),
])
def test_a_start_that_is_no_time(start, error):
    with pytest.raises(error, match="start: "):
        send_power_measure_fb_event(None, [1], [0], 1, start=start)


def test_other_events_that_cannot_be_encoded():
    with pytest.raises(ValueError, match="pids"):
        send_monitor_power_stop_fb_event(None, [2**31])
    for target in (None, ""), ("", b"*"):
        with pytest.raises(TypeError, match="target plugin"):
            send_terminate_plugin_fb_event(None, *target)


# ---- nobody there --------------------------------------------------------------------------------


def test_no_answer_in_time_is_said_and_nothing_arrives_later(unanswered):
    socket = connect(unanswered, timeout=0.2)
    with pytest.raises(NoAnswer, match=f"no answer from {unanswered}.*powermeasure plugin"):
        send_power_measure_fb_event(socket, [1], [0], 1)
    assert socket.closed
    with pytest.raises(ValueError, match="closed"):
        send_power_measure_fb_event(socket, [1], [0], 1)
    with zmq.Context() as context, context.socket(zmq.REP) as late:
        late.linger = 0
        late.bind(unanswered)
        with connect(unanswered, timeout=GIVE_UP_S) as socket:
            socket.send(b"after it")
            assert late.poll(1000 * GIVE_UP_S) and late.recv() == b"after it"


def test_a_receiver_that_hangs():
    with zmq.Context() as context, context.socket(zmq.REP) as hangs:
        hangs.linger = 0
        port = hangs.bind_to_random_port("tcp://127.0.0.1")
        with connect(f"tcp://127.0.0.1:{port}", timeout=0.2) as socket:
            with pytest.raises(TimeoutError):
                send_monitor_power_stop_fb_event(socket, [1])


def test_without_a_timeout_it_is_the_plain_socket(unanswered):
    with connect(unanswered) as socket, zmq.Context.instance().socket(zmq.REQ) as plain:
        for option in zmq.LINGER, zmq.RCVTIMEO, zmq.SNDTIMEO:
            assert socket.getsockopt(option) == plain.getsockopt(option)
        assert socket.type == zmq.REQ


def test_a_call_that_waits_can_be_interrupted(unanswered):
    waiting = python(
        "import signal, sys, powermeasure\n"
        # A shell starts what runs in its background with this signal ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "socket = powermeasure.connect(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "powermeasure.send_monitor_power_stop_fb_event(socket, [1])\n", unanswered)
    try:
        assert waiting.stdout.readline() == b"ready\n"
        # Python may have looked for signals just before it began to wait: ask again, as one would.
        for _ in range(int(GIVE_UP_S)):
            waiting.send_signal(signal.SIGINT)
            try:
                _, errors = waiting.communicate(timeout=1)
                break
            except subprocess.TimeoutExpired:
                errors = b"it did not end"
    finally:
        waiting.kill()
        waiting.wait()
    assert b"KeyboardInterrupt" in errors, errors


@pytest.mark.parametrize("address", ["127.0.0.1:6010", "tcp://127.0.0.1", "tcp://", "nonsense://x"])
def test_what_is_no_address(address):
    with pytest.raises(ValueError, match="is no address to connect to.*tcp://127.0.0.1:6010"):
        connect(address)


@pytest.mark.parametrize("timeout, error", [
    (0, ValueError), (-1, ValueError), (float("nan"), ValueError), ("5", TypeError),
    (True, TypeError),
])
def test_what_is_no_timeout(timeout, error, unanswered):
    with pytest.raises(error, match="timeout: "):
        connect(unanswered, timeout=timeout)


def test_timeouts_of_any_size(unanswered):
    for timeout in 1e-9, 1e30, float("inf"):
        with connect(unanswered, timeout=timeout) as socket:
            assert socket.rcvtimeo >= 1
