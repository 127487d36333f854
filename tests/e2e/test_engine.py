# SPDX-License-Identifier: MIT
"""The plugin at an event engine: what comes of the events, with the real engine and with one that
misbehaves. Engines that are away: test_engine_away.py."""

import os
import random
import re
import signal
import time

import pytest

from conftest import GIVE_UP_S, run, start_event, stop_event, terminate_event, wait_for
from engine_standin import NEXT_MSG, QUIT, attend, standin  # noqa: F401
from eventreader import Reader
from real_engine import PLUGIN_STARTED, PLUGIN_TERMINATING, engine, engine_program  # noqa: F401

NAME, UUID = "ext_power_monitor_plugin", "4a0fca25-1935-472a-8674-58f22c3a32b3"


def lines_of(plugin, pid):
    return [line for line in plugin.log("CPU.json").values() if line[1] == str(pid)]


def who(message):
    """(kind, name, uuid) of an event in which a plugin speaks of itself."""
    event = Reader(message)
    return event.union_type, *event.fields("text", "text", "text")[1:]


# ---- the real engine -----------------------------------------------------------------------------


def test_a_whole_life(engine, attend, load):
    p, one = attend(engine.power), load(0.3)
    assert engine.observe() == (PLUGIN_STARTED, NAME, UUID)
    engine.publish(start_event([one.pid], [0], 2))
    p.wait_said(rf"pid {one.pid} .*time is up")
    # Four, on a machine that has the time.
    for lines in lines_of(p, one.pid), p.log("GPU.json"):
        assert 2 <= len(lines) <= 4
    assert re.search(rf"pid {one.pid} .*: 2\.\d+ s", p.said), p.said
    engine.publish(terminate_event(NAME))
    assert engine.observe() == (PLUGIN_TERMINATING, NAME, UUID)
    assert p.process.wait(GIVE_UP_S) == 0
    # It waits for every plugin's quit.
    assert engine.wait_ended() == 0


def test_a_stop(engine, attend, load):
    p, one, two = attend(engine.power), load(0.2), load(0.2)
    engine.publish(start_event([one.pid, two.pid], [1], 0))
    p.wait_said(rf"pid {two.pid} .*begins")
    engine.publish(stop_event([one.pid]))
    p.wait_said(rf"pid {one.pid} .*stop")
    assert not re.search(rf"pid {two.pid} .*(stop|time is up)", p.said)
    assert p.stop() == 0
    assert re.search(rf"pid {two.pid} .*told to end", p.said)


@pytest.mark.parametrize("name, uuid", [
    (NAME, ""), ("", UUID), ("*", ""), ("", "*"),
    # What ends the whole application carries the uuid of its sender.
    ("*", "6e153711-9823-4ee6-b608-58e2e801db51"),
])
def test_terminate(engine, attend, load, name, uuid):
    p, one = attend(engine.power), load(0.2)
    engine.publish(start_event([one.pid], [0], 0))
    p.wait_said(rf"pid {one.pid} .*begins")
    for other in ("ext_image_gen_plugin", ""), ("", "d3266646-41ec-11ed-a96f-5391348bab46"):
        engine.publish(terminate_event(*other))
    engine.publish(stop_event([one.pid]))
    p.wait_said(rf"pid {one.pid} .*stop")
    engine.publish(terminate_event(name, uuid))
    assert engine.observe()[0] == PLUGIN_STARTED
    assert engine.observe() == (PLUGIN_TERMINATING, NAME, UUID)
    assert p.process.wait(GIVE_UP_S) == 0
    assert engine.wait_ended() == 0


def test_a_name_and_a_uuid_of_its_own(engine, attend):
    p = attend(engine.power, "--name", "another", "--uuid", "of-its-own")
    assert engine.observe() == (PLUGIN_STARTED, "another", "of-its-own")
    engine.publish(terminate_event(NAME, UUID))
    engine.publish(terminate_event("", "of-its-own"))
    assert engine.observe() == (PLUGIN_TERMINATING, "another", "of-its-own")
    assert p.process.wait(GIVE_UP_S) == 0


