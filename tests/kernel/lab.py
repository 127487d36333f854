# SPDX-License-Identifier: MIT
"""Starts a real kernel in an emulated machine, runs a script there as root and brings back what it
left: the layers between the program and the registers are those of a real machine."""

import io
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from initramfs import Initramfs  # noqa: E402
from kernels import Kernel, Unavailable  # noqa: E402

QEMU = "qemu-system-x86_64"

# Drivers that every machine gets, in this order.
DRIVERS = ("rapl", "intel_rapl_msr", "msr")

# For the page that machine.asl shows.
ACPI_APPEND = "memmap=64K$0x10000000"

# Modules that a script may load besides.
EXTRA = ("acpi_power_meter", "battery", "ac", "i2c-stub")

# (program, Debian's package)
TOOLS = (("setcap", "libcap2-bin"), ("getcap", "libcap2-bin"), ("capsh", "libcap2-bin"),
         ("kmod", "kmod"), ("unshare", "util-linux"), ("setpriv", "util-linux"))
KMOD_NAMES = ("modprobe", "insmod", "rmmod", "lsmod", "depmod")

PASSWD = "root:x:0:0:root:/root:/bin/sh\ntester:x:1000:1000:tester:/home/tester:/bin/sh\n"
GROUP = "root:x:0:\nvideo:x:44:\npower:x:900:\ntester:x:1000:\n"

LAST_LINES = 40


class Died(Exception):
    """The virtual machine did not come to its end; the text has its last lines."""


class Curve:
    """The true energy: /proc/energy_history and lines of /proc/energy."""

    def __init__(self, history):
        self.changes = {}
        for line in history.splitlines():
            name, t_ns, nj, mw = line.split()
            self.changes.setdefault(name, []).append((int(t_ns), int(nj), int(mw)))

    def energy_j(self, name, t_ns):
        """A counter's energy since the start, at a time by CLOCK_MONOTONIC."""
        at = self.changes[name][0]
        for change in self.changes[name]:
            if change[0] > t_ns:
                break
            at = change
        return (at[1] + (t_ns - at[0]) * at[2] / 1000) / 1e9

    def between_j(self, name, from_ns, to_ns):
        return self.energy_j(name, to_ns) - self.energy_j(name, from_ns)


class Result:
    """What a script left. `files` is a directory."""

    def __init__(self, files, console, seconds):
        self.files, self.console, self.seconds = files, console, seconds
        self.status = int(self.text("status"))
        self.curve = Curve(self.text("history"))

    def text(self, name):
        return (self.files / name).read_text(errors="replace")

    def now_ns(self, name):
        """When a file of /proc/energy's lines was written."""
        return int(self.text(name).split()[1])


class Machine:
    """How the virtual machine is made."""

    def __init__(self, kernel="6.1", cpu="Skylake-Client", energy="", drivers=DRIVERS, cpus=2,
                 sockets=1, append="", acpi=(), timeout_s=240):
        self.kernel, self.cpu, self.energy, self.drivers = kernel, cpu, energy, drivers
        self.cpus, self.sockets, self.append = cpus, sockets, append
        self.acpi = [HERE / table for table in acpi]
        self.timeout_s = timeout_s

    def qemu(self, kernel, initrd, answer, tables):
        command = [
            QEMU, "-accel", "tcg", "-machine", "q35", "-cpu", f"{self.cpu},-hypervisor,check=off",
            "-smp", f"{self.cpus},sockets={self.sockets},cores={self.cpus // self.sockets},threads=1",
            "-m", "768", "-nodefaults", "-display", "none", "-no-reboot", "-no-user-config",
            "-kernel", str(kernel.image), "-initrd", str(initrd),
            "-append", f"console=ttyS0 quiet panic=-1 mitigations=off {self.append}"
            + (f" {ACPI_APPEND}" if tables else ""),
            "-serial", "stdio", "-serial", f"file:{answer}"]
        for table in tables:
            command += ["-acpitable", f"file={table}"]
        return command


def programs_of(build):
    """What the scripts find in their PATH: (file, path there)."""
    return [(build / "src" / "powermeasure", "usr/bin/powermeasure"),
            (build / "tests" / "fake" / "burn", "usr/bin/burn"),
            (build / "tests" / "fake" / "children", "usr/bin/children")]


def base(kernel, programs):
    """What all scripts have: tools, the program, modules."""
    image = Initramfs()
    busybox = shutil.which("busybox")
    if not busybox:
        raise Unavailable("busybox is not installed: sudo apt-get install busybox-static")
    image.program(busybox, "bin/busybox")
    image.link("bin/sh", "busybox")
    for name in ("dev", "proc", "sys", "tmp", "run", "results", "usr/bin", "usr/sbin", "sbin"):
        image.directory(name)
    image.directory("home/tester", 0o777)
    image.directory("root", 0o700)
    image.data("etc/passwd", PASSWD.encode())
    image.data("etc/group", GROUP.encode())
    for name, package in TOOLS:
        image.tool(name, package)
    kmod = shutil.which("kmod", path="/usr/bin:/bin")
    for name in KMOD_NAMES:
        image.link(f"usr/sbin/{name}", kmod)
    for source, path in programs:
        image.program(source, path)
    for path in kernel.module_files(DRIVERS + EXTRA):
        image.file(kernel.root / path, path)
    for listing in kernel.modules.glob("modules.*"):
        image.file(listing, f"lib/modules/{kernel.release}/{listing.name}")
    image.file(kernel.energy_module(), "lab/energy.ko")
    image.file(HERE / "functions", "lab/functions")
    image.file(HERE / "init", "init")
    return image


def run(machine, script, build, results):
    """Runs a script's text; `results` is the directory for what it leaves."""
    if not shutil.which(QEMU):
        raise Unavailable(f"{QEMU} is not installed: sudo apt-get install qemu-system-x86")
    kernel = Kernel(machine.kernel, build)
    image = base(kernel, programs_of(build))
    image.data("lab/script", script.encode())
    image.data("lab/settings", (f"energy_parameters='{machine.energy}'\n"
                                f"modules='{' '.join(machine.drivers)}'\n").encode())
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        (directory / "initrd").write_bytes(image.archive())
        answer = directory / "answer"
        tables = [compile_table(source, directory) for source in machine.acpi]
        began = time.monotonic()
        console = watch(machine.qemu(kernel, directory / "initrd", answer, tables),
                        machine.timeout_s)
        packed = answer.read_bytes() if answer.exists() else b""
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
            for member in archive:
                if member.isreg():
                    path = results / pathlib.Path(member.name).name
                    path.write_bytes(archive.extractfile(member).read())
        return Result(results, console, time.monotonic() - began)
    except (tarfile.TarError, EOFError, OSError) as failed:
        raise Died(f"the machine left no results ({failed}); its last lines:\n"
                   f"{last_lines(console)}") from None


def last_lines(console):
    return "\n".join(console.splitlines()[-LAST_LINES:])


def watch(command, timeout_s):
    """Runs QEMU and returns what its console showed."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    try:
        out, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
        raise Died(f"the machine was stopped after {timeout_s} s; its last lines:\n"
                   f"{last_lines(out.decode(errors='replace'))}") from None
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return re.sub(r"\r", "", out.decode(errors="replace"))


def compile_table(source, directory):
    """An ACPI table from its source."""
    table = directory / (pathlib.Path(source).stem + ".aml")
    if not shutil.which("iasl"):
        raise Unavailable("iasl is not installed: sudo apt-get install acpica-tools")
    done = subprocess.run(["iasl", "-p", str(table.with_suffix("")), str(source)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"iasl {source}:\n{done.stdout}")
    return table
