# SPDX-License-Identifier: MIT
"""The whole camera-traps application around the power plugin: an engine (the real one, or one that
stands in for it) and the plugins that generate, score and end, as processes of their own."""

import os
import pathlib
import queue
import shutil
import subprocess
import sys
import threading
import time

import zmq

from conftest import GIVE_UP_S, PUBLISHED, TOP, clock_of, wait_for
from engine_standin import NEXT_MSG, QUIT, port_of, reserve_port
from eventreader import Reader
from real_engine import RealEngine

STOCK_PLUGIN = pathlib.Path(__file__).with_name("stock_plugin.py")
PROGRAMS = {"generating": "image_generating_plugin.py", "scoring": "image_scoring_plugin.py",
            "oracle": "oracle_plugin.py"}
MARK = b"\x10\x00mark"
ABOUT_SELF = {6: "started", 7: "terminating"}


class StandInEngine:
    """The engine's threads and its two bus ports, as far as the application needs them. May be
    killed and started again, always at the same ports."""

    FILTERS = {"power": (b"\x20\x00", b"\x21\x00", b"\x12\x00"), "generating": (b"\x12\x00",),
               "scoring": (b"\x12\x00",), "oracle": (b"\x12\x00",)}

    def __init__(self):
        self._reserved = {name: reserve_port() for name in ("publish", "subscribe", *self.FILTERS)}
        self.addresses = {name: f"tcp://127.0.0.1:{port_of(r)}"
                          for name, r in self._reserved.items()}
        self._threads = []

    def start(self, listens=True):
        """listens: to what plugins publish; else not before listen()."""
        self._dead = threading.Event()
        self._listens = threading.Event()
        if listens:
            self._listens.set()
        self._lock = threading.Lock()
        self._context = zmq.Context()
        self._queues = {name: queue.Queue() for name in self.FILTERS}
        self._pub = self._socket(zmq.PUB, "subscribe")
        bound = [(self._pump, self._socket(zmq.SUB, "publish"))]
        bound += [(self._serve, self._socket(zmq.REP, name), name) for name in self.FILTERS]
        self._threads = [threading.Thread(target=work, args=arguments, daemon=True)
                         for work, *arguments in bound]
        for thread in self._threads:
            thread.start()
        return self

    def _socket(self, kind, name):
        socket = self._context.socket(kind)
        socket.linger = 0
        socket.bind(self.addresses[name])
        return socket

    def _publish(self, message):
        with self._lock:
            self._pub.send(message)
        for name, filters in self.FILTERS.items():
            if message.startswith(filters):
                self._queues[name].put(message)

    def listen(self):
        self._listens.set()

    def _pump(self, sub):
        while not self._listens.wait(0.01) and not self._dead.is_set():
            pass
        sub.subscribe(b"")
        while not self._dead.is_set():
            if sub.poll(10):
                self._publish(sub.recv())
        sub.close()

    def _serve(self, rep, name):
        while not self._dead.is_set():
            if not rep.poll(10):
                continue
            message = rep.recv()
            if message == QUIT:
                break
            if message != NEXT_MSG:
                self._publish(message)
            reply = self._next(name) if message == NEXT_MSG else PUBLISHED
            if reply:
                rep.send(reply)
        rep.close()

    def _next(self, name):
        while not self._dead.is_set():
            try:
                return self._queues[name].get(timeout=0.01)
            except queue.Empty:
                pass
        return None

    def wait_ended(self, without=()):
        """Waits until all plugins have said goodbye, but for those who have no port there."""
        names = ["pump", *self.FILTERS]
        waiting = [t for name, t in zip(names, self._threads) if name not in ("pump", *without)]
        wait_for(lambda: not any(t.is_alive() for t in waiting), what="the engine to end")

    def kill(self):
        if not self._threads:
            return
        self._dead.set()
        for thread in self._threads:
            thread.join()
        self._threads = []
        self._pub.close()
        self._context.term()

    def close(self):
        self.kill()
        for reserved in self._reserved.values():
            reserved.close()


