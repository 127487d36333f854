# SPDX-License-Identifier: MIT
"""The plugin at an engine that has no port for it: it subscribes where the engine publishes, and
publishes where plugins do. The whole application over it: test_camera_traps.py."""

import os
import random
import re
import signal
import threading
import time

import pytest

from application import Observer, StandInEngine
from conftest import GIVE_UP_S, start_event, stop_event, terminate_event, wait_for
from engine_standin import port_of, reserve_port, wire  # noqa: F401
from test_engine import NAME, UUID, hostile, lines_of
from test_engine_away import no_threads_of_others, switches, wake_ups  # noqa: F401

AWAY, LOST, CONNECTED = ("no event engine yet", "lost the event engine",
                         "connected to the event engine")


@pytest.fixture
def engine(tmp_path):
    """An engine that is not yet started."""
    one = StandInEngine()
    yield one
    one.close()


@pytest.fixture
def observer(engine, tmp_path):
    """Of a started engine; it publishes too."""
    one = Observer(engine.start(), tmp_path).wait_listening()
    yield one
    one.close()


@pytest.fixture
def attend(plugin, engine):
    def start(*args, subscribe=None, publish=None, **keywords):
        return plugin("--sensors", "sim", "--subscribe", subscribe or engine.addresses["subscribe"],
                      "--publish", publish or engine.addresses["publish"], *args, listen=False,
                      **keywords)
    return start


def test_a_whole_life(engine, observer, attend, load):
    p, one, two = attend(), load(0.2), load(0.2)
    assert observer.wait("started")[1:3] == (NAME, UUID)
    observer.publish(start_event([one.pid, two.pid], [0], 0))
    p.wait_said(rf"pid {two.pid} .*begins")
    wait_for(lambda: lines_of(p, one.pid), what="a line")
    observer.publish(stop_event([one.pid]))
    p.wait_said(rf"pid {one.pid} .*; stopped")
    assert not re.search(rf"pid {two.pid} .*; stopped", p.said)
    observer.publish(terminate_event("ext_image_gen_plugin"))
    observer.publish(terminate_event("", "d3266646-41ec-11ed-a96f-5391348bab46"))
    observer.publish(stop_event([two.pid]))
    p.wait_said(rf"pid {two.pid} .*; stopped")
    observer.publish(terminate_event())
    assert p.process.wait(GIVE_UP_S) == 0
    assert observer.wait("terminating")[1:3] == (NAME, UUID)
    # Said once; and what others say of themselves is not worth a word.
    assert [h[0] for h in observer.heard] == ["started", "terminating"]
    assert "refused" not in p.said and p.said.count(CONNECTED) == 1


@pytest.mark.parametrize("name, uuid", [
    (NAME, ""), ("", UUID), ("*", "6e153711-9823-4ee6-b608-58e2e801db51"), ("", "*")])
def test_terminate(engine, observer, attend, name, uuid):
    p = attend()
    observer.wait("started")
    observer.publish(terminate_event(name, uuid))
    assert p.process.wait(GIVE_UP_S) == 0


def test_a_burst_of_events(engine, observer, attend, load):
    """The descriptor tells of changes only: none of many that come at once may stay behind."""
    p, one = attend(), load(0.1)
    observer.wait("started")
    p.process.send_signal(signal.SIGSTOP)
    for _ in range(600):
        observer.publish(terminate_event("somebody else"))
    for _ in range(200):
        observer.publish(start_event([one.pid], [1], 1))
    observer.publish(terminate_event("somebody else"))
    p.process.send_signal(signal.SIGCONT)
    wait_for(lambda: p.said.count("time is up") == 200, what="the end of 200 sessions")


def test_a_flood_of_events(engine, observer, attend, load):
    """Publishers wait for nobody; whoever else wants something from the plugin must be heard too."""
    p, one = attend(), load(0.1)
    observer.wait("started")
    observer.publish(start_event([one.pid], [1], 0))
    p.wait_said(rf"pid {one.pid} .*begins")
    n = len(lines_of(p, one.pid))
    over, message = threading.Event(), terminate_event("somebody else")

    def flood():
        while not over.is_set():
            observer.publish(message)
    thread = threading.Thread(target=flood)
    thread.start()
    try:
        wait_for(lambda: len(lines_of(p, one.pid)) >= n + 3, what="lines")
        assert p.stop(signal.SIGTERM) == 0
    finally:
        over.set()
        thread.join()


