# SPDX-License-Identifier: MIT
"""powermeasure run: a command and all that it starts."""

import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

from conftest import AS_NOBODY, BUILD, GIVE_UP_S, NOBODY, POWERMEASURE, TOP, run, sim_script, wait_for

SIM = ("--sensors", "sim")
EXACT = {"unit": [1, 1], "update_ms": 1, "stamped": True}
CHILDREN = BUILD / "tests" / "fake" / "children"
NOBODY = 65534
PERFMON = "cap_38"  # by number: setpriv before 2.37 does not know the name
KINDS = ("cpu", "dram", "gpu")
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def public(public):
    """With the program that has children, too."""
    shutil.copy(CHILDREN, public)
    (public / CHILDREN.name).chmod(0o755)
    return public


@pytest.fixture(params=["as oneself", "as nobody"])
def measured(request, public, tmp_path):
    """Runs a command and returns (process, report); by root, and by a user without any right."""
    prefix = []
    if request.param == "as nobody":
        if not IS_ROOT:
            pytest.skip("only root can become somebody else")
        prefix = AS_NOBODY

    def measure(*command, options=SIM, **keywords):
        report = tempfile.NamedTemporaryFile(dir=public, suffix=".json", delete=False)
        report.close()
        os.chmod(report.name, 0o666)
        done = subprocess.run(
            [*prefix, str(public / "powermeasure"), "run", *map(str, options), "--json", "-o",
             report.name, "--", *map(str, command)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=GIVE_UP_S, cwd="/",
            **keywords)
        text = pathlib.Path(report.name).read_text()
        return done, json.loads(text) if text else None

    measure.children = public / "children"
    measure.prefix = prefix
    measure.public = public
    return measure


def check_sums(figures):
    """Command, idle, other and tool are what the counted domains have, exactly."""
    for kind in KINDS:
        whole = [d["energy_j"] for d in figures["domains"] if d["kind"] == kind and d["counted"]]
        parts = [figures["command_energy_j"][kind], figures["idle_energy_j"][kind],
                 figures["other_energy_j"][kind], figures["tool"]["energy_j"][kind]]
        micro = [round(x * 1e6) for x in parts if x is not None]
        if whole and None not in whole:
            assert sum(micro) == sum(round(x * 1e6) for x in whole), (kind, figures)
        elif not whole:
            assert micro == [] and figures["other_energy_j"][kind] is None
    total = figures["machine_energy_j"]
    assert total["low_j"] <= total["energy_j"] <= total["high_j"]


# ---- the command is itself -----------------------------------------------------------------------


@pytest.mark.parametrize("command, status", [
    ("exit 0", 0), ("exit 1", 1), ("exit 3", 3), ("exit 255", 255), ("exit 125", 125),
    ("kill -KILL $$", 137), ("kill -TERM $$", 143), ("kill -SEGV $$", 139), ("kill -INT $$", 130),
])
def test_exit_status(measured, command, status):
    done, report = measured("sh", "-c", command)
    assert done.returncode == status, done.stderr
    assert report["exit_status"] == status


def test_what_cannot_be_executed(measured, tmp_path):
    done, report = measured("/no/such/command")
    assert done.returncode == 127 and b"there is no such command" in done.stderr
    done, report = measured("no-such-command-anywhere", env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 127 and b"no-such-command-anywhere" in done.stderr
    done, report = measured("/etc/passwd")
    assert done.returncode == 126 and b"/etc/passwd: cannot be executed" in done.stderr
    done, report = measured("/")
    assert done.returncode == 126
    assert report is None


@pytest.mark.parametrize("arguments, said", [
    ([], "the command is missing"),
    (["--nonsense", "true"], "--nonsense"),
    (["-r", "0", "true"], "-r: not a whole number from 1 to 100000: '0'"),
    (["-I", "x", "true"], "-I: not a whole number of milliseconds from 1 to 86400000: 'x'"),
    (["--units", "0", "true"], "--units"),
    (["--units-regex", "(", "true"], "--units-regex"),
    (["--units", "2", "--units-regex", "x", "true"], "--units and --units-regex cannot be used together"),
    (["--cooldown", "-1", "true"], "--cooldown"),
    (["--sensors", "nonsense", "true"], "nonsense"),
    (["-o", "/no/such/place/report", "true"], "/no/such/place/report"),
    (["--user", "nobody-of-that-name", "true"], "nobody-of-that-name"),
    (["--root", "/no/such/root", "true"], "/no/such/root"),
])
def test_what_was_not_run(arguments, said, tmp_path):
    """It is said before the command runs, not after."""
    mark = tmp_path / "ran"
    arguments = [str(mark) if x == "true" else x for x in arguments]
    mark.write_text("#!/bin/sh\ntouch \"$0.done\"\n")
    mark.chmod(0o755)
    first = [] if "--sensors" in arguments else SIM
    done = run("run", *first, *arguments)
    assert done.returncode == 125 and said in done.stderr, done.stderr
    assert not (tmp_path / "ran.done").exists()


SHOW = """
import os, resource, signal, sys
status = dict(line.split(':', 1) for line in open('/proc/self/status') if ':' in line)
print([status[k].strip() for k in ('SigBlk', 'SigIgn', 'SigCgt', 'Umask', 'CapInh', 'CapAmb',
                                   'CapEff', 'Uid', 'Gid', 'Groups', 'NoNewPrivs')])
print(sorted(os.listdir('/proc/self/fd')), os.getcwd(), os.getpgrp() == os.getpid())
print(sorted(os.environ.items()), os.nice(0), resource.getrlimit(resource.RLIMIT_NOFILE))
sys.stdout.buffer.write(sys.stdin.buffer.read())
sys.stderr.write('an error')
"""


def test_nothing_of_the_command_is_touched(measured):
    program = ["/usr/bin/python3", "-c", SHOW]
    given = bytes(range(256)) * 1000
    bare = subprocess.run([*measured.prefix, *program], input=given, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, cwd="/")
    done, _ = measured(*program, input=given)
    # Where phases can be marked is all that it is told.
    more = rb"\('POWERMEASURE_PHASES', '/dev/shm/powermeasure-phases\.\w{6}'\), "
    assert re.sub(more, b"", done.stdout) == bare.stdout
    assert done.stderr == bare.stderr == b"an error"


def test_signals_that_were_ignored_stay_so(measured):
    """Whoever starts it with SIGCHLD ignored gets a command that has it ignored, and a status."""
    def ignore():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    done, report = measured("sh", "-c", "grep SigIgn /proc/self/status; exit 4",
                            preexec_fn=ignore, start_new_session=True)
    assert done.returncode == 4
    ignored = int(done.stdout.split()[1], 16)
    assert ignored >> (signal.SIGHUP - 1) & 1


@pytest.mark.skipif(not IS_ROOT, reason="only root can hand on rights")
def test_rights_to_read_sensors_do_not_reach_the_command(public):
    done = subprocess.run(
        [*AS_NOBODY,
         f"--inh-caps=+{PERFMON},+sys_rawio", f"--ambient-caps=+{PERFMON},+sys_rawio",
         str(public / "powermeasure"), "run", *SIM, "--", "grep", "Cap", "/proc/self/status"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/")
    if done.returncode == 1 and b"setpriv" in done.stderr:
        pytest.skip("rights cannot be handed on here")
    rights = dict(line.split() for line in done.stdout.decode().splitlines())
    assert int(rights["CapEff:"], 16) == int(rights["CapPrm:"], 16) == 0
    assert int(rights["CapAmb:"], 16) == 0


@pytest.mark.skipif(not IS_ROOT, reason="only root can become somebody else")
def test_user(public):
    show = ["sh", "-c", "id -u; id -G; echo $HOME $USER; cat /proc/self/cgroup >/dev/null"]
    done = subprocess.run([str(public / "powermeasure"), "run", *SIM, "--user", "nobody", "--", *show],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    uid, groups, rest = done.stdout.splitlines()
    assert int(uid) == NOBODY and rest.endswith("nobody")
    refused = subprocess.run(
        [*AS_NOBODY,
         str(public / "powermeasure"), "run", *SIM, "--user", "root", "--", "true"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/")
    assert refused.returncode == 125 and "only root" in refused.stderr


def test_signals_reach_the_command(tmp_path):
    ready = tmp_path / "ready"
    script = f"trap 'echo told; exit 7' TERM; trap '' HUP; touch {ready}; while :; do sleep 0.01; done"
    process = subprocess.Popen([str(POWERMEASURE), "run", *SIM, "--", "sh", "-c", script],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(ready.exists)
    process.send_signal(signal.SIGHUP)  # which it ignores: so it goes on
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=GIVE_UP_S)
    assert process.returncode == 7 and out == "told\n" and "exit status 7" in err


def test_a_command_that_ignores_signals_is_waited_for(tmp_path):
    ready, go = tmp_path / "ready", tmp_path / "go"
    script = f"trap '' TERM INT; touch {ready}; while ! [ -e {go} ]; do sleep 0.01; done; exit 9"
    process = subprocess.Popen([str(POWERMEASURE), "run", *SIM, "--", "sh", "-c", script],
                               stderr=subprocess.PIPE, text=True)
    wait_for(ready.exists)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    go.touch()
    assert process.communicate(timeout=GIVE_UP_S)[1].count("exit status 9") == 1
    assert process.returncode == 9


def test_ctrl_c_reaches_the_command_and_the_report_still_comes(tmp_path):
    ready = tmp_path / "ready"
    script = f"trap 'echo told; exit 5' INT; touch {ready}; while :; do sleep 0.01; done"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(POWERMEASURE, [str(POWERMEASURE), "run", *SIM, "--", "sh", "-c", script])
    wait_for(ready.exists)
    os.write(terminal, b"\x03")
    said = b""
    while True:
        if not select.select([terminal], [], [], GIVE_UP_S)[0]:
            raise AssertionError(said)
        try:
            part = os.read(terminal, 65536)
        except OSError:  # as a terminal tells that nobody is there any more
            break
        if not part:
            break
        said += part
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    os.close(terminal)
    own, report = said.split(b"sh -c trap")
    assert own.count(b"told") == 1 and report.count(b"exit status 5") == 1


# ---- energy --------------------------------------------------------------------------------------


def test_json_is_as_its_schema_says(measured):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((TOP / "docs" / "run.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    done, report = measured("sh", "-c", "echo 3 images", options=[
        *SIM, "-r", "2", "-w", "1", "-I", "5", "--units-regex", "([0-9]+) images"])
    assert done.stdout == b"3 images\n" * 3
    jsonschema.validate(report, schema)
    assert len(report["runs"]) == 2
    assert report["units"]["count"] == 6
    for figures in [report, *report["runs"]]:
        check_sums(figures)
    assert report["command_energy_j"]["gpu"] is None
    done, report = measured("true", options=["--sensors", "estimate"])
    jsonschema.validate(report, schema)
    check_sums(report)
    assert [x["quality"] for x in report["domains"] if x["kind"] == "cpu"] == ["estimated"]
    assert report["other_energy_j"]["gpu"] is None
    assert any("estimate" in x for x in report["warnings"])


def test_energy_follows_from_cpu_time(measured, tmp_path):
    script = sim_script(measured.public / "flat.json",
                        {"name": "package-0", "kind": "cpu", "curve": [[1, 40.0]], **EXACT})
    done, report = measured(measured.children, 50, 20000, "wait", options=["--sensors", script])
    n_cpu = os.sysconf("SC_NPROCESSORS_ONLN")
    cpu_s, elapsed_s = float(done.stdout), report["elapsed_s"]
    # What it took to start, too, it does not see itself: about as much as doing nothing else takes.
    start_s = 0.01 + 2 * measured(measured.children, 1, 1, "wait")[1]["command_cpu_s"]
    assert cpu_s * 0.999 <= report["command_cpu_s"] <= cpu_s * 1.01 + start_s
    assert report["machine_energy_j"]["energy_j"] == pytest.approx(40 * elapsed_s, rel=0.01)
    assert report["command_energy_j"]["cpu"] == pytest.approx(
        40 * report["command_cpu_s"] / n_cpu, rel=0.01)
    ends = report["command_energy_range_j"]["cpu"]
    assert ends["low_j"] <= 40 * report["command_cpu_s"] / n_cpu <= ends["high_j"]
    check_sums(report)


@pytest.mark.parametrize("mode, least", [("wait", 0.999), ("orphan", 0.999), ("ignore", 0.95)])
def test_short_children_are_counted(measured, mode, least):
    """10,000 children of at most 2 ms; all but those that nobody waits for exactly (for these,
    only a control group of one's own is exact)."""
    n = 10000 if mode == "wait" else 2000
    done, report = measured(measured.children, n, 200, mode)
    used_s = float(done.stdout)
    assert report["command_cpu_s"] >= least * used_s, (report["command_cpu_s"], used_s)


def test_what_is_left_behind_is_named(measured):
    done, report = measured("sh", "-c", "sleep 300 >/dev/null 2>&1 & echo $!")
    left = int(done.stdout)
    try:
        named = [x for x in report["warnings"] if f"pid {left} (" in x]
        assert done.returncode == 0 and len(named) == 1, report["warnings"]
    finally:
        os.kill(left, signal.SIGKILL)


def test_a_daemon_is_counted_until_the_end(measured):
    """It leaves its session and its parent, and burns while the command goes on."""
    daemon = ("import os, time\n"
              "read, write = os.pipe()\n"
              "if os.fork() == 0:\n"
              "    os.setsid()\n"
              "    if os.fork() == 0:\n"
              "        for fd in range(3): os.close(fd)\n"
              "        while time.process_time() < 0.3: pass\n"
              "    os._exit(0)\n"
              "os.wait()\n"
              "os.close(write)\n"
              "os.read(read, 1)\n")  # until it has ended
    done, report = measured("/usr/bin/python3", "-c", daemon)
    assert done.returncode == 0
    assert report["command_cpu_s"] >= 0.3


def test_closed_descriptors():
    done = subprocess.run(["sh", "-c", f"{POWERMEASURE} run {' '.join(SIM)} -- sh -c 'exit 6' 0<&- 1>&- "
                                       "2>&-"], timeout=GIVE_UP_S)
    assert done.returncode == 6
    done = run("run", *SIM, "--", "sh", "-c", "exec 0<&- 1>&- 2>&-; exit 8")
    assert done.returncode == 8 and "exit status 8" in done.stderr


# ---- repetition ----------------------------------------------------------------------------------


def test_repetition(tmp_path):
    count = tmp_path / "count"
    script = f"cat; echo x >>{count}; [ $(wc -l <{count}) -ne 3 ]"
    done = run("run", *SIM, "-r", "5", "--", "sh", "-c", script, input="given\n")
    assert done.returncode == 1 and done.stdout == "given\n"
    assert count.read_text() == "x\n" * 3
    assert "3 runs" in done.stderr and "run 3 failed with status 1" in done.stderr
    count.unlink()
    done = run("run", *SIM, "-r", "5", "-i", "-w", "1", "--json", "--", "sh", "-c", script, input="")
    report = json.loads(done.stderr)
    assert done.returncode == 1 and len(report["runs"]) == 5
    assert [x["exit_status"] for x in report["runs"]] == [0, 1, 0, 0, 0]
    spread = report["statistics"]["elapsed_s"]
    each = sorted(x["elapsed_s"] for x in report["runs"])
    assert spread["min"] == pytest.approx(each[0], abs=2e-6)
    assert spread["max"] == pytest.approx(each[-1], abs=2e-6)
    assert spread["median"] == pytest.approx(each[2], abs=2e-6)
    assert spread["mean"] == pytest.approx(sum(each) / 5, abs=2e-6)
    assert report["elapsed_s"] == pytest.approx(sum(each), abs=1e-5)
    for kind in ("cpu", "dram"):
        assert report["command_energy_j"][kind] == pytest.approx(
            sum(x["command_energy_j"][kind] for x in report["runs"]), abs=1e-9)


def test_before_and_after(tmp_path):
    log = tmp_path / "log"
    done = run("run", *SIM, "-r", "2", "--pre", f"echo pre >>{log}", "--post", f"echo post >>{log}",
               "--cooldown", "0.01", "--", "sh", "-c", f"echo run >>{log}")
    assert done.returncode == 0
    assert log.read_text().split() == ["pre", "run", "post"] * 2
    done = run("run", *SIM, "--pre", "exit 3", "--", "touch", tmp_path / "ran")
    assert done.returncode == 125 and "--pre" in done.stderr
    assert not (tmp_path / "ran").exists()
    # What was measured before something failed is told.
    done = run("run", *SIM, "--post", "exit 3", "-r", "2", "-o", tmp_path / "report", "--",
               "sh", "-c", "exit 0")
    assert done.returncode == 125 and "--post" in done.stderr
    assert "exit status 0" in (tmp_path / "report").read_text()


def test_units():
    done = run("run", *SIM, "--units", "4", "--", "sleep", "0.1")
    assert re.search(r"^4 units: .* J for the machine", done.stderr, re.M)
    done = run("run", *SIM, "--units-regex", "nothing", "--json", "--", "echo", "something")
    report = json.loads(done.stderr)
    assert report["units"] is None
    assert any("nothing that matches" in x for x in report["warnings"])
    done = run("run", *SIM, "--units-regex", "img", "--json", "--", "printf", "img img\nimg no newline")
    assert done.stdout == "img img\nimg no newline"
    assert json.loads(done.stderr)["units"]["count"] == 3


def test_interval_rows():
    done = run("run", *SIM, "-I", "100", "--json", "--", "sleep", "0.55")
    report = json.loads(done.stderr)
    rows = report["runs"][0]["intervals"]
    assert 5 <= len(rows) <= 6
    assert sum(x["interval_s"] for x in rows) == pytest.approx(report["elapsed_s"], abs=1e-4)
    assert [x["end_s"] for x in rows] == sorted(x["end_s"] for x in rows)
    text = run("run", *SIM, "-I", "100", "--", "sleep", "0.35").stderr
    assert re.search(r"^ +s +CPU W +command", text, re.M)
    assert len(re.findall(r"^ +0\.\d{3} ", text, re.M)) >= 3


def test_too_short_for_a_slow_counter(tmp_path):
    script = sim_script(tmp_path / "slow.json", {"name": "package-0", "kind": "cpu",
                                                 "curve": [[1, 40.0]], "update_ms": 500})
    done = run("run", "--sensors", script, "--json", "-I", "20", "--", "sleep", "0.05")
    said = " ".join(json.loads(done.stderr)["warnings"])
    assert "too short" in said or "no energy is known" in said
    assert "faster than" in said or "no energy is known" in said


def test_help():
    assert "usage: powermeasure run" in run("run", "--help").stdout


def test_the_report_on_standard_output():
    """It follows the command's own output."""
    done = run("run", *SIM, "-o", "-", "--", "echo", "hello")
    assert done.returncode == 0 and done.stdout.startswith("hello\n\necho hello\n"), done
    assert "command, CPU: " in done.stdout and done.stderr == ""
    done = run("run", *SIM, "--json", "-o", "-", "--export-csv", "/dev/stderr", "--", "true")
    assert json.loads(done.stdout)["exit_status"] == 0 and done.stderr.startswith("name,command,")


@pytest.mark.skipif(not IS_ROOT, reason="only root can make such a file")
def test_a_set_user_id_file_gives_nobody_a_right(public):
    """Neither as another user nor in what goes before and after."""
    program = public / "set-user-id"
    shutil.copy(POWERMEASURE, program)
    program.chmod(0o4755)
    nobody = [*AS_NOBODY, str(program), "run", *SIM]
    done = subprocess.run([*nobody, "--user", "root", "--", "id"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, cwd="/")
    assert done.returncode == 125 and "only root" in done.stderr and done.stdout == ""
    done = subprocess.run([*nobody, "--pre", "id -u", "--", "id", "-u"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, cwd="/")
    assert done.stdout.split() == [str(NOBODY)] * 2, done


@pytest.mark.skipif(not IS_ROOT, reason="only root can hand on rights")
def test_rights_to_read_sensors_do_not_reach_what_goes_before(public):
    done = subprocess.run(
        [*AS_NOBODY,
         f"--inh-caps=+{PERFMON}", f"--ambient-caps=+{PERFMON}", str(public / "powermeasure"),
         "run", *SIM, "--pre", "grep CapEff /proc/self/status", "--", "true"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/")
    if done.returncode == 1 and "setpriv" in done.stderr:
        pytest.skip("rights cannot be handed on here")
    assert int(done.stdout.split()[1], 16) == 0


def test_a_terminal_that_is_hung_up(tmp_path):
    """Only the leader of the session is told, which is the tool: it hands it on."""
    ready, told = tmp_path / "ready", tmp_path / "told"
    script = f"trap 'touch {told}; exit 5' HUP; touch {ready}; while :; do sleep 0.01; done"
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # below nohup it is ignored
        os.execv(POWERMEASURE, [str(POWERMEASURE), "run", *SIM, "-o", str(tmp_path / "report"), "--",
                                "sh", "-c", script])
    wait_for(ready.exists)
    os.close(terminal)
    wait_for(told.exists)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    assert "exit status 5" in (tmp_path / "report").read_text()


def test_an_alarm_set_before_reaches_the_command():
    """As of `perl -e 'alarm 1; exec @ARGV' COMMAND`: the time is the process's, exec keeps it."""
    done = run("run", *SIM, "--", "sleep", "30",
               preexec_fn=lambda: signal.setitimer(signal.ITIMER_REAL, 0.3))
    assert done.returncode == 128 + signal.SIGALRM and "exit status 142" in done.stderr


@pytest.mark.parametrize("where", ["pre", "run", "cooldown", "post"])
def test_a_signal_ends_all_runs(tmp_path, where):
    """Also with -i, and whatever goes on at the moment: what was measured is told."""
    ready, count = tmp_path / "ready", tmp_path / "count"
    wait = f"if [ -e {count} ]; then touch {ready}; sleep 0.5; fi"
    options = {"pre": ["--pre", wait], "post": ["--post", wait], "cooldown": ["--cooldown", "30"],
               "run": []}[where]
    script = f"echo x >>{count}"
    if where == "run":
        script += f"; trap 'exit 0' TERM; touch {ready}; while :; do sleep 0.01; done"
    process = subprocess.Popen([str(POWERMEASURE), "run", *SIM, "-i", "-r", "50", *options, "--",
                                "sh", "-c", script], stderr=subprocess.PIPE, text=True)
    wait_for(count.exists if where == "cooldown" else ready.exists)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=GIVE_UP_S)[1]
    assert process.returncode in (125, 143), said
    assert len(count.read_text().split()) <= 2
    assert "CPU time" in said and ("a signal ended it" in said or "failed (signal 15)" in said)


def test_ctrl_c_before_the_command_began(tmp_path):
    """The command was not there to be told by the terminal: it does not run at all."""
    mark, ready = tmp_path / "ran", tmp_path / "ready"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(POWERMEASURE, [
            str(POWERMEASURE), "run", *SIM, "--pre", f"trap '' INT; touch {ready}; sleep 0.5", "--",
            "touch", str(mark)])
    wait_for(ready.exists)
    os.write(terminal, b"\x03")
    said = b""
    try:
        while part := os.read(terminal, 65536):
            said += part
    except OSError:
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130, said
    os.close(terminal)
    assert not mark.exists()


def test_children_from_before_are_not_the_commands(measured):
    """Whoever started it may have had children, which are the tool's when it was executed."""
    prefix, program = measured.prefix, measured.public / "powermeasure"
    before = ("import os, subprocess, sys, time\n"
              "pid = os.fork()\n"
              "if pid == 0:\n"
              "    for fd in range(3): os.close(fd)\n"
              "    while time.process_time() < 0.3: pass\n"
              "    time.sleep(30)\n"
              "    os._exit(0)\n"
              "while time.clock_gettime(~pid << 3 | 2) < 0.3: time.sleep(0.01)\n"
              "print(pid, flush=True)\n"
              "os.execv(sys.argv[1], sys.argv[1:])\n")
    done = subprocess.run([*prefix, "/usr/bin/python3", "-c", before, str(program), "run", *SIM,
                           "--json", "--", "true"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          cwd="/")
    os.kill(int(done.stdout), signal.SIGKILL)
    report = json.loads(done.stderr)
    assert report["command_cpu_s"] < 0.2
    assert not any("left pid" in x for x in report["warnings"])


def test_daemons_of_the_run_before_are_not_counted_again(measured):
    done, report = measured("sh", "-c", "sleep 30 >/dev/null 2>&1 & echo $!",
                            options=[*SIM, "-r", "3"])
    pids = list(map(int, done.stdout.split()))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid, one in zip(pids, report["runs"]):
        named = [x for x in one["warnings"] if "left pid" in x]
        assert len(named) == 1 and f"pid {pid} (" in named[0], one["warnings"]


def test_many_left_behind_are_told(measured):
    done, report = measured("sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; "
                                        "do sleep 30 >/dev/null 2>&1 & echo $!; done")
    for pid in done.stdout.split():
        os.kill(int(pid), signal.SIGKILL)
    assert sum("the command left pid" in x for x in report["warnings"]) == 16
    assert any("left 4 more processes" in x for x in report["warnings"])


def own_groups():
    return [str(x) for x in pathlib.Path("/sys/fs/cgroup").glob("**/powermeasure-*")]


@pytest.mark.skipif(not IS_ROOT, reason="only root can make groups")
def test_a_group_whose_maker_was_killed_is_removed_by_the_next_run(tmp_path):
    ready = tmp_path / "ready"
    process = subprocess.Popen([str(POWERMEASURE), "run", *SIM, "--", "sh", "-c",
                                f"echo $$ >{ready}.1; mv {ready}.1 {ready}; exec sleep 30"])
    wait_for(ready.exists)
    mine = [x for x in own_groups() if x.endswith(f"-{process.pid}")]
    process.kill()
    process.wait()
    os.kill(int(ready.read_text()), signal.SIGKILL)
    if not mine:
        pytest.skip("no group can be made here")

    def is_removed():
        assert run("run", *SIM, "--", "true").returncode == 0
        return not pathlib.Path(mine[0]).exists()
    wait_for(is_removed)


def test_output_that_is_read_slowly(tmp_path):
    """The tool does not hang where nobody reads, and loses nothing where somebody does at last."""
    process = subprocess.Popen([str(POWERMEASURE), "run", *SIM, "--units-regex", "y", "-o",
                                str(tmp_path / "report"), "--", "yes"], stdout=subprocess.PIPE)
    process.stdout.read(10)
    process.send_signal(signal.SIGTERM)  # it waits for room in the pipe by now
    assert process.wait(GIVE_UP_S) == 143
    process.stdout.close()
    assert "exit status 143" in (tmp_path / "report").read_text()
    given = os.urandom(1 << 20)
    (tmp_path / "given").write_bytes(given)
    read, write = os.pipe()
    os.set_blocking(write, False)  # as somebody before may have left it
    process = subprocess.Popen([str(POWERMEASURE), "run", *SIM, "--units-regex", "y", "-o",
                                str(tmp_path / "report"), "--", "cat", str(tmp_path / "given")],
                               stdout=write)
    os.close(write)
    got = b""
    while part := os.read(read, 8192):
        got += part
    os.close(read)
    assert process.wait(GIVE_UP_S) == 0 and got == given


def test_what_was_left_behind_may_write_on(tmp_path):
    done = run("run", *SIM, "--units-regex", "y", "--json", "-o", tmp_path / "report", "--",
               "sh", "-c", "yes & echo $! >&2", timeout=GIVE_UP_S)
    assert done.returncode == 0 and "units" in json.loads((tmp_path / "report").read_text())


@pytest.mark.parametrize("pattern, text, count", [
    ("$", "a\nb\n", 2), ("^", "a\nb\nc", 3), ("x", "xx\nx", 3), ("x*", "xx\n", 2),
    ("loss ([^ ]+)", "loss nan\nloss inf\nloss 2.5\nloss x\n", 2.5),
    ("([0-9.e+]+) tokens", "1e300 tokens\n", 1e300),
    ("([0-9]+)?b", "3b b\n", 3),
])
def test_what_counts_as_a_unit(pattern, text, count):
    done = run("run", *SIM, "--units-regex", pattern, "--json", "--", "printf", text)
    assert done.stdout == text
    assert json.loads(done.stderr)["units"]["count"] == pytest.approx(count)


def test_many_small_units():
    report = json.loads(run("run", *SIM, "--units", "1000000000", "--json", "--", "true").stderr)
    assert report["units"]["machine_energy_j"] == pytest.approx(
        report["machine_energy_j"]["energy_j"] / 1e9, rel=1e-6)


def test_a_report_that_cannot_be_written_is_told():
    for options in ([], ["-I", "10"], ["--json"]):
        done = run("run", *SIM, *options, "-o", "/dev/full", "--", "sh", "-c", "sleep 0.05; exit 4")
        assert done.returncode == 4
        assert "/dev/full cannot be written: No space left" in done.stderr


def test_descriptors_that_were_closed_stay_so(tmp_path):
    """They do not become what the tool opens first, and the command does not get them."""
    report = tmp_path / "report"
    show = "import os; os.write(3, ' '.join(os.listdir('/proc/self/fd')).encode())"
    done = subprocess.run(
        ["sh", "-c", f"{POWERMEASURE} run {' '.join(SIM)} -o {report} -r 2 -- /usr/bin/python3 -c "
                     f"\"$SHOW\" 3>{tmp_path}/seen 0<&- 1>&- 2>&-"],
        env=dict(os.environ, SHOW=show), timeout=GIVE_UP_S)
    assert done.returncode == 0
    seen = (tmp_path / "seen").read_text()
    assert report.read_text().startswith("\n/usr/bin/python3"), report.read_text()
    assert "3" in seen.split()


def test_a_command_that_stops_itself(tmp_path):
    ready = tmp_path / "ready"
    process = subprocess.Popen([str(POWERMEASURE), "run", *SIM, "--", "sh", "-c",
                                f"echo $$ >{ready}.1; mv {ready}.1 {ready}; kill -STOP $$; exit 4"])
    wait_for(ready.exists)
    pid = int(ready.read_text())
    wait_for(lambda: ") T " in pathlib.Path(f"/proc/{pid}/stat").read_text())
    assert process.poll() is None
    os.kill(pid, signal.SIGCONT)
    assert process.wait(GIVE_UP_S) == 4


def test_no_run_was_measured():
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((TOP / "docs" / "run.schema.json").read_text())
    done = run("run", *SIM, "-w", "1", "--json", "--", "sh", "-c", "exit 3")
    report = json.loads(done.stderr)
    assert done.returncode == 3 and report["runs"] == []
    jsonschema.validate(report, schema)


def test_parts_above_their_whole_are_flagged(measured, tmp_path):
    """A platform that tells less than its own package: both are shown as read, and it is said."""
    def script(watts):
        return sim_script(measured.public / "parts.json",
                          {"name": "psys", "kind": "platform", "curve": [[1, 10.0]], **EXACT},
                          {"name": "package-0", "kind": "cpu", "parent": "psys",
                           "curve": [[1, watts]], **EXACT})

    done, report = measured("sleep", "0.2", options=["--sensors", script(20.0)])
    said = [x for x in report["warnings"] if "its parts" in x]
    assert len(said) == 1 and "sim psys reports less (" in said[0]
    energy_j = {x["name"]: x["energy_j"] for x in report["domains"]}
    assert energy_j["package-0"] == pytest.approx(2 * energy_j["psys"], rel=0.1)
    assert report["machine_energy_j"]["domains"] == ["psys"]
    listed = run("list", "--sensors", script(20.0))
    assert "sim psys reports less (10.0 W) than its parts (20.0 W); " in listed.stdout
    done, report = measured("sleep", "0.2", options=["--sensors", script(9.0)])
    assert not any("its parts" in x for x in report["warnings"])


def test_a_busy_machine_is_said_once(measured, load):
    """Each run says it with its own figure; the report has the worst."""
    load(0.9)
    done, report = measured("sleep", "0.5", options=[*SIM, "-r", "3"])
    said = [x for x in report["warnings"] if "not idle" in x]
    assert len(said) == 1 and said[0].endswith("CPUs busy at worst")
    own = [x for one in report["runs"] for x in one["warnings"] if "not idle" in x]
    assert len(own) == 3 and said[0][:-len(" at worst")] in own
