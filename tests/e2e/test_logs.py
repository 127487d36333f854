# SPDX-License-Identifier: MIT
"""The logs: finished JSON whenever anybody looks, whatever happens."""

import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import time

import pytest

from conftest import GIVE_UP_S, PUBLISHED, run, start_event, stop_event, wait_for

SIM = ("--sensors", "sim")


def test_a_reader_at_1_khz_never_sees_an_invalid_file(plugin, load):
    p, one = plugin(*SIM, "--rate", "1000"), load(0.2)
    p.send(start_event([one.pid], [0], 3))
    path = p.log_dir / "CPU.json"
    reads = longest = 0
    until = time.monotonic() + GIVE_UP_S
    while "time is up" not in p.said and time.monotonic() < until:
        log = json.loads(path.read_text())  # raises on an invalid file
        assert len(log) >= longest
        longest = len(log)
        reads += 1
        time.sleep(0.001)
    # A busy machine makes fewer of both.
    assert reads > 30 and longest > 100


def test_kill_9_leaves_complete_files_and_the_next_run_continues_them(plugin, load):
    """The thousand kills are in tests/unit/sinks/test_jsonfile_trouble.c; here the whole program is killed."""
    seed = int(os.environ.get("PM_SEED", time.time_ns() % 2**32))
    print("PM_SEED", seed)
    chance = random.Random(seed)
    one = load(0.2)
    before = 0
    for _ in range(15):
        p = plugin(*SIM, "--rate", "200")
        p.send(start_event([one.pid], [0], 0))
        wait_for(lambda: len(p.log("CPU.json")) > before and p.log("GPU.json"), what="new lines")
        seen = len(p.log("CPU.json"))
        time.sleep(chance.uniform(0, 0.2))
        p.process.send_signal(signal.SIGKILL)
        p.process.wait()
        cpu, gpu = p.log("CPU.json"), p.log("GPU.json")
        assert len(cpu) >= seen
        assert list(cpu) == sorted(cpu)
        assert list(gpu) == sorted(gpu) and gpu
        assert not [f for f in os.listdir(p.log_dir) if "torn" in f]
        before = len(cpu)


def test_a_second_plugin_names_the_holder(plugin):
    p = plugin(*SIM)
    done = run("plugin", *SIM, "--log-dir", p.log_dir, "--listen", "tcp://127.0.0.1:*")
    assert done.returncode == 1
    assert f"powermeasure plugin, pid {p.pid} already writes its logs to" in done.stderr


@pytest.mark.parametrize("cut", ["middle of an entry", "closing bracket", "zeros"])
def test_a_torn_log_is_repaired_and_kept(plugin, load, tmp_path, cut):
    logs = tmp_path / "logs"
    logs.mkdir()
    whole = ('{"2023-08-25 05:50:59": [8.369286, "337263", "py}thon"], '
             '"2023-08-25 05:51:02": [8.153751, "337263", "python"]')
    torn = {"middle of an entry": whole[:-9], "closing bracket": whole,
            "zeros": whole + "\0" * 4096}[cut]
    (logs / "CPU.json").write_text(torn)
    p, one = plugin(*SIM), load(0.1)
    p.wait_said("CPU.json was torn: repaired to its last whole entry")
    p.send(start_event([one.pid], [1], 1))
    p.wait_said("time is up")
    log = p.log("CPU.json")
    assert list(log)[0] == "2023-08-25 05:50:59"
    assert len(log) == 2 + (1 if cut == "middle of an entry" else 2)
    assert (logs / "CPU.torn.json").read_text() == torn


def test_what_is_no_log_is_kept_aside(plugin, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "GPU.json").write_text("hello")
    p = plugin(*SIM)
    p.wait_said("GPU.json was no log of this kind: a new one begins")
    assert p.log("GPU.json") == {}
    assert (logs / "GPU.torn.json").read_text() == "hello"