def test_send_and_wait_through_the_engine(engine, attend, load):
    p, one, two = attend(engine.power), load(0.2), load(0.2)
    p.wait_said("connected to the event engine")
    done = run("send", "start", "--to", engine.sender, "--pid", one.pid, "--pid", two.pid,
               "--seconds", 1, "--wait")
    assert (done.returncode, done.stderr) == (0, "")
    for pid in one.pid, two.pid:
        assert re.search(rf"pid {pid} .* J", done.stdout), done.stdout
    # The engine publishes whatever it gets: the reason comes from the plugin.
    refused = run("send", "start", "--to", engine.sender, "--pid", -1, "--wait")
    assert refused.returncode == 1
    assert re.search("refused: .*-1", refused.stderr), refused.stderr
    assert run("send", "terminate", "--to", engine.sender).returncode == 0
    assert p.process.wait(GIVE_UP_S) == 0


@pytest.mark.parametrize("wrong, why", [
    (["--type", 77], "77 is no monitor type"),
    (["--at", "soon"], 'monitor_start_ts "soon" is no time'),
    ([word for pid in range(1, 1025) for word in ("--pid", pid)], "1025 pids in one event"),
])
def test_who_waits_hears_why_the_event_makes_no_sense(engine, attend, wrong, why):
    """It is refused before the plugin has a request to answer, by what could be read of it."""
    p = attend(engine.power)
    p.wait_said("connected to the event engine")
    done = run("send", "start", "--to", engine.sender, "--pid", os.getpid(), *wrong, "--wait")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"refused: {why}" in done.stderr
    p.wait_said(re.escape(why))


def test_the_environment_names_the_engine(engine, plugin):
    p = plugin("--sensors", "sim", listen=False, env={
        "POWER_MEASURING_PLUGIN_HOST": "localhost",
        "POWER_MEASURING_PLUGIN_PORT": str(engine.power_port)})
    p.wait_said(f"connected to the event engine at tcp://localhost:{engine.power_port}")
    assert engine.observe() == (PLUGIN_STARTED, NAME, UUID)
    done = run("send", "terminate", env={"POWER_MEASURING_PLUGIN_PORT":
                                         engine.sender.rpartition(":")[2]})
    assert done.returncode == 0
    assert p.process.wait(GIVE_UP_S) == 0


def test_events_in_quick_succession(engine, attend, load):
    """Both are there before the plugin can take the first one."""
    p, one, two = attend(engine.power), load(0.2), load(0.2)
    engine.wait_said("got next_msg command")
    p.process.send_signal(signal.SIGSTOP)
    engine.publish(start_event([one.pid], [1], 0))
    engine.publish(start_event([two.pid], [1], 0))
    p.process.send_signal(signal.SIGCONT)
    for pid in one.pid, two.pid:
        p.wait_said(rf"pid {pid} .*begins")


def test_two_hundred_events_in_a_row(engine, attend, load):
    p, one = attend(engine.power), load(0.2)
    for _ in range(200):
        engine.publish(start_event([one.pid], [1], 1))
    wait_for(lambda: p.said.count("time is up") == 200, what="the end of 200 sessions")
    # One pid, however many ask: one line at a tick, and the sessions overlap.
    assert 2 <= len(lines_of(p, one.pid)) < 20
    assert p.stop() == 0


def test_sigterm_while_the_plugin_waits_for_an_event(engine, attend, load):
    """The socket that waits cannot say goodbye; the engine hears it at its next event."""
    p, one = attend(engine.power), load(0.2)
    engine.publish(start_event([one.pid], [0], 0))
    p.wait_said(rf"pid {one.pid} .*begins")
    engine.wait_said("got next_msg command", 2)
    assert p.stop(signal.SIGTERM) == 0
    assert re.search(rf"pid {one.pid} .*told to end", p.said)
    assert "got quit message" not in engine.said
    engine.publish(stop_event([one.pid]))
    assert engine.wait_ended() == 0


