# SPDX-License-Identifier: MIT
"""The plugin and an event engine that is not there yet, gone, or back again."""

import datetime
import pathlib
import re
import signal
import time

import pytest

from conftest import (GIVE_UP_S, POWERMEASURE, records, start_event, stop_event, terminate_event,
                      wait_for)
from engine_standin import attend, standin, wire  # noqa: F401
from real_engine import PLUGIN_STARTED, PLUGIN_TERMINATING, engine, engine_program  # noqa: F401

# Between the beginnings of two attempts: at first, and at most.
PAUSE_FIRST_S = 0.1
ATTEMPT_EVERY_S = 5
JITTER_S = 1.5

AWAY = "no event engine yet"
LOST = "lost the event engine"
CONNECTED = "connected to the event engine"


def switches(pid):
    """{thread: how often it went to sleep of itself}"""
    result = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            status = (task / "status").read_text()
        except FileNotFoundError:
            continue
        result[task.name] = int(re.search(r"voluntary_ctxt_switches:\s*(\d+)", status).group(1))
    return result


@pytest.fixture
def no_threads_of_others():
    if b"__tsan_init" in POWERMEASURE.read_bytes():
        pytest.skip("ThreadSanitizer has a thread of its own that never sleeps long")


def wake_ups(pid, seconds):
    """When any thread of the process woke up within so many seconds."""
    times, before, until = [], switches(pid), time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.02)
        now = switches(pid)
        if now != before:
            times.append(time.monotonic())
        before = now
    return times


def bursts(times):
    """[first, last] of what lies close together."""
    result = []
    for t in times:
        if result and t - result[-1][1] < JITTER_S:
            result[-1][1] = t
        else:
            result.append([t, t])
    return result


def check_attempts(times, first_s=PAUSE_FIRST_S):
    """Each pause is twice the one before it, up to five seconds."""
    gaps = [later - t for t, later in zip(times, times[1:])]
    least = [min(first_s * 2 ** i, ATTEMPT_EVERY_S) for i in range(len(gaps))]
    # An attempt that was seen late makes the gap after it shorter.
    assert all(sum(gaps[:i]) > sum(least[:i]) - 0.5 for i in range(len(gaps) + 1)), gaps
    # One that comes to nothing by itself is given up after five seconds.
    assert all(gap < 3 * ATTEMPT_EVERY_S for gap in gaps), gaps


def n_files(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))


def check_unbroken(path, pid, period_s):
    """A process's lines lie end to end, and there are about as many as there were ticks. Returns
    them."""
    lines = [r for r in records(path) if r.get("pid") == pid and r["kind"] == "cpu"]
    for before, line in zip(lines, lines[1:]):
        assert line["t_ns"] - line["interval_ns"] == before["t_ns"], (before, line)
    # A machine that is busy with other tests misses a tick here and there.
    ticks = sum(line["interval_ns"] for line in lines) / 1e9 / period_s
    assert len(lines) > 0.5 * ticks - 1, (len(lines), ticks)
    return lines


# ---- not there yet -------------------------------------------------------------------------------


@pytest.mark.alone
def test_it_waits_says_so_once_and_hardly_wakes(standin, attend, no_threads_of_others):
    p = attend(standin.address)
    p.wait_said(AWAY)
    wait_for(lambda: not wake_ups(p.pid, 0.2), what="rest")
    files = n_files(p.pid)
    time.sleep(2 * ATTEMPT_EVERY_S)  # by then the pauses are at their longest
    attempts = bursts(wake_ups(p.pid, 2 * ATTEMPT_EVERY_S + 1))
    assert len(attempts) >= 2
    assert all(last - first < JITTER_S for first, last in attempts), attempts
    check_attempts([first for first, _ in attempts], ATTEMPT_EVERY_S)
    wait_for(lambda: n_files(p.pid) <= files, what="the attempts' files to be closed")
    assert p.said.count(AWAY) == 1 and LOST not in p.said
    standin.start()
    p.wait_said(CONNECTED)
    standin.wait_asked()
    # Connected, and nothing to do: not one wake-up, once what connecting set off is over.
    wait_for(lambda: not wake_ups(p.pid, ATTEMPT_EVERY_S + 1), what="rest")


@pytest.mark.alone
@pytest.mark.parametrize("behaviour", [
    pytest.param({}, id="silent"),
    pytest.param({"hang_up": True}, id="hangs up"),
    pytest.param({"greeting": b"HTTP/1.1 400 Bad Request\r\n\r\n"}, id="speaks HTTP"),
    pytest.param({"greeting": b"\xff" + bytes(7) + b"\x01\x7f\x03\x00NONSENSE" + b"?" * 99},
                 id="breaks off the greeting"),
])
def test_somebody_else_has_the_port(wire, attend, behaviour):
    """Whatever comes of it, the pauses grow."""
    other = wire(**behaviour)
    p = attend(other.address)
    p.wait_said(AWAY)
    wait_for(lambda: len(other.accepted) >= 3, what="three attempts")
    check_attempts(other.accepted)
    assert p.said.count(AWAY) == 1 and CONNECTED not in p.said
    assert p.stop(signal.SIGTERM) == 0


