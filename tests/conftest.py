# SPDX-License-Identifier: MIT
"""What the Python tests share: the built program, driven from outside with real processes and real
sockets. No test uses a fixed path or port."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import flatbuffers
import pytest
import zmq

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests" / "lib"))
BUILD = pathlib.Path(os.environ.get("PM_BUILD", TOP / "build-test"))
POWERMEASURE = BUILD / "src" / "powermeasure"

# How long anything is waited for that has to come. No test depends on how long it really took: a
# machine may be busy with other things, and sanitizers and emulation slow everything down.
GIVE_UP_S = 120 * float(os.environ.get("PM_PATIENCE", "1"))

# Tests on real kernels are a world of their own, with a conftest.py of their own.
if "PM_KERNEL" not in os.environ:
    collect_ignore = ["kernel"]

# Who starts the tests in the background may have had signals ignored for all below, but tests send them
# to what they start. A function of ours is no function of a new program's.
for _signal in signal.SIGINT, signal.SIGQUIT, signal.SIGHUP:
    if signal.getsignal(_signal) == signal.SIG_IGN:
        signal.signal(_signal, lambda *_: None)

PUBLISHED = b"event-engine: msg published"

KIND_START, KIND_STOP, KIND_TERMINATE = 9, 10, 8
PREFIXES = {9: b"\x20\x00", 10: b"\x21\x00", 8: b"\x12\x00"}


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: its figures depend on real time, so that no other test "
                            "runs beside it")


def pytest_terminal_summary(terminalreporter):
    """The sums as ./test wants them."""
    n = {key: len(reports) for key, reports in terminalreporter.stats.items()}
    terminalreporter.write_line(f"{n.get('passed', 0)} passed, "
                                f"{n.get('failed', 0) + n.get('error', 0)} failed, "
                                f"{n.get('skipped', 0)} skipped")


def build_option(name):
    """How the build is configured."""
    text = subprocess.run(["meson", "introspect", "--buildoptions", str(BUILD)], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    return next(o["value"] for o in json.loads(text) if o["name"] == name)


def wait_for(condition, what="the condition"):
    """Polls until condition() is true; what it returned then is returned."""
    until = time.monotonic() + GIVE_UP_S
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > until:
            raise AssertionError(f"{what}: not within {GIVE_UP_S:g} s")
        time.sleep(0.005)


# ---- events, written by hand: the tests must not share the program's own idea of the format -------


def _finish(builder, kind, table):
    builder.StartObject(2)
    builder.PrependUint8Slot(0, kind, 0)
    builder.PrependUOffsetTRelativeSlot(1, table, 0)
    builder.Finish(builder.EndObject())
    return PREFIXES.get(kind, b"\x01\x00") + bytes(builder.Output())


def _ints(builder, values, size, prepend):
    builder.StartVector(size, len(values), size)
    for value in reversed(values):
        prepend(value)
    try:
        return builder.EndVector()
    except TypeError:  # before flatbuffers 2
        return builder.EndVector(len(values))


def start_event(pids, types=(0,), seconds=0, start="", created="2026-11-22T10:00:00.000000"):
    b = flatbuffers.Builder(256)
    start_at, created_at = b.CreateString(start), b.CreateString(created)
    types_at = None if types is None else _ints(b, list(types), 1, b.PrependInt8)
    pids_at = None if pids is None else _ints(b, list(pids), 4, b.PrependInt32)
    b.StartObject(5)
    b.PrependUOffsetTRelativeSlot(0, created_at, 0)
    if pids_at is not None:
        b.PrependUOffsetTRelativeSlot(1, pids_at, 0)
    if types_at is not None:
        b.PrependUOffsetTRelativeSlot(2, types_at, 0)
    b.PrependUOffsetTRelativeSlot(3, start_at, 0)
    b.PrependUint32Slot(4, seconds, 0)
    return _finish(b, KIND_START, b.EndObject())


def stop_event(pids):
    b = flatbuffers.Builder(256)
    created_at = b.CreateString("2026-11-22T10:00:00.000000")
    pids_at = _ints(b, list(pids), 4, b.PrependInt32)
    b.StartObject(2)
    b.PrependUOffsetTRelativeSlot(0, created_at, 0)
    b.PrependUOffsetTRelativeSlot(1, pids_at, 0)
    return _finish(b, KIND_STOP, b.EndObject())


def terminate_event(name="ext_power_monitor_plugin", uuid=""):
    b = flatbuffers.Builder(256)
    created_at = b.CreateString("2026-11-22T10:00:00.000000")
    name_at, uuid_at = b.CreateString(name), b.CreateString(uuid)
    b.StartObject(3)
    b.PrependUOffsetTRelativeSlot(0, created_at, 0)
    b.PrependUOffsetTRelativeSlot(1, name_at, 0)
    b.PrependUOffsetTRelativeSlot(2, uuid_at, 0)
    return _finish(b, KIND_TERMINATE, b.EndObject())


# ---- the plugin ----------------------------------------------------------------------------------


class Plugin:
    """A running `powermeasure plugin`; what it says is kept in `said`."""

    def __init__(self, log_dir, *args, env=None, listen=True, wait=True, program=None,
                 run_as=None):
        command = [str(program or POWERMEASURE), "plugin", "--log-dir", str(log_dir)]
        if listen:
            command += ["--listen", "tcp://127.0.0.1:*"]
        self.log_dir = pathlib.Path(log_dir)
        self.said = ""
        self.address = None
        self._sockets = []
        self._context = zmq.Context()
        clean = {k: v for k, v in os.environ.items()
                 if not k.startswith(("TRAPS_", "POWER_MEASURING_", "POWERMEASURE_"))}
        self.process = subprocess.Popen(command + [str(a) for a in args], stderr=subprocess.PIPE,
                                        env=dict(clean, **(env or {})), **(run_as or {}))
        self.pid = self.process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if listen and wait:
            self.address = self.wait_said(r"listening at (\S+)").group(1)

    def _read(self):
        for line in self.process.stderr:
            self.said += line.decode(errors="replace")

    def wait_said(self, pattern):
        """Waits until the plugin's log matches; a plugin that ends meanwhile fails the test."""
        def look():
            found = re.search(pattern, self.said)
            if not found and self.process.poll() is not None:
                self._reader.join(GIVE_UP_S)
                found = re.search(pattern, self.said)
                assert found, f"the plugin ended ({self.process.returncode}):\n{self.said}"
            return found
        try:
            return wait_for(look, f"{pattern!r} in the log")
        except AssertionError as error:
            raise AssertionError(f"{error}\nthe log:\n{self.said}") from None

    def connect(self):
        socket = self._context.socket(zmq.REQ)
        socket.linger = 0
        socket.rcvtimeo = socket.sndtimeo = int(1000 * GIVE_UP_S)
        socket.connect(self.address)
        self._sockets.append(socket)
        return socket

    def send(self, message):
        """Sends a message to the listening plugin and returns its answer."""
        if not self._sockets:
            self.connect()
        self._sockets[0].send(message)
        return self._sockets[0].recv()

    def log(self, name):
        return json.loads((self.log_dir / name).read_text())

    def stop(self, sig=signal.SIGTERM):
        """Ends it and returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        status = self.process.wait(GIVE_UP_S)
        self._reader.join(GIVE_UP_S)
        return status

    def close(self):
        for socket in self._sockets:
            socket.close()
        self._context.term()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(GIVE_UP_S)
        self.process.stderr.close()


@pytest.fixture
def plugin(tmp_path):
    """Starts plugins: plugin("--sensors", "sim"). All are gone when the test is over."""
    started = []

    def start(*args, log_dir=None, **keywords):
        p = Plugin(log_dir or tmp_path / "logs", *args, **keywords)
        started.append(p)
        return p

    yield start
    for p in started:
        p.close()
        # A sanitizer's report must never be overlooked.
        assert "Sanitizer" not in p.said, p.said


def run(*args, timeout=GIVE_UP_S, env=None, **keywords):
    """Runs `powermeasure ARGS` to its end."""
    clean = {k: v for k, v in os.environ.items()
             if not k.startswith(("TRAPS_", "POWER_MEASURING_", "POWERMEASURE_"))}
    return subprocess.run([str(POWERMEASURE), *[str(a) for a in args]], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=timeout,
                          env=dict(clean, **(env or {})), **keywords)


# ---- somebody else ---------------------------------------------------------------------------------

NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


@pytest.fixture
def public():
    """A directory that any user can reach, with the program in it: the checkout may lie where only its
    owner can."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="pm-public-"))
    path.chmod(0o755)
    shutil.copy(POWERMEASURE, path)
    (path / POWERMEASURE.name).chmod(0o755)
    yield path
    shutil.rmtree(path)


