# SPDX-License-Identifier: MIT
"""A machine with a simulated RAPL (sim/rapl-fs), on which the program and any other runs unchanged.

    with RaplFs({"name": "package-0", "curve": [[1, 20], [0.5, 60]]}) as fs:
        begun = fs.now_ns()
        fs.fault("eio", "intel-rapl:0", read=5, reads=2)
        done = fs.run("cat", "/sys/class/powercap/intel-rapl:0/energy_uj")
        joules = fs.used_j("intel-rapl:0", begun, fs.now_ns())

The zones are what sim/rapl-fs/script.h describes; what is wrong is in sim/rapl-fs/fault.h. Everything
is in a mount namespace of its own, which is gone with the object, or with the test that made it.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("PM_BUILD", TOP / "build-test"))
PROGRAM = BUILD / "sim" / "rapl-fs" / "rapl-fs"
STARTER = TOP / "sim" / "on-rapl-fs"

ENERGY = "/sys/class/powercap/{}/energy_uj"


class Unavailable(Exception):
    """There is no such machine here; the text is why."""


def why_not():
    """Why nothing can be mounted here, in a few words; None where it can."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write('{"zones": []}')
        file.flush()
        done = subprocess.run([str(STARTER), "--program", str(PROGRAM), file.name, "true"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, timeout=60)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        return "no FUSE mount: " + (said[-1] if said else f"status {done.returncode}")
    return None


def skip_module():
    """Skips a module of tests at once where no simulated RAPL can be had: to be called at its top."""
    if not PROGRAM.exists():
        pytest.skip("sim/rapl-fs is not built: libfuse3-dev was missing", allow_module_level=True)
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("no FUSE: /dev/fuse cannot be opened", allow_module_level=True)


_why = []


def require():
    """Skips the test where there is no simulated RAPL."""
    if not _why:
        _why.append(why_not())
    if _why[0]:
        pytest.skip(_why[0])


class RaplFs:
    def __init__(self, *zones, **script):
        """zones: dicts; script: the script's other members, as seed=7, update_ms=1000.0."""
        self.script = dict(script, zones=list(zones))
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(self.script, file)
            file.flush()
            # It says where it is, and ends when its input does: with this object or its process.
            self._holder = subprocess.Popen(
                [str(STARTER), "--program", str(PROGRAM), file.name,
                 "sh", "-c", 'echo "$$ $RAPL_FS"; exec cat'],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            line = self._holder.stdout.readline().split()
        if len(line) != 2:
            self._holder.communicate(timeout=60)
            raise Unavailable(f"on-rapl-fs ended with status {self._holder.returncode}; "
                              f"the script: {json.dumps(self.script)}")
        self._pid = int(line[0])
        self.inside = line[1]  # in the namespace
        self.root = pathlib.Path(f"/proc/{self._pid}/root{self.inside}")  # from here
        self.mounted_ns = self.status()["mounted_ns"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if not self._holder.stdin.closed:
            self._holder.stdin.close()
            self._holder.stdout.close()
            self._holder.wait(60)

    # ---- running ---------------------------------------------------------------------------

    def command(self, *argv):
        """The command line that runs argv on this machine. Its directory is the caller's."""
        enter = ["nsenter", "--target", str(self._pid), "--mount"]
        if os.geteuid() != 0:
            enter += ["--user", "--preserve-credentials"]
        return [*enter, f"--wd={os.getcwd()}", "--", "env", f"RAPL_FS={self.inside}",
                *(str(a) for a in argv)]

    def run(self, *argv, timeout=120, **keywords):
        """Runs a program on this machine to its end."""
        return subprocess.run(self.command(*argv), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=timeout, **keywords)

    def start(self, *argv, **keywords):
        return subprocess.Popen(self.command(*argv), text=True, **keywords)

    # ---- what is there ---------------------------------------------------------------------

    def path(self, zone, file="energy_uj"):
        """A zone's file, from outside of the namespace."""
        return self.root / "sys" / "class" / "powercap" / zone / file

    def read_uj(self, zone):
        return int(self.path(zone).read_text())

    @staticmethod
    def now_ns():
        return time.monotonic_ns()

    def truth(self, t_ns):
        """What is true at a time: {"zones": {"intel-rapl:0": {"pj", "count"}}, "loads": [...]}."""
        return json.loads((self.root / "truth" / str(t_ns)).read_text())

    def used_j(self, zone, from_ns, to_ns):
        """The energy that a zone really used between two times."""
        return (self.truth(to_ns)["zones"][zone]["pj"] -
                self.truth(from_ns)["zones"][zone]["pj"]) / 1e12

    def status(self):
        return json.loads((self.root / "ctl" / "status").read_text())

    # ---- what goes wrong -------------------------------------------------------------------

    def _write(self, file, line):
        descriptor = os.open(self.root / "ctl" / file, os.O_WRONLY)
        try:
            os.write(descriptor, line.encode())
        except OSError as error:
            raise ValueError(f"ctl/{file}: {line!r}: {error.strerror}; "
                             f"{self.status()['refused']}") from None
        finally:
            os.close(descriptor)

    def fault(self, kind, zone="all", **values):
        """Lets a zone fail: fault("jump", "intel-rapl:0", at=1.5, to=0). for is a word of Python's:
        write lasts=SECONDS."""
        if "lasts" in values:
            values["for"] = values.pop("lasts")
        self._write(kind, " ".join([zone, *(f"{k}={v}" for k, v in values.items())]))

    def back(self, zone="all"):
        """Lets a zone that vanished come back."""
        self._write("back", zone)

    def clear(self, zone="all"):
        """Ends all that is wrong with a zone."""
        self._write("clear", zone)

    def load(self, pid, watts):
        """From here on a second of CPU time of this process, and of what it starts, costs so much."""
        self._write("load", f"{pid} {watts}")