def test_sigterm_while_the_engine_s_process_is_stopped(engine, attend, load):
    p, one = attend(engine.power), load(0.2)
    engine.publish(start_event([one.pid], [0], 0))
    p.wait_said(rf"pid {one.pid} .*begins")
    engine.process.send_signal(signal.SIGSTOP)
    assert p.stop(signal.SIGTERM) == 0
    assert re.search(rf"pid {one.pid} .*told to end", p.said)


# ---- an engine that misbehaves -------------------------------------------------------------------


def test_what_an_engine_hears(standin, attend):
    p = attend(standin.start().address)
    standin.wait_asked()
    standin.deliver(terminate_event("*"))
    assert p.process.wait(GIVE_UP_S) == 0
    standin.wait_ended()
    started, asked, terminating, quit = standin.received
    assert who(started) == (PLUGIN_STARTED, NAME, UUID) and started[:2] == b"\x10\x00"
    assert who(terminating) == (PLUGIN_TERMINATING, NAME, UUID) and terminating[:2] == b"\x11\x00"
    assert (asked, quit) == (NEXT_MSG, QUIT)


@pytest.mark.parametrize("answer", [
    [b""], [b"event-engine: bad msg"], [b"\xff\x00" * 1000], [b"event-engine: ", b"msg published"],
])
def test_a_strange_answer_to_what_the_plugin_says(standin, attend, load, answer):
    one = load(0.2)
    standin.answer = answer
    p = attend(standin.start().address)
    standin.wait_asked()
    standin.deliver(start_event([one.pid]))
    p.wait_said(rf"pid {one.pid} .*begins")
    standin.deliver_and_wait(stop_event([one.pid]))
    standin.deliver(terminate_event())
    assert p.process.wait(GIVE_UP_S) == 0
    standin.wait_ended()
    assert who(standin.received[-2])[0] == PLUGIN_TERMINATING
    assert standin.received[-1] == QUIT