def test_a_peer_that_vanished_would_be_noticed(standin, attend):
    """Not by this process, which would have to wake up for it, but by TCP's keepalive."""
    attend(standin.start().address)
    standin.wait_asked()

    def keepalive_timer_runs():
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            timer, _, jiffies_left = fields[5].partition(":")
            if fields[2].endswith(f":{standin.port:04X}") and fields[3] == "01" and timer == "02":
                # Jiffies for user space, a hundredth of a second; the stock value is two hours.
                return int(jiffies_left, 16) <= 500
        return False
    wait_for(keepalive_timer_runs, what="the keepalive timer of the connection")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1", "tcp://127.0.0.1:x", "127.0.0.1:6010"])
def test_what_is_no_address(plugin, address):
    p = plugin("--sensors", "sim", "--engine", address, listen=False)
    assert p.process.wait(GIVE_UP_S) == 1
    p.wait_said("is no address to connect to")


def test_sigterm_while_it_was_never_there(standin, attend):
    p = attend(standin.address)
    p.wait_said(AWAY)
    assert p.stop(signal.SIGTERM) == 0


def test_a_host_without_an_address(attend):
    """As long as the engine's container is not up, its name is not known either."""
    p = attend("tcp://engine.invalid:6010")
    p.wait_said(AWAY)
    assert p.said.count(AWAY) == 1
    assert p.stop(signal.SIGTERM) == 0


@pytest.mark.alone
def test_a_resolver_that_does_not_answer(attend, slow_resolver):
    """As where there is no network at all: looking up the engine's name takes half a minute."""
    p = attend("tcp://engine:6010", env=slow_resolver)
    p.wait_said(AWAY)
    files = n_files(p.pid)
    # Attempts do not queue up behind the one that hangs.
    assert len(bursts(wake_ups(p.pid, ATTEMPT_EVERY_S + 1))) <= 2
    assert n_files(p.pid) <= files
    assert p.said.count(AWAY) == 1
    assert p.stop(signal.SIGTERM) == 0


# ---- gone and back -------------------------------------------------------------------------------


def test_the_engine_is_killed_and_comes_back(engine, attend, load, tmp_path):
    record = tmp_path / "record"
    p, one, two = attend(engine.power, "--record", record), load(0.2), load(0.2)
    assert engine.observe()[0] == PLUGIN_STARTED
    engine.publish(start_event([one.pid], [1], 0))
    p.wait_said(rf"pid {one.pid} .*begins")
    engine.kill()
    p.wait_said(LOST)

    def n_lines():
        return record.read_text().count(f'"pid": {one.pid},')
    before = n_lines()
    wait_for(lambda: n_lines() >= before + 3, what="lines while the engine is away")
    assert p.said.count(CONNECTED) == 1

    engine.start()
    wait_for(lambda: p.said.count(CONNECTED) == 2, what="the plugin to connect")
    engine.publish(start_event([two.pid], [1], 1))
    p.wait_said(rf"pid {two.pid} .*time is up")
    engine.publish(stop_event([one.pid]))
    p.wait_said(rf"pid {one.pid} .*stop")
    engine.publish(terminate_event())
    assert engine.observe()[0] == PLUGIN_TERMINATING
    assert p.process.wait(GIVE_UP_S) == 0
    assert len(check_unbroken(record, one.pid, 0.5)) > before + 3
    assert p.said.count(LOST) == 1 and AWAY not in p.said


def test_gone_and_back_many_times(standin, attend, load, tmp_path):
    record = tmp_path / "record"
    one = load(0.2)
    p = attend(standin.start().address, "--record", record, "--rate", "10")
    standin.deliver(start_event([one.pid], [1], 0))
    p.wait_said(rf"pid {one.pid} .*begins")
    files = n_files(p.pid)
    for n in 1, 2:
        standin.kill()
        wait_for(lambda: p.said.count(LOST) == n, what="the loss to be said")
        before = standin.n_asked
        standin.start()
        standin.wait_asked(before + 1)
        wait_for(lambda: n_files(p.pid) <= files, what="the old connection's files to be closed")
    wait_for(lambda: p.said.count(CONNECTED) == 3, what="the last connection to be said")
    # It began once, and says so once.
    assert sum(request[:2] == b"\x10\x00" for request in standin.received) == 1
    wait_for(lambda: record.read_text().count(f'"pid": {one.pid},') > 10, what="lines")
    standin.deliver(stop_event([one.pid]))
    p.wait_said(rf"pid {one.pid} .*stop")
    assert p.stop(signal.SIGTERM) == 0
    assert len(check_unbroken(record, one.pid, 0.1)) > 10


def test_an_announcement_that_was_not_heard_is_repeated(standin, attend):
    standin.start().hang()
    p = attend(standin.address)
    p.wait_said(CONNECTED)
    standin.kill()
    p.wait_said(LOST)
    assert standin.received == []
    standin.start()
    standin.wait_asked(1)
    assert standin.received[0][:2] == b"\x10\x00"


