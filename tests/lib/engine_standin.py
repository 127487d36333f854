# SPDX-License-Identifier: MIT
"""Takes the place of an event engine, with what a real one cannot be asked for: to deliver any
bytes, to hang, to answer nonsense, to go and come back, to drop a connection.

`StandIn` is the engine's thread for one external plugin: a REP socket with the engine's protocol.
`Wire` is the network in front of it: it counts connections, breaks them, or is no engine at all.
"""

import queue
import select
import socket as tcp
import struct
import threading
import time

import pytest
import zmq

from conftest import PUBLISHED, wait_for

NEXT_MSG = b"plugin_command: next_msg"
QUIT = b"plugin_command: quit"


def reserve_port():
    """A bound socket that does not listen: its port is nobody else's as long as it is open, and a
    server that sets SO_REUSEADDR, as ZeroMQ does, can still listen there. Without one, an attempt
    to connect is refused."""
    reserved = tcp.socket()
    reserved.setsockopt(tcp.SOL_SOCKET, tcp.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved


def port_of(socket):
    return socket.getsockname()[1]


class StandIn:
    """An engine that may be killed and started any number of times, always at the same address."""

    def __init__(self):
        self._reserved = reserve_port()
        self.port = port_of(self._reserved)
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.received = []         # all requests, in order; a list for one of several parts
        self.answer = [PUBLISHED]  # to what a plugin publishes
        self.n_delivered = 0
        self._thread = None
        self._linger = 0

    def start(self):
        self._events = queue.Queue()  # an engine that comes back knows nothing
        self._dead = threading.Event()
        self._awake = threading.Event()
        self._awake.set()
        self._bound = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        wait_for(self._bound.is_set, what="the stand-in to listen")
        return self

    def kill(self, after_sending=False):
        """All connections break and new ones are refused, as when the process was killed; if so
        asked, after the last reply has left it."""
        if self._thread:
            self._linger = 1000 if after_sending else 0
            self._dead.set()
            self._thread.join()
        self._thread = None

    def close(self):
        self.kill()
        self._reserved.close()

    def hang(self):
        """No further request is read until wake(); connections stay, and so does what was asked."""
        self._awake.clear()

    def wake(self):
        self._awake.set()

    def deliver(self, *parts):
        """The next event, or one that follows those that are still to be asked for."""
        self._events.put(list(parts))

    @property
    def n_asked(self):
        return self.received.count(NEXT_MSG)

    def wait_asked(self, n=1):
        """Waits until the plugin has asked so many times for an event."""
        wait_for(lambda: self.n_asked >= n, f"request {n} for an event")

    def deliver_and_wait(self, *parts):
        """Delivers an event, and waits until the plugin is done with it and asks for the next."""
        before = self.n_asked
        self.deliver(*parts)
        self.wait_asked(before + 1)

    def wait_ended(self):
        """Waits until the plugin's quit has arrived, which may be after its end."""
        wait_for(lambda: not self._thread.is_alive(), what="the engine's thread to end")

    # The thread. Where the engine blocks for ever, this one looks now and then whether it is dead.

    def _serve(self):
        context = zmq.Context()
        rep = context.socket(zmq.REP)
        rep.bind(self.address)
        self._bound.set()
        try:
            self._talk(rep)
        finally:
            rep.close(self._linger)
            context.term()

    def _talk(self, rep):
        while not self._dead.is_set():
            # In this order: hang() may come while we wait.
            if not rep.poll(10) or not self._awake.is_set():
                self._dead.wait(0.005)
                continue
            parts = rep.recv_multipart()
            self.received.append(parts[0] if len(parts) == 1 else parts)
            if parts == [QUIT]:
                return
            reply = self._next_event() if parts == [NEXT_MSG] else self.answer
            if reply is None:
                return
            rep.send_multipart(reply)
            self.n_delivered += parts == [NEXT_MSG]

    def _next_event(self):
        while not self._dead.is_set():
            try:
                return self._events.get(timeout=0.01)
            except queue.Empty:
                pass
        return None


class Wire:
    """Listens at an address of its own. With a target it passes on what comes, both ways; without
    one it is some other program that listens there and says `greeting`, or nothing."""

    def __init__(self, target=None, greeting=b"", hang_up=False, held=None):
        self._target = target
        self._held = held  # an event: until then nothing goes on that follows a client's READY
        self._greeting = greeting
        self._hang_up = hang_up
        self._listener = reserve_port()
        self._listener.listen()
        self.address = f"tcp://127.0.0.1:{port_of(self._listener)}"
        self.accepted = []  # when, on the monotonic clock
        self._connections = []
        self._closing, self._waker = tcp.socketpair()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self):
        while True:
            readable, _, _ = select.select([self._listener, self._closing], [], [])
            if self._closing in readable:
                return
            near, _ = self._listener.accept()
            self.accepted.append(time.monotonic())
            if self._hang_up:
                near.close()
                continue
            near.sendall(self._greeting)
            far = tcp.create_connection(("127.0.0.1", self._target)) if self._target else None
            pair = near, far
            with self._lock:
                self._connections.append(pair)
            for source, sink in ((near, far), (far, near)) if far else ((near, None),):
                threading.Thread(target=self._pump, args=(pair, source, sink), daemon=True).start()

    def _pump(self, pair, source, sink):
        try:
            while data := source.recv(65536):
                if sink and self._held and source is pair[0] and b"\x05READY" in data:
                    # A command's size stands before its name.
                    name = data.index(b"\x05READY")
                    end = name + data[name - 1]
                    sink.sendall(data[:end])
                    self._held.wait()
                    data = data[end:]
                if sink:
                    sink.sendall(data)
        except OSError:
            pass
        with self._lock:
            if pair not in self._connections:
                return  # dropped: a word of farewell would spoil the reset
        for end in filter(None, pair):
            try:
                end.shutdown(tcp.SHUT_RDWR)
            except OSError:
                pass  # the other pump was faster

    def become(self, target):
        """Whoever connects from now on finds what listens at that port."""
        self._target, self._greeting = target, b""

    def drop(self):
        """Breaks all connections with a reset; new ones are welcome."""
        with self._lock:
            connections, self._connections = self._connections, []
        for end in filter(None, sum(connections, ())):
            # Closing a socket that lingers for 0 s resets its connection.
            end.setsockopt(tcp.SOL_SOCKET, tcp.SO_LINGER, struct.pack("ii", 1, 0))
            try:
                end.shutdown(tcp.SHUT_RD)  # wakes the pump, which holds it open
            except OSError:
                pass  # the other side went first
            end.close()

    def close(self):
        self._waker.send(b"x")
        self._thread.join()
        self._listener.close()
        self.drop()
        self._closing.close()
        self._waker.close()


@pytest.fixture
def standin():
    """A stand-in that is not yet started."""
    one = StandIn()
    yield one
    one.close()


@pytest.fixture
def wire():
    """Makes wires: wire(target=port). All are gone when the test is over."""
    made = []

    def make(**keywords):
        made.append(Wire(**keywords))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def attend(plugin):
    """Starts a plugin with simulated sensors at an engine's address."""
    def start(address, *args, **keywords):
        return plugin("--sensors", "sim", "--engine", address, *args, listen=False, **keywords)
    return start
