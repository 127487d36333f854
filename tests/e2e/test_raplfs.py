# SPDX-License-Identifier: MIT
"""The simulated RAPL itself (sim/rapl-fs): what is read is what is true, and faults do as asked."""

import errno
import os
import subprocess
import sys
import time

import pytest

from conftest import sim_energy_j
from raplfs import PROGRAM, STARTER, RaplFs, require, skip_module

skip_module()

CURVE = [[0.1, 20.0], [0.05, 60.0], [0.03, 5.5]]
PACKAGE = {"name": "package-0", "curve": CURVE}
ZONE = "intel-rapl:0"


@pytest.fixture
def machine():
    require()
    opened = []

    def make(*zones, **script):
        opened.append(RaplFs(*zones, **script))
        return opened[-1]

    yield make
    for fs in opened:
        fs.close()


def shown_uj(count, esu=14):
    """As the kernel's driver makes microjoules of a count."""
    return count * (10 ** 9 >> esu) // 1000


def read_error(fd):
    """The name of the error that a read at the beginning gives, or None."""
    try:
        os.pread(fd, 64, 0)
    except OSError as error:
        return errno.errorcode[error.errno]
    return None


# ---- the truth -----------------------------------------------------------------------------------


def test_the_truth_is_the_curve(machine):
    fs = machine(PACKAGE)
    for t_ns in (0, 1, 99_999_999, 100_000_000, 180_000_000, 1_234_567_891):
        assert fs.truth(t_ns)["zones"][ZONE]["pj"] == round(sim_energy_j(CURVE, t_ns) * 1e12), t_ns
    # A float holds no more digits than that of what was used since the machine began.
    t_ns = fs.now_ns()
    assert fs.truth(t_ns)["zones"][ZONE]["pj"] / 1e12 == \
        pytest.approx(sim_energy_j(CURVE, t_ns), rel=1e-14)


@pytest.mark.parametrize("esu", [0, 3, 10, 14, 16, 20])
def test_without_steps_a_read_lies_between_the_truths_around_it(machine, esu):
    fs = machine(dict(PACKAGE, esu=esu, start=1000, update_ms=0))
    for _ in range(20):
        before = fs.truth(fs.now_ns())["zones"][ZONE]["count"]
        read = fs.read_uj(ZONE)
        after = fs.truth(fs.now_ns())["zones"][ZONE]["count"]
        assert shown_uj(before, esu) <= read <= shown_uj(after, esu), fs.script


@pytest.mark.parametrize("update_ms", [1.0, 10.0, 100.0])
def test_a_value_is_that_of_the_last_update(machine, update_ms):
    jitter_us = update_ms * 100
    fs = machine(dict(PACKAGE, curve=[[1, 20000.0]], start=0), update_ms=update_ms,
                 jitter_us=jitter_us, seed=5)
    begun, seen, steps = fs.now_ns(), [], []
    while len(seen) < 10:
        t_ns = fs.now_ns()
        count = fs.truth(t_ns)["zones"][ZONE]["count"]
        if not seen or count != seen[-1]:
            seen.append(count)
            steps.append(t_ns)
        assert fs.now_ns() - begun < 60e9, "the counter stands still"
    # The count tells the energy, and this when it was so much; it began at the update before mounting.
    updates = [fs.mounted_ns / 1e9 + c / 2 ** 14 / 20000 for c in seen]
    for update, seen_ns in zip(updates, steps):
        assert update <= seen_ns / 1e9 + update_ms / 1e3 + 2 * jitter_us / 1e6, fs.script
    for gap in [b - a for a, b in zip(updates, updates[1:])]:
        periods = round(gap * 1e3 / update_ms)
        assert periods >= 1
        assert abs(gap * 1e3 - periods * update_ms) <= 2 * jitter_us / 1e3 + 1e-3, fs.script


def test_the_same_seed_gives_the_same_updates(machine):
    zone = dict(PACKAGE, start=0)
    same = [machine(zone, update_ms=50.0, jitter_us=20000, seed=seed) for seed in (9, 9, 10)]

    def steps(fs, from_ns):
        """What the count grew by, at 200 moments of 5 ms."""
        counts = [fs.truth(from_ns + i * 5_000_000)["zones"][ZONE]["count"] for i in range(200)]
        return [(b - a) % 2 ** 32 for a, b in zip(counts, counts[1:])]

    from_ns = 10 ** 12
    assert steps(same[0], from_ns) == steps(same[1], from_ns)
    assert steps(same[0], from_ns) != steps(same[2], from_ns)


