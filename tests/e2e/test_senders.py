# SPDX-License-Identifier: MIT
"""Senders that do as they please cost no other sender its answer."""

import re
import resource
import signal
import socket
import threading
import time

import pytest
import zmq

from conftest import PUBLISHED, run, start_event, stop_event, wait_for
from engine_standin import QUIT, standin  # noqa: F401

BAD = b"event-engine: bad msg: "
SIM = ("--sensors", "sim")

# The beginning of a TLS handshake; ZMTP 1.0 peers begin without a signature, so that ZeroMQ takes
# these for frames, the last of which never ends.
TLS = bytes.fromhex("160301b6683480fc91baefae179bf759340f6cf6c1f9810d387dd45ce301e94a2599abf5fd99301d8fa94d1"
                    "3abbe48a1ae6b9634f9")


def port_of(plugin):
    return int(plugin.address.rsplit(":", 1)[1])


def say_and_close(port, words):
    with socket.create_connection(("127.0.0.1", port)) as one:
        one.sendall(words)


@pytest.mark.parametrize("words", [
    pytest.param(TLS, id="TLS"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", id="HTTP"),
    pytest.param(b"\x00\x00\x05\x01hell", id="a frame of ZMTP 1.0 that is cut"),
    pytest.param(b"\xff" + bytes(8) + b"\x7f\x03\x00NULL", id="a greeting that is cut"),
])
def test_strangers_on_the_port(plugin, words):
    p = plugin(*SIM)
    honest = p.connect()
    for _ in range(30):
        # Stopped, so that all of it is there at once when the plugin looks.
        p.process.send_signal(signal.SIGSTOP)
        say_and_close(port_of(p), words)
        honest.send(stop_event([1]))
        p.process.send_signal(signal.SIGCONT)
        assert honest.recv() == PUBLISHED
    for _ in range(1000):
        honest.send(stop_event([1]))
        assert honest.recv() == PUBLISHED


@pytest.fixture
def dealer(plugin):
    """Makes a DEALER, which sends and receives whatever frames it likes."""
    made = []

    def make(p, **options):
        one = zmq.Context.instance().socket(zmq.DEALER)
        one.linger = 0
        one.rcvtimeo = one.sndtimeo = 10000
        for name, value in options.items():
            setattr(one, name, value)
        one.connect(p.address)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def test_every_form_is_answered_in_its_own(plugin, dealer):
    p = plugin(*SIM)
    d = dealer(p)
    good = stop_event([1])
    for sent, answered in [
            ([b"", good], [b"", PUBLISHED]),
            ([b"hop", b"", good], [b"hop", b"", PUBLISHED]),
            ([b"", good, good], [b"", BAD + b"a message of several parts is no event"]),
            ([b"", b""], [b"", BAD + b"too short for an event"]),
            ([good], [BAD + b"no empty frame before the message: send it over a REQ socket"]),
            ([b"", bytes((1 << 20) + 1)], [b"", BAD + b"1048577 bytes, more than 1048576"]),
            ([b"", bytes(16 << 20)], [b"", BAD + b"16777216 bytes, more than 1048576"]),
            ([b"", good], [b"", PUBLISHED])]:
        d.send_multipart(sent)
        assert d.recv_multipart() == answered, sent[-1][:40]


def test_one_who_never_reads_its_answers(plugin, dealer):
    p = plugin(*SIM)
    honest, rude = p.connect(), dealer(p, rcvhwm=1, rcvbuf=4096)

    def send_more():
        """The kernel holds some megabytes of answers before ZeroMQ has to."""
        for _ in range(1000):
            rude.send_multipart([b"", b"x"])
        return "a sender does not read its answers" in p.said
    wait_for(send_more, "what the answers wait for to be full")
    for _ in range(100):
        honest.send(stop_event([1]))
        assert honest.recv() == PUBLISHED


def test_many_connections_that_say_nothing(plugin, load):
    """As many as leave no descriptor for anything else."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    p, one = plugin(*SIM, run_as={"preexec_fn": lambda: resource.setrlimit(
        resource.RLIMIT_NOFILE, (400, 400))}), load(0.1)
    idle = []
    try:
        for _ in range(1000):
            idle.append(socket.create_connection(("127.0.0.1", port_of(p))))
            idle[-1].send(b"\xff" + bytes(8) + b"\x7f")
        p.wait_said("more than 200 connections: closed those idle longest")
        assert p.send(start_event([one.pid], [1], 0)) == PUBLISHED
        p.wait_said(rf"pid {one.pid} .*begins")
        assert p.send(stop_event([one.pid])) == PUBLISHED
        p.wait_said(rf"pid {one.pid} .*stopped")
    finally:
        for connection in idle:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_burst_of_sessions_leaves_room_for_others(plugin, load):
    p, one, two, three = plugin(*SIM, "--rate", "1"), load(0.1), load(0.1), load(0.1)
    greedy, modest = p.connect(), p.connect()
    answers = []
    for i in range(300):
        greedy.send(start_event([(one, two)[i % 2].pid], [1], 0))
        answers.append(greedy.recv())
    assert answers == [PUBLISHED] * 256 + [BAD + b"more than 256 sessions of one sender at a time"] * 44
    p.wait_said("more than 256 sessions of one sender")
    modest.send(start_event([three.pid], [1], 0))
    assert modest.recv() == PUBLISHED


def test_the_log_is_not_flooded(plugin, load):
    """Start and stop in a loop: what is left out is counted."""
    p, one = plugin(*SIM), load(0.1)
    begun = time.monotonic()
    n = 2000
    for _ in range(n):
        assert p.send(start_event([one.pid], [1], 0)) == PUBLISHED
        assert p.send(stop_event([one.pid])) == PUBLISHED
    # A line for each second's allowance, and one to tell what was left out.
    p.stop()
    lines = p.said.count("INFO")
    seconds = time.monotonic() - begun
    assert lines < 1024 + 22 * (seconds + 1), (lines, seconds)
    left_out = sum(int(x) for x in re.findall(r"left out (\d+) INFO lines", p.said))
    if lines > 1024 + 20:
        assert left_out > 0


def test_a_start_that_fails_is_excused_to_the_engine(standin, tmp_path):
    standin.start()
    done = run("plugin", "--engine", standin.address, "--sensors", "sim:/no/such/script", "--log-dir",
               tmp_path / "logs")
    assert done.returncode == 1, done.stderr
    standin.wait_ended()
    assert standin.received == [QUIT]


def test_a_start_beside_another_leaves_its_engine_alone(standin, plugin, tmp_path):
    standin.start()
    plugin(*SIM, "--engine", standin.address, listen=False)
    standin.wait_asked()
    done = run("plugin", "--engine", standin.address, *SIM, "--log-dir", tmp_path / "logs")
    assert done.returncode == 1 and "already writes" in done.stderr
    assert len(standin.received) == 2  # the first one's announcement and request


def test_fifty_senders_of_which_ten_are_hostile(plugin):
    """All honest ones are answered, each time, while strangers come and go."""
    p = plugin(*SIM)
    done, wrong, n_each = threading.Event(), [], 200

    def be_hostile():
        while not done.is_set():
            try:
                say_and_close(port_of(p), TLS)
            except OSError as error:
                wrong.append(error)
                return
            done.wait(0.002)

    def be_honest(one):
        try:
            for _ in range(n_each):
                one.send(stop_event([1]))
                assert one.recv() == PUBLISHED
        except Exception as error:  # told by the thread that waits
            wrong.append(error)

    honest = [threading.Thread(target=be_honest, args=(p.connect(),)) for _ in range(40)]
    hostile = [threading.Thread(target=be_hostile) for _ in range(10)]
    for thread in hostile + honest:
        thread.start()
    for thread in honest:
        thread.join()
    done.set()
    for thread in hostile:
        thread.join()
    assert not wrong, wrong[:3]
    assert p.stop() == 0, p.said
