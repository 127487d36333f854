# SPDX-License-Identifier: MIT
"""powermeasure top in a terminal: tmux plays it, in several sizes and kinds; what stands in it is read,
keys are pressed, it is resized. Nothing waits for a time: the screen is looked at until it is so."""

import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import tempfile

import pytest

from conftest import POWERMEASURE, wait_for
from fakenvml import fake_nvml, gpu  # noqa: F401 (a fixture)

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="there is no tmux")

SIM = "--sensors sim"
SIZES = [(80, 24), (132, 50), (40, 12)]

# The shell around it tells how it ended, and what it made of the terminal.
AROUND = """
trap : INT
{first}
stty -a >{folder}/before
{environment} {program} top {arguments}
{then}
echo "left $?" >{folder}/status
stty -a >{folder}/after
echo back
exec cat
"""


class Terminal:
    def __init__(self, arguments=SIM, size=(80, 24), environment="LC_ALL=C.UTF-8",
                 first="", then=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pm-top-"))
        script = self.folder / "around.sh"
        script.write_text(AROUND.format(folder=self.folder, program=shlex.quote(str(POWERMEASURE)),
                                        environment=f"env {environment}", arguments=arguments,
                                        first=first, then=then.format(folder=self.folder)))
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", size[0], "-y", size[1],
                  f"sh {script}")

    def tmux(self, *args):
        done = subprocess.run(["tmux", "-u", "-S", str(self.folder / "socket"), *map(str, args)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def lines(self):
        return self.tmux("capture-pane", "-p").split("\n")[:-1]

    def text(self):
        return "\n".join(self.lines())

    def coloured(self):
        return self.tmux("capture-pane", "-p", "-e")

    def press(self, *keys):
        self.tmux("send-keys", *keys)

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def wait(self, pattern):
        """Until the screen matches."""
        try:
            return wait_for(lambda: re.search(pattern, self.text(), re.M), repr(pattern))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()}") from None

    def wait_not(self, pattern):
        try:
            wait_for(lambda: not re.search(pattern, self.text(), re.M), what=f"no {pattern!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()}") from None

    def measured(self):
        """The first figures are there."""
        return self.wait(r"^machine +[\d.]+ W")

    def resize(self, columns, lines):
        self.tmux("resize-window", "-x", columns, "-y", lines)

    def pid(self):
        shell = int(self.tmux("list-panes", "-F", "#{pane_pid}"))
        return int(wait_for(pathlib.Path(f"/proc/{shell}/task/{shell}/children").read_text).split()[0])

    def check_left(self, status=0):
        """It has ended, and the terminal is as it was."""
        left = wait_for(lambda: (self.folder / "after").exists() and
                        (self.folder / "after").read_text() and
                        (self.folder / "status").read_text(), "the end of it")
        assert left == f"left {status}\n", self.text()
        assert (self.folder / "after").read_text() == (self.folder / "before").read_text()
        wait_for(lambda: "back" in self.text())
        assert self.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").split() == ["0", "1"]

    def close(self):
        subprocess.run(["tmux", "-S", str(self.folder / "socket"), "kill-server"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.folder)


@pytest.fixture
def terminal():
    started = []

    def start(*args, **keywords):
        started.append(Terminal(*args, **keywords))
        return started[-1]

    yield start
    for one in started:
        one.close()


def table(lines):
    """The rows below the head: [[pid, ...], ...]."""
    at = next((i for i, line in enumerate(lines) if re.search(r"PID.*CPU%.*W.*NAME", line)), None)
    if at is None:
        return []
    return [line.split() for line in lines[at + 1:-1] if line.strip()]


def check_screen(one, size):
    lines = one.lines()
    assert len(lines) == size[1] and all(len(line) <= size[0] for line in lines), one.text()
    assert re.match(r"(powermeasure )?top  tool \d+\.\d\d % [\d.]+ W  every 1 s", lines[0])
    assert re.match(r"\d+ CPUs \d+ %  proc(esses)? [\d.]+  idle [\d.]+", lines[1])
    assert lines[-1].startswith("F1 Help  q Quit")
    rows = table(lines)
    # In a container there may be but a few.
    there_are = sum(x.isdigit() for x in os.listdir("/proc"))
    assert len(rows) >= min(size[1] // 2 - 2, there_are * 3 // 4), one.text()
    column = 4 - (size[0] < 60) - 1
    watts = [float(row[column]) for row in rows]
    assert watts == sorted(watts, reverse=True) and watts[0] > 0, one.text()
    return lines


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("environment", [
    "LC_ALL=C.UTF-8 TERM=screen-256color",
    "LC_ALL=C.UTF-8 TERM=screen-256color NO_COLOR=1",
    "LC_ALL=C TERM=vt100",
    "LC_ALL=C.UTF-8 TERM=linux",
])
def test_screen(terminal, load, size, environment):
    load(0.4)
    one = terminal(size=size, environment=environment)
    one.measured()
    lines = check_screen(one, size)
    machine = next(x for x in lines if x.startswith("machine"))
    # The two refreshes of it that there are at most, or more where all is slow.
    wait_for(lambda: re.search(r"[▁-█#*]" if "screen" in environment else r"[_.:=+*#-]{2}$", one.text(), re.M))
    has_blocks = re.search(r"[▁-█]", one.text())
    assert bool(has_blocks) == ("screen" in environment), one.text()
    assert ("SIMULATED" if size[0] >= 60 else "SIM") in machine
    assert "package-0" in one.text() and "gpu-0" in one.text()
    colours = re.findall(r"\033\[[\d;]*3[0-7]m", one.coloured())
    assert bool(colours) == ("NO_COLOR" not in environment and "vt100" not in environment)
    one.press("q")
    one.check_left()


def test_the_terminal_s_size_and_not_an_exported_one(terminal):
    one = terminal(size=(60, 16), environment="LC_ALL=C.UTF-8 LINES=24 COLUMNS=80")
    one.measured()
    for size in [(60, 16), (100, 30), (60, 16)]:
        one.resize(*size)
        wait_for(lambda: is_whole(one.lines(), size), f"a screen of {size}")
    one.press("q")
    one.check_left()


def is_whole(lines, size):
    return (len(lines) == size[1] and all(len(line) <= size[0] for line in lines) and
            re.match("(powermeasure )?top  tool", lines[0]) and lines[-1].startswith("F1 Help") and
            len(table(lines)) > 0)


def test_resizing(terminal):
    one = terminal()
    one.measured()
    for size in [(132, 50), (40, 12), (40, 10), (200, 60), (80, 24)]:
        one.resize(*size)
        wait_for(lambda: is_whole(one.lines(), size), what=f"a screen of {size}")
    for size in [(10, 3), (1, 1), (19, 40), (300, 4)]:
        one.resize(*size)
        # There is room for one figure at most; and it goes on when there is more.
        wait_for(lambda: len(one.lines()) == size[1] and "F1" not in one.text() and
                 (size == (1, 1) or re.match(r"\d", one.text())), what=f"a figure in {size}")
    one.resize(80, 24)
    one.wait("^F1 Help  q Quit")
    check_screen(one, (80, 24))
    one.press("F10")
    one.check_left()


def test_keys(terminal, load):
    load(0.3)
    one = terminal(f"{SIM} -d 0.5")
    one.measured()
    one.wait(r"\*W +J")
    for key, said in [("F6", r"\*CPU%"), (">", r"\*J "), ("<", r"\*CPU%"), ("I", r"\^CPU%"),
                      ("I", r"\*CPU%"), ("N", r"\*PID"), ("J", r"\*J "), ("W", r"\*W ")]:
        one.press(key)
        one.wait(said)
    one.press("N")
    one.wait(r"\*PID")
    # A process that went between two pictures changes nothing of the order.
    pids = [int(x[0]) for x in table(one.lines())]
    assert pids == sorted(pids)
    for key, back in [("F1", "x"), ("?", "q"), ("h", "Escape")]:
        one.press(key)
        one.wait("any key: back")
        assert "sort by watts, CPU%, joules, pid" in one.text()
        one.press(back)
        one.wait("^F1 Help")
    one.press("+")
    one.wait("every 1 s")
    one.press("-", "-")
    one.wait("every 0.25 s")
    one.press("d")
    one.wait("^Refresh every")
    one.type("0.75")
    one.press("Enter")
    one.wait("every 0.75 s")
    one.press("d")
    one.type("none")
    one.press("Enter")
    one.wait("not 0.25 to 3600 seconds")
    one.wait("every 0.75 s")
    one.press("q")
    one.check_left()


def test_filter_search_and_scroll(terminal, load):
    names = [load(0.1).pid for _ in range(3)]
    one = terminal(f"{SIM} -d 0.5 --sort pid", size=(80, 12))
    one.measured()
    first = table(one.lines())
    one.press("End")
    wait_for(lambda: table(one.lines())[0] != first[0])
    one.press("Home")
    wait_for(lambda: table(one.lines())[0][0] == first[0][0])
    one.press("NPage", "NPage")
    wait_for(lambda: table(one.lines())[0][0] != first[0][0])
    one.press("PPage", "PPage")
    wait_for(lambda: table(one.lines())[0][0] == first[0][0])
    one.press("F4")
    one.wait("^Filter by name:")
    one.type("PYTHON")
    wait_for(lambda: table(one.lines()) and
             all("python" in x[-1].lower() for x in table(one.lines())), one.text())
    one.press("Enter")
    one.wait(r"\[name: PYTHON\]")
    one.press("\\")
    one.type("no such name")
    wait_for(lambda: not table(one.lines()))
    one.press("Escape")
    one.wait_not(r"\[name")
    one.press("u")
    one.wait("^Filter by user:")
    one.type("nobody-here")
    wait_for(lambda: not table(one.lines()))
    one.press("Escape")
    wait_for(lambda: table(one.lines()))
    one.press("/")
    one.type("no such name")
    one.press("Enter")
    one.wait('no "no such name"')
    one.press("F3")
    one.type("python")
    one.press("Enter")
    one.wait_not("no such name")
    wait_for(lambda: re.search(r"\033\[7m +\d+ .*python", one.coloured()), what="the row that was found")
    assert names
    one.press("q")
    one.check_left()


def test_pause_and_reset(terminal, load):
    pid = load(0.4).pid
    one = terminal(f"{SIM} -d 0.25 -p {pid}")
    one.measured()
    wait_for(lambda: table(one.lines()) and float(table(one.lines())[0][4]) > 3)
    one.press("Space")
    one.wait("PAUSED")
    frozen = one.lines()
    one.press("Down")
    wait_for(lambda: one.lines()[2:-1] == frozen[2:-1])
    one.press("r")
    wait_for(lambda: table(one.lines())[0][4] == "0")
    one.press("p")
    one.wait_not("PAUSED")
    wait_for(lambda: float(table(one.lines())[0][4]) > 0)
    one.press("q")
    one.check_left()


@pytest.mark.parametrize("how", ["C-c", signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_the_terminal_is_given_back(terminal, how):
    one = terminal()
    one.measured()
    if isinstance(how, str):
        one.press(how)
    else:
        os.kill(one.pid(), how)
    one.check_left()


def test_it_ends_after_so_many(terminal):
    one = terminal(f"{SIM} -n 2 -d 0.3")
    one.check_left()


def test_what_is_not_known_says_why(terminal):
    one = terminal("--sensors estimate -d 0.5")
    one.measured()
    assert "ESTIMATED" in next(x for x in one.lines() if x.startswith("machine"))
    one.wait(r"^GPU +n/a +nvml: ")
    one.press("q")
    one.check_left()


def test_gpus_and_who_uses_them(terminal, load, fake_nvml):  # noqa: F811
    pid = load(0.1).pid
    fake = fake_nvml(gpu(200, utilization=[80, 0], processes=[{"pid": pid, "sm": 30}]))
    environment = " ".join(f"{k}={v}" for k, v in fake.env.items())
    one = terminal("--sensors nvml -d 0.5", environment=f"LC_ALL=C.UTF-8 {environment}")
    one.wait(rf"\({pid}\) 30 %")
    one.wait(r"^GPU .* 200 W measured")
    one.wait(rf"^ +{pid} .* 60\.\d ")
    one.press("q")
    one.check_left()


def test_it_can_be_stopped_and_continued(terminal):
    """With Ctrl-Z and fg: the terminal is the shell's meanwhile."""
    one = terminal(first="set -m", then="stty -a >{folder}/stopped; echo stopped; read -r line; fg")
    one.measured()
    one.press("C-z")
    one.wait("^stopped")
    assert one.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").split() == ["0", "1"]
    assert (one.folder / "stopped").read_text() == (one.folder / "before").read_text()
    one.press("Enter")
    one.wait("^F1 Help  q Quit")
    one.press("+")
    one.wait("every 2 s")
    one.press("q")
    one.check_left()


def test_no_sensor_at_all(terminal):
    one = terminal("--sensors rapl-msr --root /nonexistent -d 0.5")
    one.check_left(1)
    two = terminal("--sensors jetson -d 0.5")
    two.wait("machine +n/a")
    two.wait(r"^CPU +n/a +")
    assert table(two.lines())[0][3] == "n/a"
    two.press("q")
    two.check_left()


def test_a_terminal_that_cannot_be_drawn_on(terminal):
    for term in ("dumb", "no-such-terminal", ""):
        one = terminal(environment=f"TERM={term}")
        one.check_left(1)
        assert "use --once" in one.text().replace("\n", "")