def test_the_register_starts_again(machine):
    fs = machine(dict(PACKAGE, curve=[[1, 1000.0]], start=2 ** 32 - 2 ** 14 * 100))
    range_uj = int(fs.path(ZONE, "max_energy_range_uj").read_text())
    assert range_uj == (2 ** 32 - 1) * 61035 // 1000
    at_ns = fs.mounted_ns + 200_000_000
    assert fs.truth(at_ns)["zones"][ZONE]["count"] < 2 ** 14 * 101
    assert fs.used_j(ZONE, fs.mounted_ns, at_ns) == pytest.approx(200, rel=1e-9)


def test_a_sum_contains_its_parts(machine):
    fs = machine(dict(PACKAGE, parts=[{"name": "dram", "curve": [[1, 3.0]]}]),
                 dict(PACKAGE, name="package-1"),
                 {"name": "psys", "curve": [[1, 7.0]],
                  "sum": {"intel-rapl:0": 1.25, "intel-rapl:0:0": 1, "intel-rapl:1": 1}})
    a, b = 10 ** 12, 10 ** 12 + 777_777_777
    expected = 2.25 * fs.used_j(ZONE, a, b) + fs.used_j("intel-rapl:0:0", a, b) + 7 * 0.777777777
    assert fs.used_j("intel-rapl:2", a, b) == pytest.approx(expected, rel=1e-9)


def test_two_zones_may_show_one_register(machine):
    fs = machine(PACKAGE, {"name": "package-1", "mirror": ZONE}, update_ms=1000.0, jitter_us=300000)
    for t_ns in range(10 ** 12, 10 ** 12 + 4 * 10 ** 9, 10 ** 8):
        one, two = (fs.truth(t_ns)["zones"][z] for z in (ZONE, "intel-rapl:1"))
        assert (one["count"], one["pj"]) == (two["count"], two["pj"])


# ---- how it looks --------------------------------------------------------------------------------


def test_it_looks_like_the_kernels(machine):
    fs = machine(dict(PACKAGE, parts=[{"name": "core", "curve": CURVE},
                                      {"name": "dram", "curve": CURVE, "esu": 16, "shown_nj": 15300}],
                      limits=[{"name": "long_term", "watts": 65, "max_watts": 90, "window_s": 28}]),
                 {"name": "psys", "curve": CURVE},
                 {"name": "package-0", "curve": CURVE, "control": "intel-rapl-mmio"})
    done = fs.run("sh", "-c", """
        cd /sys/class/powercap && ls && cat intel-rapl:0/name intel-rapl:0:1/name &&
        cat intel-rapl:0/constraint_0_name intel-rapl:0/constraint_0_power_limit_uw \
            intel-rapl:0/constraint_0_max_power_uw intel-rapl:0/constraint_0_time_window_us &&
        cat intel-rapl:0/intel-rapl:0:0/name intel-rapl/intel-rapl:1/name intel-rapl/enabled &&
        cat intel-rapl:0:1/max_energy_range_uj &&
        cd -P intel-rapl:0:1 && pwd && cat subsystem/intel-rapl:1/name device/name""")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        "intel-rapl", "intel-rapl-mmio", "intel-rapl-mmio:0", "intel-rapl:0", "intel-rapl:0:0",
        "intel-rapl:0:1", "intel-rapl:1", "package-0", "dram", "long_term", "65000000", "90000000",
        "28000000", "core", "psys", "1", str((2 ** 32 - 1) * 15300 // 1000),
        "/sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/intel-rapl:0:1", "psys",
        "package-0"]


def test_energy_is_roots(machine):
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    fs = machine(PACKAGE, dict(PACKAGE, name="package-1", mode="0444"))
    read = "cat /sys/class/powercap/intel-rapl:{}/energy_uj"
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c"]
    assert "Permission denied" in fs.run(*as_nobody, read.format(0)).stderr
    assert fs.run(*as_nobody, read.format(1)).stdout.strip().isdigit()
    assert fs.run("sh", "-c", read.format(0)).stdout.strip().isdigit()