@pytest.mark.alone
def test_the_connection_is_reset(engine, wire, attend, load):
    """Connected again at once. The engine's thread does not notice: its next event goes to nobody, the one after arrives."""
    one = load(0.2)
    between = wire(target=engine.power_port)
    p = attend(between.address)
    engine.wait_said("got next_msg command")
    between.drop()
    p.wait_said(LOST)
    wait_for(lambda: p.said.count(CONNECTED) == 2, what="the plugin to connect")
    check_attempts(between.accepted)
    engine.publish(stop_event([one.pid]))
    engine.wait_said("got next_msg command", 2)
    engine.publish(start_event([one.pid], [1], 0))
    p.wait_said(rf"pid {one.pid} .*begins")


def test_an_event_that_came_just_before_the_end(standin, attend, load):
    """What the engine has handed over is taken, though it died before we could look."""
    one = load(0.2)
    p = attend(standin.start().address)
    standin.wait_asked()
    p.process.send_signal(signal.SIGSTOP)
    standin.deliver(start_event([one.pid], [1], 0))
    wait_for(lambda: standin.n_delivered == 1, what="the event to be sent")
    standin.kill(after_sending=True)
    p.process.send_signal(signal.SIGCONT)
    p.wait_said(rf"pid {one.pid} .*begins")
    p.wait_said(LOST)


def test_sigterm_while_it_is_gone(standin, attend, load):
    one = load(0.2)
    p = attend(standin.start().address)
    standin.deliver(start_event([one.pid], [1], 0))
    p.wait_said(rf"pid {one.pid} .*begins")
    standin.kill()
    p.wait_said(LOST)
    assert p.stop(signal.SIGTERM) == 0
    assert re.search(rf"pid {one.pid} .*told to end", p.said)


# ---- events that waited ----------------------------------------------------------------------------


def created_now(seconds_ago=0.0):
    when = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds_ago)
    return when.strftime("%Y-%m-%dT%H:%M:%S.%f")


@pytest.mark.alone
def test_an_engine_that_starts_just_after_the_plugin(standin, attend, load, tmp_path):
    """A process of three seconds is measured nearly whole, and what was missed is said."""
    record = tmp_path / "record"
    p = attend(standin.address, "--record", record)
    wait_for(lambda: n_files(p.pid) > 10, what="the plugin to try")
    one, created, begun = load(0.5), created_now(), time.monotonic()
    standin.start()
    standin.deliver(start_event([one.pid], [1], 3, created=created))
    p.wait_said(rf"pid {one.pid} .*begins")
    waited = time.monotonic() - begun
    assert waited < ATTEMPT_EVERY_S
    p.wait_said(rf"pid {one.pid} .*time is up")
    missed = [r for r in records(record) if "missed" in r]
    said = re.search(rf"pid {one.pid}: the event waited ([0-9.]+) s", p.said)
    assert bool(missed) == bool(said) and len(missed) <= 1
    if missed:
        assert missed[0]["pid"] == one.pid and missed[0]["name"]
        assert missed[0]["interval_ns"] / 1e9 == pytest.approx(float(said.group(1)), abs=0.001)
        assert missed[0]["interval_ns"] / 1e9 < waited


def test_an_event_that_waited_longer_than_its_process(standin, attend, load, tmp_path):
    record = tmp_path / "record"
    p = attend(standin.start().address, "--record", record)
    gone, there = load(0.1), load(0.1)
    gone.end()
    begun = time.monotonic()
    standin.deliver(start_event([gone.pid], [1], 3, created=created_now(7)))
    p.wait_said(rf"there is no process {gone.pid}; the event waited [0-9.]+ s")
    standin.deliver(start_event([there.pid], [1], 1, created=created_now(6)))
    p.wait_said(rf"pid {there.pid}: the event waited [0-9.]+ s: what was used in that time is not "
                "measured")
    p.wait_said(rf"pid {there.pid} .*time is up")
    assert p.stop() == 0
    missed = {r["pid"]: r for r in records(record) if "missed" in r}
    assert set(missed) == {gone.pid, there.pid}
    assert 7 <= missed[gone.pid]["interval_ns"] / 1e9 < 7 + time.monotonic() - begun
    assert missed[gone.pid]["name"] is None and missed[there.pid]["name"]


def test_an_event_that_did_not_wait_is_not_spoken_of(standin, attend, load, tmp_path):
    record = tmp_path / "record"
    p, one = attend(standin.start().address, "--record", record), load(0.1)
    standin.wait_asked()
    # A clock that is wrong by days; a time in the past, which means at once.
    for more in {"created": "2020-01-01T00:00:00"}, {"created": "", "start": created_now(5)}:
        standin.deliver(start_event([one.pid], [1], 1, **more))
    wait_for(lambda: p.said.count("time is up") == 2, what="both sessions to end")
    assert "waited" not in p.said
    assert not [r for r in records(record) if "missed" in r]