def test_a_clock_far_behind_the_last_key_turns_the_file_over(plugin, load, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    old = '{"2099-01-01 00:00:00": [1.000000, "1", "x"]}'
    (logs / "CPU.json").write_text(old)
    p, one = plugin(*SIM), load(0.1)
    p.send(start_event([one.pid], [1], 1))
    p.wait_said("time is up")
    assert len(p.log("CPU.json")) == 2
    assert json.loads((logs / "CPU.2099-01-01 00:00:00.json").read_text()) == json.loads(old)


def test_log_max_turns_files_over(plugin, load):
    p, one = plugin(*SIM, "--log-max", "2K", "--rate", "100"), load(0.1)
    p.send(start_event([one.pid], [1], 2))
    p.wait_said("time is up")
    p.stop()
    files = [f for f in os.listdir(p.log_dir) if re.match(r"CPU\.2.*\.json", f)]
    assert len(files) >= 2
    lines = sum(len(p.log(f)) for f in files + ["CPU.json"])
    # A busy machine may miss ticks.
    assert 20 <= lines <= 200
    for f in files:
        assert list(p.log(f))[-1] in f


def test_sighup_begins_new_files_where_old_ones_were_moved(plugin, load):
    p, one = plugin(*SIM, "--rate", "20"), load(0.1)
    p.send(start_event([one.pid], [0], 0))
    wait_for(lambda: p.log("CPU.json"), what="a line")
    os.rename(p.log_dir / "CPU.json", p.log_dir / "old.json")
    p.process.send_signal(signal.SIGHUP)
    p.wait_said("opened again")
    wait_for(lambda: (p.log_dir / "CPU.json").exists() and p.log("CPU.json"), what="a new log")
    p.stop()
    assert set(p.log("old.json")).isdisjoint(p.log("CPU.json"))


def test_a_missing_directory_is_made(plugin, tmp_path):
    p = plugin(*SIM, log_dir=tmp_path / "a" / "b" / "c")
    assert p.log("CPU.json") == {} == p.log("GPU.json")


def test_a_directory_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("plugin", *SIM, "--log-dir", tmp_path / "file" / "logs")
    assert done.returncode == 1
    assert f"cannot make the log directory {tmp_path}/file/logs: Not a directory" in done.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A directory on a file system of 256 KiB."""
    path = tmp_path / "small"
    path.mkdir()
    if os.getuid() != 0 or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "none", path],
            stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no right to mount a small file system")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def fill(disk):
    filler = disk / "filler"
    try:
        with open(filler, "wb", buffering=0) as f:
            while True:
                f.write(b"x" * 4096)
    except OSError:
        pass
    return filler


def test_a_full_disk_delays_lines_and_loses_none(plugin, load, small_disk):
    p, one = plugin(*SIM, "--rate", "50", log_dir=small_disk / "logs"), load(0.1)
    p.send(start_event([one.pid], [1], 0))
    wait_for(lambda: p.log("CPU.json"), what="a line")
    filler = fill(small_disk)
    p.wait_said("No space left on device")
    frozen = len(p.log("CPU.json"))
    time.sleep(0.5)
    assert p.log("CPU.json")
    filler.unlink()
    p.wait_said("the logs are written again, 0 lines were lost")
    wait_for(lambda: len(p.log("CPU.json")) > frozen + 20, what="what had waited")
    p.send(stop_event([one.pid]))
    p.wait_said("stopped")
    # The keys tell that no time is missing: no two lines are much more than a tick apart.
    log = list(p.log("CPU.json"))
    assert p.stop() == 0
    assert len(log) == len(set(log))


def test_a_full_disk_at_the_start_is_an_error_that_says_so(small_disk, tmp_path):
    (small_disk / "logs").mkdir()
    fill(small_disk)
    done = run("plugin", *SIM, "--log-dir", small_disk / "logs")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr


def test_a_process_that_is_shorter_than_a_line_has_one(plugin, load):
    """Also where a quarter of a line's time has not passed."""
    p, one, two = plugin(*SIM, "--rate", "0.1"), load(0.5), load(0.5)
    assert p.send(start_event([one.pid, two.pid], [0], 0)) == PUBLISHED
    p.wait_said(rf"pid {two.pid} .*begins")
    one.end()
    p.wait_said(rf"pid {one.pid} .*the process ended")
    assert p.send(stop_event([two.pid])) == PUBLISHED
    p.wait_said(rf"pid {two.pid} .*stopped")
    assert sorted(pid for _, pid, _ in p.log("CPU.json").values()) == sorted(
        [str(one.pid), str(two.pid)])
    assert len(p.log("GPU.json")) == 1


@pytest.mark.parametrize("log_format, name", [("readme", "CPU.json"), ("camera-traps", "cpu.json")])
@pytest.mark.parametrize("moved", [False, True])
def test_a_log_directory_that_is_made_again_is_written_again(plugin, load, tmp_path, log_format, name,
                                                             moved):
    record = tmp_path / "logs" / "record.jsonl"
    p, one = plugin(*SIM, "--rate", "20", "--log-format", log_format, "--record", record), load(0.1)
    assert p.send(start_event([one.pid], [2 if log_format == "camera-traps" else 1], 0)) == PUBLISHED
    wait_for(lambda: p.log(name), what="the first line")
    if moved:
        (tmp_path / "logs").rename(tmp_path / "old")
    else:
        shutil.rmtree(tmp_path / "logs")
        p.wait_said(r"logs: No such file or directory: \d+ lines wait")
    (tmp_path / "logs").mkdir()
    wait_for(lambda: (p.log_dir / name).exists() and p.log(name), "lines in the new directory")
    if not moved:
        wait_for(lambda: record.exists() and record.stat().st_size, "the record")
        p.wait_said("the logs are written again, 0 lines were lost")
    done = run("plugin", *SIM, "--log-dir", p.log_dir, "--listen", "tcp://127.0.0.1:*")
    assert done.returncode == 1 and "already writes its logs" in done.stderr
    assert p.stop() == 0


def test_lines_that_wait_at_the_end_are_counted(plugin, load, small_disk, tmp_path):
    """On a disk that stays full the plugin ends, says how much is missing, and with 1."""
    record = tmp_path / "record.jsonl"
    p, one = plugin(*SIM, "--rate", "50", "--record", record, log_dir=small_disk / "logs"), load(0.1)
    p.send(start_event([one.pid], [1], 0))
    wait_for(lambda: p.log("CPU.json"), what="a line")
    fill(small_disk)
    p.wait_said("No space left on device")
    assert p.stop() == 1
    lost = int(re.search(r"logs: (\d+) lines lost: No space left on device", p.said).group(1))
    # As many as the record has ticks that the log has not; two that lie close together, for one of them
    # came late, are one line.
    ticks = {r["t_ns"] for r in map(json.loads, record.read_text().splitlines())
             if r.get("pid") == one.pid and r["kind"] == "cpu"}
    assert lost > 0 and 0.5 * len(ticks) <= len(p.log("CPU.json")) + lost <= len(ticks) + 2


# ---- what others put in a file's place ---------------------------------------------------------------


@pytest.mark.parametrize("name, log_format", [
    (".powermeasure.lock", "readme"), ("CPU.json", "readme"), ("sources.json", "readme"),
    ("system_measurements.csv", "camera-traps"), ("gpu.json", "camera-traps")])
@pytest.mark.parametrize("what", ["a FIFO", "a link", "a directory"])
def test_something_else_in_a_files_place(tmp_path, name, log_format, what):
    logs, victim = tmp_path / "logs", tmp_path / "victim"
    logs.mkdir()
    victim.write_text("mine")
    if what == "a FIFO":
        os.mkfifo(logs / name)
    elif what == "a link":
        (logs / name).symlink_to(victim)
    else:
        (logs / name).mkdir()
    done = run("plugin", *SIM, "--log-dir", logs, "--log-format", log_format, "--listen",
               "tcp://127.0.0.1:*", timeout=20)
    assert done.returncode == 1
    assert re.search(rf"{re.escape(str(logs / name))}: is (a symbolic link|not a regular file)|"
                     rf"{re.escape(str(logs / name))}: Is a directory",
                     done.stderr), done.stderr
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("name", ["metadata_x.json", "power_summary_report.json"])
def test_a_fifo_under_a_hidden_name_holds_nobody_up(plugin, load, name, tmp_path):
    (tmp_path / "logs").mkdir()
    os.mkfifo(tmp_path / "logs" / f".{name}.new")
    p, one = plugin(*SIM, "--log-format", "camera-traps"), load(0.1)
    p.send(start_event([one.pid], [2], 1))
    p.wait_said("time is up")
    assert p.stop() == 0
    assert p.log("power_summary_report.json")


def test_a_record_that_is_a_fifo_is_refused(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for command in (["plugin", "--log-dir", tmp_path / "logs", "--listen", "tcp://127.0.0.1:*"],
                    ["stat", "--all", "-d", "1"]):
        done = run(*command, *SIM, "--record", fifo, timeout=20)
        assert done.returncode == 1, done
        assert f"{fifo}: is not a regular file" in done.stderr


def test_another_users_lock_file(plugin, tmp_path):
    if os.getuid() != 0:
        pytest.skip("needs root to make another user's file")
    logs = tmp_path / "logs"
    logs.mkdir()
    lock = logs / ".powermeasure.lock"
    lock.write_text("somebody\n")
    lock.chmod(0o400)
    os.chown(lock, 65534, 65534)
    logs.chmod(0o1777)
    p = plugin(*SIM, log_dir=logs)
    assert p.stop() == 0


def test_a_limit_on_the_size_of_files_is_survived(plugin, load, tmp_path):
    """As on a full disk: SIGXFSZ does not end the program."""
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))}
    p, one = plugin(*SIM, "--rate", "100", run_as=limit), load(0.1)
    p.send(start_event([one.pid], [1], 0))
    p.wait_said("File too large")
    assert p.stop() == 1
    assert p.log("CPU.json")
    assert re.search(r"logs: \d+ lines lost: File too large", p.said)
    done = run("stat", *SIM, "-p", one.pid, "-I", "10", "-d", "2", "--record", tmp_path / "record",
               **limit)
    assert done.returncode >= 0 and "File too large" in done.stderr
    # A command has the signal as it was.
    done = run("run", *SIM, "--", "sh", "-c", "head -c 30000 /dev/zero >big; kill -l $?; exit 0",
               cwd=tmp_path, **limit)
    assert done.returncode == 0 and "XFSZ" in done.stdout