# ---- a machine whose name service hangs ------------------------------------------------------------

SLOW_RESOLVER = """
#include <netdb.h>
#include <unistd.h>

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
	struct addrinfo **ret)
{
	pause();
	return EAI_AGAIN;
}
"""


@pytest.fixture
def slow_resolver(tmp_path):
    """The environment of a program for which no name is ever looked up to the end."""
    if re.search(rb"__[at]san_init", POWERMEASURE.read_bytes()):
        pytest.skip("a sanitizer wants to be the first to be loaded")
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("no C compiler to build a slow resolver with")
    source, library = tmp_path / "slow_resolver.c", tmp_path / "slow_resolver.so"
    source.write_text(SLOW_RESOLVER)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return {"LD_PRELOAD": str(library)}


# ---- loads ---------------------------------------------------------------------------------------

BURN = """
import sys, time
duty, period = float(sys.argv[1]), 0.02
print("ready", flush=True)
while True:
    begun = time.perf_counter()
    while time.perf_counter() - begun < duty * period:
        pass
    if duty < 1:
        time.sleep((1 - duty) * period)
"""


class Load:
    """A process that is busy for a part of the time; told from others by its pid alone."""

    def __init__(self, duty=0.5, program=None, *args):
        # A path is a program that runs under its file's name.
        script = [str(program)] if isinstance(program, pathlib.Path) else ["-c", program or BURN]
        command = [sys.executable, *script, str(duty), *args]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE)
        self.pid = self.process.pid
        assert self.process.stdout.readline() == b"ready\n"

    def cpu_s(self):
        return time.clock_gettime(clock_of(self.pid))

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stdin.close()