def test_events_that_are_none(engine, observer, attend):
    p = attend()
    observer.wait("started")
    n = 0
    for name, parts in hostile():
        message = b"".join(parts[:1])
        if message[:2] not in (b"\x20\x00", b"\x21\x00", b"\x12\x00") or len(parts) > 1:
            continue  # nobody subscribes to it, or the engine has no such thing
        observer.publish(message)
        n += 1
        wait_for(lambda: p.said.count("refused: ") >= min(n, 5), what=f"a refusal of {name}")
    assert n > 5
    observer.publish(start_event([os.getpid()], [1], 1))
    p.wait_said(rf"pid {os.getpid()} .*begins")


def test_mutilated_events(engine, observer, attend):
    p = attend()
    observer.wait("started")
    seed = random.getrandbits(32)
    print("seed", seed)
    rng = random.Random(seed)
    good = start_event([os.getpid()] * 3, [0, 1], 1, start="2026-11-22T10:00:00")
    for _ in range(200):
        bad = bytearray(good)
        # Not the union's type: a terminate event may well come of it.
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(2, len(bad))
            bad[at] = bad[at] if bad[at] == 9 else rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        observer.publish(bytes(bad))
    observer.publish(terminate_event())
    assert p.process.wait(GIVE_UP_S) == 0


def test_a_message_beyond_all_measure_breaks_the_connection_only(engine, observer, attend):
    """After that ZeroMQ does not connect again by itself."""
    p = attend()
    observer.wait("started")
    observer.publish(b"\x20\x00" + bytes(17 * 1024 * 1024))
    p.wait_said(LOST)
    observer.wait("started", 2)
    observer.publish(start_event([os.getpid()], [1], 1))
    p.wait_said(rf"pid {os.getpid()} .*begins")