def hostile():
    """Parts of messages that are no event, by name."""
    good = start_event([os.getpid()], [0], 1)
    yield "nothing", [b""]
    yield "one byte", [b"\x20"]
    yield "a prefix alone", [good[:2]]
    yield "text", [b"event-engine: msg published"]
    yield "its own words", [NEXT_MSG]
    yield "no FlatBuffer", [b"\x20\x00" + b"\xff" * 200]
    yield "zeros", [b"\x20\x00" + bytes(200)]
    yield "half of one", [good[:len(good) // 2]]
    yield "a prefix twice", [good[:2] + good]
    yield "several parts", [good, good]
    yield "a part more", [good, b""]
    pids = good.rindex(os.getpid().to_bytes(4, "little"))
    yield "a vector without an end", [good[:pids - 4] + b"\xff\xff\xff\x7f" + good[pids:]]
    yield "a root that is itself", [good[:2] + bytes(4) + good[6:]]
    yield "no pids", [start_event([], [0], 1)]
    yield "no list of pids", [start_event(None, [0], 1)]
    yield "no types", [start_event([os.getpid()], [], 1)]
    yield "an unknown type", [start_event([os.getpid()], [5], 1)]
    yield "a start that is no time", [start_event([os.getpid()], [0], 1, start="soon")]
    yield "too many pids", [start_event(range(1, 1026), [0], 1)]
    yield "a pid that is none", [start_event([-1], [0], 1)]


@pytest.mark.parametrize("parts", [pytest.param(p, id=name) for name, p in hostile()])
def test_an_event_that_is_none(standin, attend, parts):
    p = attend(standin.start().address)
    standin.wait_asked()
    standin.deliver_and_wait(*parts)
    p.wait_said("refused: ")
    assert "measuring begins" not in p.said
    standin.deliver(start_event([os.getpid()]))
    p.wait_said(rf"pid {os.getpid()} .*begins")


def test_somebody_else_s_events_are_not_worth_a_word(standin, attend):
    p = attend(standin.start().address)
    standin.wait_asked()
    said = p.wait_said("connected").string
    standin.deliver_and_wait(standin.received[0])  # a PluginStartedEvent
    standin.deliver_and_wait(terminate_event("somebody_else", "of-no-plugin"))
    standin.deliver(start_event([os.getpid()]))
    p.wait_said(rf"pid {os.getpid()} .*begins")
    assert "refused" not in p.said and said in p.said


def test_mutilated_events(standin, attend):
    p = attend(standin.start().address)
    standin.wait_asked()
    seed = random.getrandbits(32)
    print("seed", seed)
    rng = random.Random(seed)
    good = start_event([os.getpid()] * 3, [0, 1], 1, start="2026-11-22T10:00:00")
    for _ in range(100):
        bad = bytearray(good)
        # Not the union's type: a terminate event may well come of it.
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(bad))
            bad[at] = bad[at] if bad[at] == 9 else rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        if rng.random() < 0.5:
            del bad[rng.randrange(len(bad)):]
        standin.deliver_and_wait(bytes(bad))
    standin.deliver(terminate_event())
    assert p.process.wait(GIVE_UP_S) == 0


def test_a_message_beyond_all_measure_breaks_the_connection_only(standin, attend):
    p = attend(standin.start().address)
    standin.wait_asked()
    standin.deliver_and_wait(bytes(2 * 1024 * 1024))
    p.wait_said("2097152 bytes, more than 1048576")
    before = standin.n_asked
    standin.deliver(bytes(17 * 1024 * 1024))
    standin.wait_asked(before + 1)
    standin.deliver(start_event([os.getpid()]))
    p.wait_said(rf"pid {os.getpid()} .*begins")


def test_a_start_while_a_session_is_open(standin, attend, load):
    one, two = load(0.2), load(0.2)
    p = attend(standin.start().address)
    standin.deliver(start_event([one.pid], [1], 0))
    p.wait_said(rf"pid {one.pid} .*begins")
    wait_for(lambda: len(lines_of(p, one.pid)) >= 1, what="the first line")
    standin.deliver(start_event([one.pid, two.pid], [1], 1))
    p.wait_said(rf"pid {one.pid} .*time is up")
    p.wait_said(rf"pid {two.pid} .*time is up")
    standin.deliver(stop_event([one.pid]))
    p.wait_said(rf"pid {one.pid} .*stop")
    lines = p.log("CPU.json")
    assert 2 <= len(lines_of(p, two.pid)) <= 3
    # A line at a tick, whoever asked.
    seconds = [key for key, line in lines.items() if line[1] == str(one.pid)]
    assert len(seconds) == len(set(seconds)) >= 3
    assert len(re.findall(rf"pid {one.pid} .* J", p.said)) == 2


@pytest.mark.parametrize("when", ["it has not answered yet", "an event is awaited"])
def test_sigterm_while_the_engine_hangs(standin, attend, when):
    standin.start()
    if when == "it has not answered yet":
        standin.hang()
    p = attend(standin.address)
    p.wait_said("connected to the event engine")
    if when == "an event is awaited":
        standin.wait_asked()
        standin.hang()
    assert p.stop(signal.SIGTERM) == 0


def test_quit_comes_over_a_second_socket(standin, attend):
    p = attend(standin.start().address)
    standin.wait_asked()
    assert p.stop(signal.SIGTERM) == 0
    assert QUIT not in standin.received
    standin.deliver(stop_event([1]))  # the event that lets the engine's thread read on
    standin.wait_ended()
    assert standin.received[1:] == [NEXT_MSG, QUIT]


def test_quit_is_said_though_the_farewell_was_not_answered(standin, attend):
    p = attend(standin.start().address)
    standin.wait_asked()
    standin.hang()
    standin.deliver(terminate_event())
    assert p.process.wait(GIVE_UP_S) == 0
    standin.wake()
    standin.wait_ended()
    assert who(standin.received[-2])[0] == PLUGIN_TERMINATING