def clock_of(pid):
    """The id of a process's CPU clock, as clock_getcpuclockid(3) makes it."""
    return (~pid << 3) | 2


@pytest.fixture
def load():
    started = []

    def start(*args, **keywords):
        one = Load(*args, **keywords)
        started.append(one)
        return one

    yield start
    for one in started:
        one.end()


# ---- simulated sensors ---------------------------------------------------------------------------


def sim_script(path, *domains):
    path.write_text(json.dumps({"domains": list(domains)}))
    return f"sim:{path}"


def sim_energy_j(curve, t_ns):
    """The energy of a curve [[seconds, watts], ...] from time 0 to t_ns, exactly as the simulated
    sensor counts it (in picojoules)."""
    segments = [(round(s * 1e9), round(w * 1e3)) for s, w in curve]
    period = sum(ns for ns, _ in segments)
    whole, rest = divmod(t_ns, period)
    pj = whole * sum(ns * mw for ns, mw in segments)
    for ns, mw in segments:
        part = min(ns, rest)
        pj += part * mw
        rest -= part
    return pj / 1e12


def records(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]


def threads_of(pid):
    """{thread name: thread id} of a process, without those that a sanitizer made for itself, which
    have the main thread's name."""
    result = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        if name not in result or int(task.name) == pid:
            result[name] = int(task.name)
    return result


def wakeups_of(pid):
    """How often the threads of a process have gone to sleep so far."""
    return sum(int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)",
                             pathlib.Path(f"/proc/{pid}/task/{tid}/status").read_text(),
                             re.M).group(1))
               for tid in threads_of(pid).values())