@pytest.mark.parametrize("which", ["subscribe", "publish"])
def test_somebody_else_has_the_port_at_first(engine, observer, attend, wire, which):
    """Nor where somebody answers who speaks another language."""
    other = wire(greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n")
    p = attend(**{which: other.address})
    p.wait_said(f"{AWAY} at {re.escape(other.address)}")
    assert CONNECTED not in p.said
    other.become(int(engine.addresses[which].rpartition(":")[2]))
    p.wait_said(CONNECTED)
    observer.wait("started")
    observer.publish(start_event([os.getpid()], [1], 1))
    p.wait_said(rf"pid {os.getpid()} .*begins")


@pytest.mark.parametrize("which", ["subscribe", "publish"])
def test_one_of_the_two_connections_breaks(engine, observer, attend, wire, load, which):
    between, one = wire(target=int(engine.addresses[which].rpartition(":")[2])), load(0.1)
    p = attend(**{which: between.address})
    observer.wait("started")
    observer.publish(start_event([one.pid], [1], 0))
    p.wait_said(rf"pid {one.pid} .*begins")
    for n in 1, 2:
        between.drop()
        wait_for(lambda: p.said.count(f"{LOST} at {between.address}") == n, what="the loss")
        observer.wait("started", n + 1)
    observer.publish(stop_event([one.pid]))
    p.wait_said(rf"pid {one.pid} .*; stopped")
    observer.publish(terminate_event())
    assert p.process.wait(GIVE_UP_S) == 0
    observer.wait("terminating")


@pytest.mark.parametrize("n", [1, 2])
def test_it_waits_until_the_engine_listens(engine, attend, tmp_path, n):
    """What a publisher sends before that is lost; also where the engine before it had listened."""
    if n == 2:
        engine.start()
    p = attend()
    if n == 2:
        p.wait_said(CONNECTED)
        engine.kill()
        p.wait_said(LOST)
    engine.start(listens=False)
    if n == 1:
        p.wait_said(f"{AWAY} at {re.escape(engine.addresses['publish'])}")
    observer = Observer(engine, tmp_path)
    # It has been connected for long by then.
    time.sleep(2)
    assert p.said.count(CONNECTED) == n - 1
    engine.listen()
    wait_for(lambda: p.said.count(CONNECTED) == n, what="the connection to be said")
    observer.close()


def test_it_has_begun_when_its_subscriptions_have_arrived(engine, observer, attend, wire):
    """Whoever hears that it is there may ask it for something at once."""
    held = threading.Event()
    between = wire(target=int(engine.addresses["subscribe"].rpartition(":")[2]), held=held)
    p = attend(subscribe=between.address)
    wait_for(lambda: between.accepted, what="a connection")
    time.sleep(1)
    assert not observer.heard and CONNECTED not in p.said
    held.set()
    observer.wait("started")
    observer.publish(start_event([os.getpid()], [1], 1))
    p.wait_said(rf"pid {os.getpid()} .*begins")
    assert p.said.count(CONNECTED) == 1 and "does not come back" not in p.said
    p.stop()
    assert [h[0] for h in observer.heard].count("started") == 1


def test_the_addresses_of_two_engines(engine, observer, attend):
    """That cannot be right, and is said; events come all the same."""
    other = StandInEngine().start()
    p = attend(publish=other.addresses["publish"])
    p.wait_said(re.escape(other.addresses["publish"]) + " does not come back")
    p.wait_said(CONNECTED)
    observer.publish(start_event([os.getpid()], [1], 1))
    p.wait_said(rf"pid {os.getpid()} .*begins")
    assert p.stop() == 0
    other.close()


def test_exchanged_addresses(engine, observer, attend):
    p = attend(subscribe=engine.addresses["publish"], publish=engine.addresses["subscribe"])
    p.wait_said(AWAY)
    assert CONNECTED not in p.said and p.stop(signal.SIGTERM) == 0


@pytest.mark.alone
def test_away_it_hardly_wakes_and_connected_not_at_all(engine, attend, no_threads_of_others):
    p = attend()
    p.wait_said(AWAY)
    files = len(os.listdir(f"/proc/{p.pid}/fd"))
    before, begun = sum(switches(p.pid).values()), time.monotonic()
    time.sleep(5)
    # Each attempt is a few wake-ups of ZeroMQ's thread.
    assert (sum(switches(p.pid).values()) - before) / (time.monotonic() - begun) < 50
    assert p.said.count(AWAY) == 1
    assert len(os.listdir(f"/proc/{p.pid}/fd")) <= files + 2
    engine.start()
    p.wait_said(CONNECTED)
    wait_for(lambda: not wake_ups(p.pid, 6), what="rest")


def test_gone_and_back_many_times(engine, observer, attend, load, tmp_path):
    p, one = attend(), load(0.1)
    observer.wait("started")
    observer.publish(start_event([one.pid], [1], 0))
    p.wait_said(rf"pid {one.pid} .*begins")
    files = len(os.listdir(f"/proc/{p.pid}/fd"))
    for n in range(1, 6):
        engine.kill()
        wait_for(lambda: p.said.count(LOST) == n, what="the loss to be said")
        engine.start()
        wait_for(lambda: p.said.count(CONNECTED) == n + 1, what="the connection to be said")
    observer.wait_listening()
    wait_for(lambda: len(os.listdir(f"/proc/{p.pid}/fd")) <= files, what="old files to be closed")
    observer.publish(stop_event([one.pid]))
    p.wait_said(rf"pid {one.pid} .*; stopped")
    assert p.stop(signal.SIGTERM) == 0
    observer.wait("terminating")


@pytest.mark.parametrize("when", ["never there", "gone"])
def test_told_to_end_while_it_is_away(engine, attend, when):
    if when == "gone":
        engine.start()
    p = attend()
    if when == "gone":
        p.wait_said(CONNECTED)
        engine.kill()
        p.wait_said(LOST)
    else:
        p.wait_said(AWAY)
    assert p.stop(signal.SIGTERM) == 0


def test_a_host_without_an_address(attend):
    p = attend(subscribe="tcp://engine.invalid:5560", publish="tcp://engine.invalid:5559")
    p.wait_said(AWAY)
    assert p.stop(signal.SIGTERM) == 0


def test_a_resolver_that_does_not_answer(attend, slow_resolver):
    p = attend(subscribe="tcp://engine:5560", publish="tcp://engine:5559", env=slow_resolver)
    p.wait_said(AWAY)
    assert p.stop(signal.SIGTERM) == 0


def test_at_an_engine_s_port_the_other_one_may_be_away(engine, observer, plugin):
    """Where plugins publish is asked for the farewell only: nothing waits for it."""
    reserved = reserve_port()
    p = plugin("--sensors", "sim", "--engine", engine.addresses["power"], "--publish",
               f"tcp://127.0.0.1:{port_of(reserved)}", listen=False)
    observer.wait("started")
    observer.publish(start_event([os.getpid()], [1], 1))
    p.wait_said(rf"pid {os.getpid()} .*begins")
    assert p.stop(signal.SIGTERM) == 0
    reserved.close()
