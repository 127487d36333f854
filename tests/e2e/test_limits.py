# SPDX-License-Identifier: MIT
"""Whatever ends a command has said why: descriptors that are used up, memory, directories, ports."""

import os
import re
import resource
import signal
import socket
import subprocess

import pytest

from conftest import GIVE_UP_S, POWERMEASURE, build_option, wait_for

MOST = 128

# What the dynamic loader says where not even the program's libraries can be opened.
LOADER = "error while loading shared libraries"

COMMANDS = {
    "run": (["run", "--sensors", "sim", "true"], 125),
    "stat": (["stat", "--sensors", "sim", "-a", "-d", "0.01", "-I", "0"], 1),
    "stat --tree": (["stat", "--sensors", "sim", "-p", "PID", "--tree", "-d", "0.01", "-I", "0"], 1),
    "top": (["top", "--sensors", "sim", "--once", "-d", "0.25"], 1),
    "list": (["list", "--sensors", "sim"], 1),
    "doctor": (["doctor", "--sensors", "sim"], 1),
    "send": (["send", "stop", "--pid", "PID", "--to", "ENDPOINT"], 1),
    "plugin": (["plugin", "--sensors", "sim", "--listen", "tcp://127.0.0.1:*", "--log-dir", "DIR"], 1),
}


class Ended:
    def __init__(self, args, limit, directory, held=()):
        """Runs it with at most `limit` descriptors, of which it inherits `held`. A plugin is told to end
        as soon as it listens."""
        places = {"PID": str(os.getpid()), "DIR": str(directory / "logs"),
                  "ENDPOINT": f"ipc://{directory}/nobody"}
        self.command = [str(POWERMEASURE), *(places.get(a, a) for a in args)]
        self.limit = limit
        said = directory / "said"
        with open(said, "wb") as err:
            process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, pass_fds=held,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
        try:
            if args[0] == "plugin":
                wait_for(lambda: process.poll() is not None or b"listening at" in said.read_bytes(),
                         f"the end or the beginning of {self.command} with {limit} descriptors")
                process.send_signal(signal.SIGTERM)
            self.status = process.wait(GIVE_UP_S)
        finally:
            process.kill()
            process.wait()
        self.said = said.read_text()

    def __str__(self):
        return f"{self.command} with {self.limit} descriptors: status {self.status}\n{self.said}"


def works(done, args):
    # Nobody listens where the event is sent to: that it was tried is all that is wanted.
    return done.status == 0 or (args[0] == "send" and "no answer" in done.said)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_number_of_descriptors_works_or_is_told(name, tmp_path):
    args, failed = COMMANDS[name]
    for limit in range(3, MOST):
        done = Ended(args, limit, tmp_path)
        if done.status == 127 and LOADER in done.said and limit < 8:
            continue
        if works(done, args):
            assert limit > 3
            return
        assert done.status == failed, done
        assert "Too many open files; fix: ulimit -n 1024" in done.said, done
    pytest.fail(f"{name} does not work with {MOST} descriptors")


@pytest.mark.parametrize("name", ["run", "stat --tree", "top", "list", "plugin"])
def test_descriptors_that_were_inherited_count(name, tmp_path):
    """The limit is high enough; what is left of it is not."""
    args, failed = COMMANDS[name]
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(60)]
    try:
        limit = max(held) + 1 + 6
        done = Ended(args, limit, tmp_path, held)
        # Of those below the limit, only what is not held can be opened.
        free = limit - len(held) - 3
        assert free < 24, "this test's own descriptors are too many"
        assert done.status == failed and "Too many open files" in done.said, done
    finally:
        for fd in held:
            os.close(fd)


def end(*args, **keywords):
    return subprocess.run([str(POWERMEASURE), *map(str, args)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          universal_newlines=True, timeout=GIVE_UP_S, **keywords)


def test_a_plugin_says_why_its_directory_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    done = end("plugin", "--sensors", "sim", "--log-dir", tmp_path / "file" / "logs")
    assert done.returncode == 1
    assert re.search(r"ERROR: .*/file/logs: Not a directory", done.stderr), done.stderr


def test_a_plugin_says_why_its_port_cannot_be_used(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        done = end("plugin", "--sensors", "sim", "--log-dir", tmp_path / "logs", "--listen", address)
    assert done.returncode == 1
    assert re.search(rf"ERROR: .*{re.escape(address)}.*Address already in use", done.stderr), done.stderr


def test_a_plugin_says_why_it_has_no_thread(tmp_path):
    """No room for a thread's stack, while the program itself fits."""
    if build_option("b_sanitize") not in ("none", []):
        pytest.skip("sanitizers need terabytes of addresses")
    said = []
    for megabytes in range(8, 64):
        size = megabytes << 20
        done = end("plugin", "--sensors", "sim", "--log-dir", tmp_path / "logs", "--listen", "tcp://127.0.0.1:*",
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)))
        if LOADER in done.stderr:
            continue
        said.append(done.stderr)
        assert done.returncode == 1, f"{megabytes} MiB: {done.returncode}\n{done.stderr}"
        assert re.search(r"ERROR: .*(Cannot allocate memory|Resource temporarily unavailable|out of memory)",
                         done.stderr), f"{megabytes} MiB:\n{done.stderr}"
        return
    pytest.fail(f"the program never began: {said}")
