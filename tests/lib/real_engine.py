# SPDX-License-Identifier: MIT
"""Drives the real event engine: the Rust program of tests/engine, with the power meter, a sender
and an observer as its plugins."""

import os
import subprocess
import sys
import threading

import pytest
import zmq

from conftest import BUILD, GIVE_UP_S, PUBLISHED, TOP, wait_for
from engine_standin import NEXT_MSG, QUIT, port_of, reserve_port
from eventreader import Reader

sys.path.insert(0, str(TOP / "tests" / "engine"))

import build_engine  # noqa: E402

PLUGIN_STARTED, PLUGIN_TERMINATING = 6, 7


class RealEngine:
    """May be killed and started again, always at the same ports."""

    def __init__(self, program, n_more=0):
        self._program = program
        self._reserved = [reserve_port() for _ in range(5 + n_more)]
        _, _, power, sender, observer = (f"tcp://127.0.0.1:{port_of(r)}"
                                         for r in self._reserved[:5])
        self.power_port = port_of(self._reserved[2])
        self.power, self.sender, self._observer_address = power, sender, observer
        self._context = zmq.Context()
        self._sockets = {}
        self.process = None

    def start(self):
        self.said = ""
        self.process = subprocess.Popen(
            [str(self._program), *(str(port_of(r)) for r in self._reserved)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,),
                                        daemon=True)
        self._reader.start()
        ready = self.process.stdout.readline()
        assert ready == b"ready\n", f"the engine did not start:\n{self.said}"
        return self

    def _read(self, stream):
        for line in stream:
            self.said += line.decode(errors="replace")

    def wait_said(self, text, count=1):
        wait_for(lambda: self.said.count(text) >= count, f"{text!r} in the engine's log")

    def _socket(self, address):
        """A plugin's socket, one for each: an engine's thread serves one request at a time."""
        if address not in self._sockets:
            socket = self._context.socket(zmq.REQ)
            socket.linger = 1000
            socket.rcvtimeo = int(1000 * GIVE_UP_S)
            socket.connect(address)
            self._sockets[address] = socket
        return self._sockets[address]

    def publish(self, message):
        sender = self._socket(self.sender)
        sender.send(message)
        assert sender.recv() == PUBLISHED

    def observe(self):
        """The next PluginStartedEvent or PluginTerminatingEvent: (kind, name, uuid)."""
        observer = self._socket(self._observer_address)
        observer.send(NEXT_MSG)
        event = Reader(observer.recv())
        created, name, uuid = event.fields("text", "text", "text")
        assert created.startswith("20"), created
        return event.union_type, name, uuid

    def wait_ended(self):
        """Says goodbye for the two plugins that are the test's own; the engine's exit status."""
        for address in self.sender, self._observer_address:
            self._socket(address).send(QUIT)
        return self.process.wait(GIVE_UP_S)

    def kill(self):
        """With SIGKILL. The test's own plugins must connect anew too."""
        for socket in self._sockets.values():
            socket.close(linger=0)
        self._sockets = {}
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
            self._reader.join()
            self.process.stdout.close()
            self.process.stderr.close()
        self.process = None

    def close(self):
        self.kill()
        self._context.term()
        for reserved in self._reserved:
            reserved.close()


@pytest.fixture(scope="session")
def engine_program():
    """The engine's program; where it cannot be had, the tests that need it are skipped."""
    if os.environ.get("PM_NO_ENGINE"):
        pytest.skip(os.environ["PM_NO_ENGINE"])
    try:
        return build_engine.engine_program(BUILD)
    except build_engine.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def engine(engine_program):
    """The real engine, running."""
    one = RealEngine(engine_program)
    yield one.start()
    one.close()