class WholeEngine(RealEngine):
    """The real one, with the application's plugins registered."""

    def __init__(self, program):
        super().__init__(program, n_more=3)
        names = "publish", "subscribe", "power", "sender", "observer", *PROGRAMS
        self.addresses = {name: f"tcp://127.0.0.1:{port_of(r)}"
                          for name, r in zip(names, self._reserved)}

    def wait_ended(self, without=()):
        for name in without:
            self._socket(self.addresses[name]).send(QUIT)
        assert super().wait_ended() == 0


class Observer:
    """Subscribes to what plugins say of themselves, and notes what lay in a directory then."""

    def __init__(self, engine, directory):
        self._directory = directory
        self.heard = []  # ("started", name, uuid, [files])
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.linger = 0
        self._socket.reconnect_ivl = 50
        for prefix in b"\x10\x00", b"\x11\x00":
            self._socket.subscribe(prefix)
        self._socket.connect(engine.addresses["subscribe"])
        self._pub = self._context.socket(zmq.PUB)
        self._pub.linger = 0
        self._pub.reconnect_ivl = 50
        self._pub.connect(engine.addresses["publish"])
        self._marks = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        while not self._over.is_set():
            if not self._socket.poll(20):
                continue
            message = self._socket.recv()
            if message == MARK:
                self._marks += 1
                continue
            event = Reader(message)
            _, name, uuid = event.fields("text", "text", "text")
            files = sorted(os.listdir(self._directory)) if self._directory.exists() else []
            self.heard.append((ABOUT_SELF[event.union_type], name, uuid, files))

    def wait_listening(self):
        """What is published from now on is heard: for a publisher that comes late misses it."""
        before = self._marks

        def heard():
            self._pub.send(MARK)
            return self._marks > before
        wait_for(heard, what="the observer's own mark")
        return self

    def publish(self, message):
        self._pub.send(message)

    def wait(self, what, n=1):
        """The n-th time that a plugin said that."""
        def found():
            mine = [h for h in self.heard if h[0] == what]
            return mine[n - 1] if len(mine) >= n else None
        return wait_for(found, what=f"{what} for the {n}. time")

    def close(self):
        self._over.set()
        self._thread.join()
        self._socket.close()
        self._pub.close()
        self._context.term()


class Poller:
    """A reader that takes the summary as soon as it sees it, again and again."""

    def __init__(self, path, parse):
        self._path, self._parse = path, parse
        self.first = None  # when it was there
        self.versions = []
        self.wrong = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def _poll(self):
        while not self._over.is_set():
            try:
                text = self._path.read_text()
                self.first = self.first or time.monotonic()
                if not self.versions or self.versions[-1] != text:
                    self._parse(text)
                    self.versions.append(text)
            except FileNotFoundError:
                pass
            except Exception as error:  # whatever it is, the test must hear of it
                self.wrong = error
                return
            time.sleep(0.001)

    def close(self):
        self._over.set()
        self._thread.join()


class Member:
    """One of the application's plugins."""

    def __init__(self, directory, name, address, duty, starts=1):
        program = directory / PROGRAMS[name]
        if not program.exists():
            shutil.copy(STOCK_PLUGIN, program)
        self.process = subprocess.Popen(
            [sys.executable, str(program), address, str(duty)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(os.environ, PM_TESTS=str(TOP / "tests"), PM_STARTS=str(starts)))
        self.pid, self.name = self.process.pid, PROGRAMS[name].removesuffix(".py")

    def wait_ready(self):
        assert self.process.stdout.readline() == b"ready\n"
        return self

    def cpu_s(self):
        return time.clock_gettime(clock_of(self.pid))

    def cpu_s_at_end(self):
        """All that it used, once it has ended and nobody has waited for it yet."""
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def end_application(self):
        """The oracle's."""
        self.process.stdin.write(b"x")
        self.process.stdin.flush()

    def wait(self):
        return self.process.wait(GIVE_UP_S)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