@pytest.fixture
def no_links(tmp_path):
    """A directory on a file system without hard links."""
    image, path = tmp_path / "image", tmp_path / "fat"
    path.mkdir()
    with open(image, "wb") as f:
        f.truncate(4 << 20)
    for command in (["mkfs.vfat", image], ["mount", "-o", "loop", image, path]):
        try:
            if os.getuid() != 0 or subprocess.run(
                    command, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL).returncode != 0:
                pytest.skip("no FAT file system can be made and mounted here")
        except FileNotFoundError:
            pytest.skip(f"no {command[0]}")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def test_without_hard_links_logs_are_written_in_place(plugin, load, no_links):
    p, one = plugin(*SIM, log_dir=no_links / "logs"), load(0.1)
    p.send(start_event([one.pid], [0], 2))
    p.wait_said("time is up")
    assert p.stop() == 0
    assert len(p.log("CPU.json")) == 4
    done = run("list", *SIM, "--log-dir", no_links / "logs")
    assert "no hard links on this file system: logs are written in place" in done.stdout


def test_names_are_escaped(plugin, tmp_path):
    script = ("import ctypes, sys\n"
              "ctypes.CDLL(None).prctl(15, b'a\"\\\\b\\xff\\n)', 0, 0, 0)\n"
              "print('ready', flush=True)\nsys.stdin.read()\n")
    child = subprocess.Popen(["/usr/bin/python3", "-c", script], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    child.stdout.readline()
    p = plugin(*SIM)
    p.send(start_event([child.pid], [1], 1))
    p.wait_said("time is up")
    child.communicate()
    assert {v[2] for v in p.log("CPU.json").values()} == {'a"\\b\ufffd\n)'}


def test_the_environment_says_where_logs_go(plugin, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    command = ["plugin", *SIM, "--listen", "nonsense"]
    run(*command, env={"HOME": str(home)})
    assert (home / "logs" / "CPU.json").exists()
    run(*command, env={"HOME": str(home), "TRAPS_POWER_LOG_PATH": str(tmp_path / "elsewhere")})
    assert (tmp_path / "elsewhere" / "CPU.json").exists()
    # No shell has looked at it.
    run(*command, env={"HOME": str(home), "TRAPS_POWER_LOG_PATH": "~/power"})
    assert (home / "power" / "CPU.json").exists()
    run(*command, env={"HOME": str(home), "TRAPS_POWER_LOG_PATH": "~"})
    assert (home / "CPU.json").exists()


def test_camera_traps_format(plugin, load, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "power_summary_report.json").write_text("stale")
    begun = time.monotonic()
    p = plugin(*SIM, "--log-format", "camera-traps", "--self-test", "--rate", "2")
    assert not (logs / "power_summary_report.json").exists()
    one, two = load(0.4), load(0.2)
    assert p.send(start_event([one.pid, two.pid], [1], 3)) == PUBLISHED  # 1: all, in its schema
    for pid in one.pid, two.pid:
        p.wait_said(rf"pid {pid} .*time is up")
    assert p.stop() == 0

    for name in "cpu.json", "gpu.json", "dram.json":
        for element in p.log(name):
            (key, pairs), = element.items()
            assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", key)
            for watts, pid in pairs:
                assert isinstance(watts, float) and isinstance(pid, str)
    cpu = p.log("cpu.json")
    # Six samples; a busy machine may leave one out, and one at the end may come close behind another.
    assert 5 <= sum(any(pid == str(one.pid) for _, pid in list(e.values())[0]) for e in cpu) <= 7
    gpu = [pair for e in p.log("gpu.json") for pair in list(e.values())[0]]
    assert {pid for _, pid in gpu} == {str(one.pid), str(two.pid), str(p.pid)}

    name, = [f for f in os.listdir(logs) if re.fullmatch(r"metadata_.*\.json", f)]
    metadata = p.log(name)
    assert set(metadata) == {"plugins", "other_processes", "tools", "start_time",
                             "last_update_time"}
    for plugin_entry in metadata["plugins"] + metadata["other_processes"]:
        assert set(plugin_entry) == {"name", "pids", "devices_measured", "command_line"}
        assert set(plugin_entry["devices_measured"]) == {"cpu", "gpu"}
    devices = metadata["tools"]["devices"]
    assert [d["device_type"] for d in devices] == ["cpu", "gpu"]
    assert {d["tool_name"] for d in devices} <= {"jtop", "powerjoular", "scaphandre", "nvidia-smi"}
    assert all("sim" in d["tool_params"] and d["power_units"] == "watts" for d in devices)

    report = p.log("power_summary_report.json")
    assert {"plugin power summary report", "pid power summary report"} <= set(report)
    # Two processes of no plugin that the readers know, and the plugin itself.
    assert [e["plugin"] for e in report["plugin power summary report"]] == ["power_monitor_plugin"]
    others = report["other power summary report"]
    assert len(others) == 1
    entries = {e["plugin"]: e for e in report["plugin power summary report"] + others}
    for entry in entries.values():
        assert entry["cpu_power_consumption"] > 0 and entry["gpu_power_consumption"] > 0
    pids = {e["pid"]: e for e in report["pid power summary report"]}
    assert set(pids) == {one.pid, two.pid, p.pid}
    together = pids[one.pid]["cpu_power_consumption"] + pids[two.pid]["cpu_power_consumption"]
    name = pids[one.pid]["plugin_name"]
    assert entries[name]["cpu_power_consumption"] == pytest.approx(together, abs=1e-5)

    rows = (logs / "system_measurements.csv").read_text().splitlines()
    assert rows[0] == ('"readable_time","cpu_percent","mem_total","mem_avail","mem_percent_used",'
                       '"disk_total","disk_free","disk_percent"')
    # One a second, and one at either end.
    assert 3 <= len(rows) - 1 <= time.monotonic() - begun + 2
    # Whole seconds, as its readers parse them.
    assert all(re.fullmatch(r'"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",("[^"]+",){6}"[^"]+"', row)
               for row in rows[1:]), rows


def test_camera_traps_numbers_are_never_null_nor_zero_for_the_cpu(plugin, load):
    p, one = plugin(*SIM, "--log-format", "camera-traps"), load(0.01)
    p.send(start_event([one.pid], [2], 0))  # 2: CPU, in its schema
    p.wait_said("begins")
    p.stop()  # at once
    report = p.log("power_summary_report.json")
    entry, = report["other power summary report"]
    assert entry["cpu_power_consumption"] > 0
    assert entry["gpu_power_consumption"] == 0