def test_it_may_be_a_root_directory(machine):
    fs = machine(PACKAGE, files={"/proc/cpuinfo": "vendor_id : GenuineIntel\n"})
    assert (fs.root / "proc/cpuinfo").read_text() == "vendor_id : GenuineIntel\n"
    assert (fs.root / "proc/stat").read_text().startswith("cpu ")
    assert (fs.root / "sys/devices/system/cpu/online").read_text() == \
        open("/sys/devices/system/cpu/online").read()


def test_a_reader_of_single_bytes_reads_one_value(machine):
    fs = machine(dict(PACKAGE, update_ms=0))
    with open(fs.path(ZONE), "rb", buffering=0) as file:
        text = b""
        while not text.endswith(b"\n"):
            one = file.read(1)
            assert one, text
            text += one
            time.sleep(0.001)  # the value of another time would differ
    assert fs.status()["zones"][ZONE]["reads"] == 1


def test_the_commands_status_is_returned_and_nothing_stays(machine, tmp_path):
    require()
    script = tmp_path / "script.json"
    script.write_text('{"zones": []}')
    done = subprocess.run([str(STARTER), "--program", str(PROGRAM), str(script), "sh", "-c",
                           'echo "$RAPL_FS"; exit 7'], stdout=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 7
    assert not os.path.exists(os.path.dirname(done.stdout.strip()))


@pytest.mark.parametrize("script,why", [
    ('{"zones": [{"name": "package-0", "curve": [[0, 5]]}]}', "curve"),
    ('{"zones": [{"name": "package-0", "curv": [[1, 5]]}]}', "curv"),
    ('{"zones": [{"name": "psys", "sum": {"intel-rapl:7": 1}}]}', "intel-rapl:7"),
    ('{"zones": [], "faults": ["melt all"]}', "melt all"),
    ('{"zones": [{"name": "a", "curve": [[1, 1]], "update_ms": 1, "jitter_us": 501}]}', "jitter"),
    ('{"zones": ', "line 1"),
], ids=["curve", "key", "sum", "fault", "jitter", "json"])
def test_a_wrong_script_is_refused(tmp_path, script, why):
    require()
    (tmp_path / "script.json").write_text(script)
    done = subprocess.run([str(PROGRAM), str(tmp_path / "script.json"), str(tmp_path)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode != 0
    assert why in done.stderr, done.stderr


# ---- faults --------------------------------------------------------------------------------------


def test_reads_fail_from_the_nth_on(machine):
    fs = machine(PACKAGE)
    fs.fault("eio", ZONE, read=3, reads=2)
    fd = os.open(fs.path(ZONE), os.O_RDONLY)
    got = [read_error(fd) for _ in range(6)]
    os.close(fd)
    assert got == [None, None, "EIO", "EIO", None, None]
    assert fs.status()["faults"][0]["state"] == "over"


def test_a_read_may_fail_with_another_error(machine):
    fs = machine(PACKAGE)
    fs.fault("eio", ZONE, error="ENODATA")
    fd = os.open(fs.path(ZONE), os.O_RDONLY)
    assert read_error(fd) == "ENODATA"
    fs.clear(ZONE)
    assert read_error(fd) is None
    os.close(fd)


def test_a_counter_stands_still_and_goes_on_where_it_would_be(machine):
    fs = machine(dict(PACKAGE, start=0, curve=[[1, 1000.0]]))
    fs.fault("stuck", ZONE)
    stuck = fs.read_uj(ZONE)
    begun = fs.status()["faults"][0]["began_ns"]
    assert stuck == shown_uj(fs.truth(begun)["zones"][ZONE]["count"])
    time.sleep(0.05)
    assert fs.read_uj(ZONE) == stuck
    fs.clear(ZONE)
    before = fs.truth(fs.now_ns())["zones"][ZONE]["count"]
    assert fs.read_uj(ZONE) >= shown_uj(before) > stuck + 0.05 * 1000e6


def test_a_zone_vanishes_with_its_parts_and_comes_back(machine):
    fs = machine(dict(PACKAGE, start=0, parts=[{"name": "core", "curve": CURVE}]),
                 dict(PACKAGE, name="package-1"))
    fds = [os.open(fs.path(z), os.O_RDONLY) for z in (ZONE, "intel-rapl:0:0", "intel-rapl:1")]
    names = sorted(os.listdir(fs.root / "sys/class/powercap"))
    fs.fault("vanish", ZONE)
    assert [read_error(fd) for fd in fds] == ["ENODEV", "ENODEV", None]
    assert sorted(os.listdir(fs.root / "sys/class/powercap")) == ["intel-rapl", "intel-rapl:1"]
    with pytest.raises(FileNotFoundError):
        fs.path(ZONE, "name").read_text()
    fs.back(ZONE)
    assert sorted(os.listdir(fs.root / "sys/class/powercap")) == names
    # As in sysfs: what was opened before belongs to a device that is gone for good.
    assert [read_error(fd) for fd in fds] == ["ENODEV", "ENODEV", None]
    before = fs.truth(fs.now_ns())["zones"][ZONE]["count"]
    assert fs.read_uj(ZONE) >= shown_uj(before), "the register counted on"
    for fd in fds:
        os.close(fd)


def test_all_zones_vanish_for_a_time(machine):
    fs = machine(PACKAGE, dict(PACKAGE, name="package-1"))
    fs.fault("vanish", at=0.05, lasts=0.1)
    begun = fs.now_ns()
    while fs.path(ZONE).exists():
        assert fs.now_ns() - begun < 60e9
    while not fs.path(ZONE).exists():
        assert fs.now_ns() - begun < 60e9
    faults = fs.status()["faults"]
    assert [f["zone"] for f in faults] == [ZONE, "intel-rapl:1"]
    for fault in faults:
        assert fault["began_ns"] >= begun - 1e9 and \
            fault["ended_ns"] - fault["began_ns"] == 100_000_000


def test_a_counter_starts_again(machine):
    fs = machine(dict(PACKAGE, start=2 ** 30, curve=[[1, 10.0]]))
    fs.fault("jump", ZONE)
    began = fs.status()["faults"][0]["began_ns"]
    read, now = fs.read_uj(ZONE), fs.now_ns()
    assert read <= fs.used_j(ZONE, began, now) * 1e6 + 1e3 * 10 + 100, "the update may be older"
    # The truth knows nothing of it.
    assert fs.used_j(ZONE, began - 10 ** 9, began + 10 ** 9) == pytest.approx(20)


def test_a_counter_jumps_for_one_read(machine):
    fs = machine(dict(PACKAGE, start=2 ** 30, curve=[[1, 10.0]]))
    fs.fault("jump", ZONE, by=-5000, read=2, reads=1)
    a, b, c = [fs.read_uj(ZONE) for _ in range(3)]
    assert 4990e6 < a - b < 5010e6
    assert 0 <= c - a < 600e6


@pytest.mark.parametrize("value", ["early", "late"])
def test_a_read_takes_long(machine, value):
    fs = machine(dict(PACKAGE, start=0, curve=[[1, 10000.0]], update_ms=0))
    fs.fault("slow", ZONE, ms=80, reads=1, value=value)
    begun = fs.now_ns()
    read = fs.read_uj(ZONE)
    ended = fs.now_ns()
    assert ended - begun >= 80_000_000
    middle = fs.truth(begun + 40_000_000)["zones"][ZONE]["count"]
    assert (read < shown_uj(middle)) == (value == "early")
    assert shown_uj(fs.truth(begun)["zones"][ZONE]["count"]) <= read <= \
        shown_uj(fs.truth(ended)["zones"][ZONE]["count"])


def test_a_wrong_fault_is_refused_with_its_reason(machine):
    fs = machine(PACKAGE)
    for kind, zone, values, why in (("eio", "intel-rapl:9", {}, "no such zone"),
                                    ("eio", ZONE, {"error": "EWHAT"}, "error"),
                                    ("stuck", ZONE, {"ms": 5}, "ms"),
                                    ("slow", ZONE, {"at": -1}, "at")):
        with pytest.raises(ValueError, match=why):
            fs.fault(kind, zone, **values)
    assert fs.status()["faults"] == []


def test_faults_of_the_script(machine):
    fs = machine(PACKAGE, faults=["eio intel-rapl:0 read=2 reads=1", "stuck all at=1000"])
    assert [f["state"] for f in fs.status()["faults"]] == ["pending", "pending"]
    fs.read_uj(ZONE)
    with pytest.raises(OSError):
        fs.read_uj(ZONE)
    fs.read_uj(ZONE)


# ---- loads ---------------------------------------------------------------------------------------

LOAD = """
import sys, time
sys.stdin.readline()
begun = time.process_time()
while time.process_time() - begun < float(sys.argv[1]):
    pass
print(time.process_time(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def loads(machine):
    """Makes a machine and loads on it: loads({...}, (watts, cpu_s), ...) -> (fs, processes)."""
    started = []

    def make(package, *wanted):
        fs = machine({"name": "package-0", "loads": package,
                      "parts": [{"name": "core", "loads": "dynamic"}]})
        for watts, cpu_s in wanted:
            process = subprocess.Popen([sys.executable, "-c", LOAD, str(cpu_s)], text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            started.append(process)
            try:
                fs.load(process.pid, watts)
            except ValueError as error:
                pytest.skip(f"no perf events: {error}")
        return fs, started

    yield make
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_energy_follows_from_cpu_time(loads):
    fs, processes = loads({"idle_w": 3}, (10, 0.2), (25, 0.1))
    begun = fs.now_ns()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    cpu_s = [float(p.stdout.readline()) for p in processes]
    ended = fs.now_ns()
    use = {u["mw"]: u for u in fs.truth(ended)["loads"]}
    before = {u["mw"]: u for u in fs.truth(begun)["loads"]}
    for mw, least, most in ((10000, 0.2, cpu_s[0]), (25000, 0.1, cpu_s[1])):
        used = (use[mw]["cpu_ns"] - before[mw]["cpu_ns"]) / 1e9
        assert least * 0.97 <= used <= most * 1.03 + 0.01, (used, least, most)
        assert use[mw]["pj"] - before[mw]["pj"] == pytest.approx(used * mw * 1e9, rel=1e-6)
    dynamic = sum(use[mw]["pj"] - before[mw]["pj"] for mw in use) / 1e12
    assert fs.used_j("intel-rapl:0:0", begun, ended) == pytest.approx(dynamic, rel=1e-6)
    assert fs.used_j(ZONE, begun, ended) == \
        pytest.approx(dynamic + 3 * (ended - begun) / 1e9, rel=1e-6)


def test_turbo_makes_a_lone_cpu_dearer(loads):
    fs, processes = loads({"idle_w": 0, "turbo": 0.5}, (10, 0.1))
    processes[0].stdin.write("go\n")
    processes[0].stdin.flush()
    processes[0].stdout.readline()
    use = fs.truth(fs.now_ns())["loads"][0]
    cost = use["pj"] / (use["cpu_ns"] * use["mw"])
    assert 1 <= cost <= 1.5
    if os.cpu_count() > 1:
        # Never more than its own CPU was busy.
        assert cost >= 1 + 0.5 * (1 - 1 / os.cpu_count()) - 0.02


def test_siblings_share_what_one_of_them_costs(loads):
    """With smt 1 a second on a core costs the same whether one or both of its threads are busy."""
    fs, processes = loads({"idle_w": 0, "smt": 1, "siblings": [[0, 1]]}, (10, 0.15), (10.001, 0.15))
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.stdout.readline()
    for use in fs.truth(fs.now_ns())["loads"]:
        assert 0.5 - 1e-3 <= use["pj"] / (use["cpu_ns"] * use["mw"]) <= 1 + 1e-3


def test_idle_power_drifts_around_its_mean(machine):
    require()
    fs = machine({"name": "package-0", "loads": {"idle_w": 10, "drift": 0.5, "drift_s": 0.5}})
    begun = fs.now_ns()
    time.sleep(2.1)
    whole = fs.used_j(ZONE, begun, begun + 2 * 10 ** 9)
    parts = [fs.used_j(ZONE, begun + at, begun + at + 250_000_000)
             for at in range(0, 10 ** 9, 25_000_000)]
    assert whole == pytest.approx(20, rel=0.02)
    # From half a period above its mean to half a period below it: 2.5 J and 0.8 J more or less.
    assert max(parts) - min(parts) > 0.8, parts
