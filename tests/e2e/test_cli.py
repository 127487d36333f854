# SPDX-License-Identifier: MIT
"""The commands beside the plugin: list, send, and what ./run shows."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from conftest import AS_NOBODY, GIVE_UP_S, POWERMEASURE, TOP, run, start_event, wait_for


# ---- list -----------------------------------------------------------------------------------------


def powercap(root, zones, cpuinfo="vendor_id : GenuineIntel\n\n"):
    """Makes a tree: {"intel-rapl:0": {"name": "package-0", ...}}."""
    (root / "proc").mkdir(parents=True, exist_ok=True)
    (root / "proc" / "cpuinfo").write_text(cpuinfo)
    for directory, files in zones.items():
        path = root / "sys" / "class" / "powercap" / directory
        path.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (path / name).write_text(f"{text}\n")
    return root


def zone(name, energy=1000, range_uj=262143328850):
    return {"name": name, "energy_uj": energy, "max_energy_range_uj": range_uj, "enabled": 1}


def shown_uj(joules):
    # Always as long: a reader must not see a cut number.
    return b"%015d\n" % (10 ** 6 + int(joules * 1e6))


def shown_count(joules):
    """As an event counts."""
    return b"%020d\n" % (1 + int(joules * 2 ** 32))


class Counter(threading.Thread):
    """Lets the counters of a tree rise as steady powers do, until it is stopped. Those of powercap
    by zone, others by path, and then with the function that shows them."""

    def __init__(self, root, watts, show=shown_uj):
        super().__init__(daemon=True)
        self.show = show
        self.files = {
            root / ("sys/class/powercap" if "/" not in d else "") /
            (d if "/" in d else f"{d}/energy_uj"): w for d, w in watts.items()}
        self.over = threading.Event()
        self.begun = time.monotonic()
        self.start()

    def run(self):
        while not self.over.wait(0.002):
            passed = time.monotonic() - self.begun
            for path, watts in self.files.items():
                with open(path, "r+b", buffering=0) as f:
                    f.write(self.show(passed * watts))

    def stop(self):
        self.over.set()
        self.join()


@pytest.fixture
def counter():
    running = []

    def start(*args):
        one = Counter(*args)
        running.append(one)
        return one

    yield start
    for one in running:
        one.stop()


def about(watts):
    """A counter that a thread of this process moves stands still while the machine does something else:
    exact figures are looked at where time is a clock that the test sets."""
    return pytest.approx(watts, rel=0.5)


def listed(root, *args):
    done = run("list", "--json", "--root", root, *args)
    document = json.loads(done.stdout)
    return done.returncode, {s["name"]: s for s in document["sensors"]}


def test_list_shows_a_usable_tree(tmp_path, counter):
    root = powercap(tmp_path, {
        "intel-rapl": {"enabled": 1}, "intel-rapl:0": zone("package-0"),
        "intel-rapl:0:0": zone("core"), "intel-rapl:0:1": zone("uncore"),
        "intel-rapl:0:2": zone("dram", range_uj=65712999613), "intel-rapl:1": zone("psys"),
        "intel-rapl-mmio:0": zone("package-0")})
    counter(root, {"intel-rapl:0": 12.5, "intel-rapl:0:0": 8, "intel-rapl:0:1": 2,
                   "intel-rapl:0:2": 3, "intel-rapl:1": 20, "intel-rapl-mmio:0": 12.5})
    status, sensors = listed(root)
    assert status == 0
    rapl = sensors["rapl-powercap"]
    assert rapl["usable"] and rapl["used"] and rapl["reason"] is None
    shown = [(d["name"], d["kind"], d["parent"], d["counted"]) for d in rapl["domains"]]
    assert shown == [
        ("package-0", "cpu", None, True),
        ("package-0-core", "cpu", "package-0", False),
        ("package-0-dram", "dram", None, True),
        ("package-0-uncore", "cpu", "package-0", False),
        ("psys", "platform", None, True)]
    watts = {d["name"]: d["power_w"] for d in rapl["domains"]}
    assert watts["package-0"] == about(12.5)
    assert watts["psys"] == about(20)
    assert not sensors["estimate"]["used"]
    done = run("list", "--root", root)
    assert done.returncode == 0
    assert re.search(r"^rapl-powercap +used$", done.stdout, re.M)
    assert re.search(r"^ +package-0 +cpu +package +1 ms +1\d\.\d W$", done.stdout, re.M)


def cpus(root, package_of):
    """CPUs and the packages that they are in."""
    path = root / "sys/devices/system/cpu"
    for cpu, package in enumerate(package_of):
        topology = path / f"cpu{cpu}" / "topology"
        topology.mkdir(parents=True, exist_ok=True)
        (topology / "physical_package_id").write_text(f"{package}\n")
        (topology / "die_id").write_text("0\n")
        (topology / "thread_siblings_list").write_text(f"{cpu}\n")
    (path / "online").write_text(f"0-{len(package_of) - 1}\n")


def pmu(root, name, cpumask, events):
    """A PMU with events by their codes, and their counts on each CPU of the mask."""
    path = root / "sys/bus/event_source/devices" / name
    (path / "events").mkdir(parents=True)
    (path / "type").write_text("21\n")
    (path / "cpumask").write_text(",".join(map(str, cpumask)) + "\n")
    for event, code in events.items():
        (path / "events" / event).write_text(f"event=0x{code:02x}\n")
        (path / "events" / f"{event}.scale").write_text("2.3283064365386962890625e-10\n")
        (path / "events" / f"{event}.unit").write_text("Joules\n")
        for cpu in cpumask:
            (path / "counts" / f"cpu{cpu}").mkdir(parents=True, exist_ok=True)
            (path / "counts" / f"cpu{cpu}" / event).write_bytes(shown_count(0))


def counts(name, watts):
    """Paths of counts, from watts by CPU and event."""
    return {f"sys/bus/event_source/devices/{name}/counts/cpu{cpu}/{event}": w
            for (cpu, event), w in watts.items()}


def golden(text):
    """The table without what differs from run to run: powers, times, the path of the program."""
    text = re.sub(r" \d[\d.]* [num]?W\b", " # W", text)
    return re.sub(r"setcap (\S+) \S+", r"setcap \1 #", text)


def test_list_prefers_events_over_zones_and_registers(tmp_path, counter):
    """A server with two packages, all of whose ways to RAPL are open."""
    root = powercap(tmp_path, {"intel-rapl:0": zone("package-0"), "intel-rapl:1": zone("package-1")},
                    "vendor_id : GenuineIntel\ncpu family : 6\nmodel : 85\n\n")
    cpus(root, [0, 0, 1, 1])
    pmu(root, "power", [0, 2], {"energy-pkg": 2, "energy-ram": 3})
    counter(root, counts("power", {(0, "energy-pkg"): 30, (0, "energy-ram"): 4,
                                   (2, "energy-pkg"): 20, (2, "energy-ram"): 5}), shown_count)
    (root / "dev/cpu/0").mkdir(parents=True)
    (root / "dev/cpu/0/msr").write_text("606 a0e03\n611 5\n")
    status, sensors = listed(root)
    assert status == 0
    perf = sensors["rapl-perf"]
    assert perf["used"] and perf["reason"] is None
    assert [(d["name"], d["kind"], d["parent"], d["counted"]) for d in perf["domains"]] == [
        ("package-0", "cpu", None, True), ("package-0-dram", "dram", None, True),
        ("package-1", "cpu", None, True), ("package-1-dram", "dram", None, True)]
    watts = [d["power_w"] for d in perf["domains"]]
    assert watts == [about(w) for w in (30, 4, 20, 5)]
    assert golden(run("list", "--root", root).stdout).startswith("""\
rapl-perf       used
    package-0          cpu      package                              1 ms       # W
    package-0-dram     dram     memory                               1 ms       # W
    package-1          cpu      package                              1 ms       # W
    package-1-dram     dram     memory                               1 ms       # W
rapl-powercap   usable: not used: rapl-perf measures the same
rapl-msr        usable: not used: rapl-perf measures the same
""")
    # By hand another one is taken, and then no word is lost on its rivals.
    status, sensors = listed(root, "--sensors", "rapl-powercap")
    assert sensors["rapl-powercap"]["used"] and not sensors["rapl-perf"]["used"]


def test_list_on_an_amd_machine(tmp_path, counter):
    root = powercap(tmp_path, {}, "vendor_id : AuthenticAMD\ncpu family : 25\nmodel : 97\n\n")
    cpus(root, [0, 0])
    pmu(root, "power", [0], {"energy-pkg": 2})
    pmu(root, "power_core", [0, 1], {"energy-core": 1})
    counter(root, counts("power", {(0, "energy-pkg"): 30}), shown_count)
    counter(root, counts("power_core", {(0, "energy-core"): 5, (1, "energy-core"): 7}), shown_count)
    status, sensors = listed(root)
    assert status == 0
    assert [d["power_w"] for d in sensors["rapl-perf"]["domains"]] == [
        about(30), about(12)]
    assert golden(run("list", "--root", root).stdout).startswith("""\
rapl-perf       used
    package-0          cpu      package                              1 ms       # W
    package-0-core     cpu      cores, part of the package           100 ms     # W, not counted
rapl-powercap   not usable: /sys/class/powercap has no intel-rapl zones: the kernel's driver is not loaded
                to change that: sudo modprobe intel_rapl_msr
rapl-msr        not usable: /dev/cpu has no registers: the kernel's driver is not loaded
                to change that: sudo modprobe msr
""")


def test_list_falls_back_to_registers(tmp_path, counter):
    """Events that never move, as virtual machines show them, and no zones."""
    root = powercap(tmp_path, {}, "vendor_id : GenuineIntel\ncpu family : 6\nmodel : 158\n\n")
    cpus(root, [0, 0])
    pmu(root, "power", [0], {"energy-pkg": 2, "energy-psys": 5})
    (root / "dev/cpu/0").mkdir(parents=True)
    (root / "dev/cpu/0/msr").write_text("606 a0e03\n611 0000000000000001\n")
    counter(root, {"dev/cpu/0/msr": 25},
            lambda joules: b"606 a0e03\n611 %016x\n" % (1 + int(joules * 2 ** 14) % 2 ** 32))
    status, sensors = listed(root)
    assert status == 0
    assert sensors["rapl-perf"]["reason"] == "its counters stand still"
    assert [d["power_w"] for d in sensors["rapl-msr"]["domains"]] == [about(25)]


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody without rights")
def test_list_on_this_machine_names_the_right_that_events_need(public):
    """The kernel's own PMU, where there is one that is closed to users."""
    paranoid = Path("/proc/sys/kernel/perf_event_paranoid")
    if not Path("/sys/bus/event_source/devices/power/events").is_dir():
        pytest.skip("this machine's kernel has no power PMU")
    if not paranoid.exists() or int(paranoid.read_text()) < 1:
        pytest.skip("events are open to everybody here")
    done = subprocess.run(
        [*AS_NOBODY, public / "powermeasure", "list", "--json", "--sensors", "rapl-perf"], stdout=subprocess.PIPE, text=True)
    perf = {s["name"]: s for s in json.loads(done.stdout)["sensors"]}["rapl-perf"]
    assert not perf["used"]
    assert f"kernel.perf_event_paranoid is {paranoid.read_text().strip()}" in perf["reason"]
    assert "perfmon" in perf["fix"].lower() or "perf_event_paranoid=0" in perf["fix"]


def test_list_says_why_not_and_what_would_help(tmp_path):
    bare = powercap(tmp_path / "bare", {})
    status, sensors = listed(bare)
    assert status == 1
    assert sensors["rapl-powercap"]["fix"] == "sudo modprobe intel_rapl_msr"
    assert sensors["estimate"]["used"]
    virtual = powercap(tmp_path / "vm", {}, "vendor_id : GenuineIntel\nflags : fpu hypervisor\n\n")
    _, sensors = listed(virtual)
    assert "virtual machine" in sensors["rapl-powercap"]["reason"]
    assert sensors["rapl-powercap"]["fix"] is None
    masked = powercap(tmp_path / "masked", {"intel-rapl:0": {}})
    _, sensors = listed(masked)
    assert "hidden" in sensors["rapl-powercap"]["reason"]
    assert "--root /host" in sensors["rapl-powercap"]["fix"]
    assert "nvml" in sensors
    assert "virtual machine" in listed(virtual)[1]["rapl-perf"]["reason"]
    assert listed(bare)[1]["rapl-perf"]["fix"] == "sudo modprobe rapl"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody without rights")
def test_list_tells_the_command_that_gives_the_right(public):
    root = powercap(public / "machine", {"intel-rapl:0": zone("package-0")})
    (root / "sys/class/powercap/intel-rapl:0/energy_uj").chmod(0o400)
    done = subprocess.run(
        [*AS_NOBODY, public / "powermeasure", "list", "--root", root], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "energy_uj: Permission denied" in done.stdout
    assert re.search(r"to change that: sudo setcap cap_dac_read_search\+ep /\S+/powermeasure$",
                     done.stdout, re.M)
    assert "ESTIMATED" in done.stdout


def test_list_says_when_a_counter_stands_still(tmp_path):
    root = powercap(tmp_path, {"intel-rapl:0": zone("package-0")})
    done = run("list", "--root", root)
    # What stands still says nothing: that is not 0 W.
    assert re.search(r"^ +package-0 .* does not move$", done.stdout, re.M), done.stdout


def test_a_powercap_tree_is_measured(plugin, load, tmp_path, counter):
    """Two packages through their wraps, as the kernel's driver shows them."""
    root = powercap(tmp_path / "root", {
        "intel-rapl:0": zone("package-0"), "intel-rapl:a": zone("package-1"),
        "intel-rapl:0:0": zone("dram")})
    counter(root, {"intel-rapl:0": 30, "intel-rapl:a": 10, "intel-rapl:0:0": 4})
    p, one = plugin("--root", root, "--sensors", "rapl-powercap"), load(0.5)
    before, begun = one.cpu_s(), time.monotonic()
    p.send(start_event([one.pid], [1, 3], 4))
    found = p.wait_said(r"CPU (\S+) J .*DRAM (\S+) J .*\(whole device: (\S+) J\)")
    share = (one.cpu_s() - before) / (time.monotonic() - begun) / os.sysconf("SC_NPROCESSORS_ONLN")
    assert float(found.group(1)) == about(40 * 4 * share)
    assert float(found.group(2)) == about(16 * share)
    assert float(found.group(3)) == about(16)


def test_list_says_that_the_simulated_is_not_measured():
    _, sensors = listed("/", "--sensors", "sim")
    assert {d["quality"] for d in sensors["sim"]["domains"]} == {"simulated"}
    assert "used: simulated, not a measurement" in run("list", "--sensors", "sim").stdout


def test_list_refuses_what_it_does_not_know(tmp_path):
    assert run("list", "--nonsense").returncode == 2
    assert run("list", "word").returncode == 2
    assert run("list", "--sensors", "nonsense").returncode == 2
    assert run("list", "--root", tmp_path / "nowhere").returncode == 1


# ---- send -----------------------------------------------------------------------------------------


def test_send_start_and_wait_prints_the_totals(plugin, load):
    p, one, two = plugin("--sensors", "sim"), load(0.3), load(0.1)
    done = run("send", "start", "--to", p.address, "--pid", one.pid, "--pid", two.pid,
               "--type", "all", "--seconds", 1, "--wait")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for pid in one.pid, two.pid:
        line, = [x for x in lines if x.startswith(f"pid {pid} ")]
        assert re.search(r"CPU \S+ J \(\S+ to \S+\).*DRAM .*GPU .*; time is up$", line)
        p.wait_said(re.escape(line))


def test_send_stop_and_terminate(plugin, load):
    p, one = plugin("--sensors", "sim"), load(0.1)
    assert run("send", "start", "--to", p.address, "--pid", one.pid, "--seconds", 0).returncode == 0
    assert run("send", "stop", "--to", p.address, "--pid", one.pid).returncode == 0
    p.wait_said("; stopped")
    assert run("send", "terminate", "--to", p.address, "--name", "other").returncode == 0
    assert p.process.poll() is None
    assert run("send", "terminate", "--to", p.address).returncode == 0
    assert p.process.wait(GIVE_UP_S) == 0


def test_send_at_a_time(plugin, load):
    p, one = plugin("--sensors", "sim"), load(0.1)
    begun = time.monotonic()
    done = run("send", "start", "--to", p.address, "--pid", one.pid, "--type", "cpu", "--seconds",
               1, "--at", "+1.5", "--wait")
    assert done.returncode == 0
    waited_s = time.monotonic() - begun
    assert waited_s >= 2.4
    assert 1 <= float(re.search(r"\): ([0-9.]+) s, CPU", done.stdout).group(1)) <= waited_s - 1.4


def test_send_tells_the_reason_of_a_refusal(plugin):
    p = plugin("--sensors", "sim")
    for args, words in (
            (["--pid", 2 ** 31 - 1], "there is no process 2147483647"),
            (["--pid", os.getpid(), "--type", 9], "9 is no monitor type"),
            (["--pid", os.getpid(), "--at", "noon"], "is no time")):
        for wait in [], ["--wait"]:
            done = run("send", "start", "--to", p.address, *args, *wait)
            assert done.returncode == 1
            assert words in done.stderr and "bad msg" not in done.stderr


def test_send_numbers_as_the_receiver_does(plugin, load):
    p, one = plugin("--sensors", "sim", "--monitor-types", "events"), load(0.1)
    done = run("send", "start", "--to", p.address, "--pid", one.pid, "--type", "gpu", "--seconds",
               1, "--wait", env={"POWERMEASURE_MONITOR_TYPES": "events"})
    assert "GPU" in done.stdout and "CPU" not in done.stdout


def test_send_without_anybody_there():
    done = run("send", "stop", "--to", "tcp://127.0.0.1:1", "--pid", 1)
    assert done.returncode == 1
    assert "no answer from tcp://127.0.0.1:1 within 5 s: is a plugin or engine running" in done.stderr


def test_send_to_a_host_without_an_address():
    done = run("send", "stop", "--to", "tcp://no-such-host.invalid:6010", "--pid", 1)
    assert (done.returncode, done.stdout) == (1, "")
    assert "tcp://no-such-host.invalid:6010: its host's name cannot be looked up" in done.stderr


def test_send_does_not_wait_for_a_resolver_that_does_not_answer(slow_resolver):
    done = run("send", "stop", "--to", "tcp://somewhere:6010", "--pid", 1, env=slow_resolver)
    assert (done.returncode, done.stdout) == (1, "")
    assert "tcp://somewhere:6010: its host's name cannot be looked up" in done.stderr


def test_send_uses_the_environments_address(plugin, load):
    p, one = plugin("--sensors", "sim"), load(0.1)
    port = p.address.rsplit(":", 1)[1]
    done = run("send", "start", "--pid", one.pid, "--seconds", 1, "--type", "cpu",
               env={"POWER_MEASURING_PLUGIN_PORT": port})
    assert done.returncode == 0, done.stderr
    p.wait_said("begins")


@pytest.mark.parametrize("args", [
    [], ["dance"], ["start"], ["stop"], ["--wait", "start"], ["start", "--pid", "x"],
    ["start", "--type", "x"], ["start", "--seconds", "-1"], ["start", "--nonsense"],
    ["start", "word"], ["start", "--pid", 1, "--at", "+x"], ["start", "--monitor-types", "x"]])
def test_send_wrong_usage(args):
    assert run("send", *args).returncode == 2


def test_send_to_what_is_no_address():
    done = run("send", "start", "--pid", 1, "--to", "nonsense")
    assert done.returncode == 1 and "an address looks like tcp://" in done.stderr


@pytest.mark.parametrize("args, words", [
    (["plugin", "--nonsense"], "powermeasure plugin: unknown option: '--nonsense'"),
    (["list", "-x"], "powermeasure list: unknown option: '-x'"),
    (["top", "--delay"], "powermeasure top: --delay needs a value"),
    (["list", "--json=yes"], "powermeasure list: --json takes no value"),
    (["send", "start", "--pid"], "powermeasure send: --pid needs a value"),
    (["send", "start"], "name each with --pid PID"),
    (["plugin", "--log-dir", ""], "--log-dir: the value is empty"),
    (["list", "--sensors", "rapl-pref,sim"], "--sensors: unknown sensor: 'rapl-pref'; did you mean 'rapl-perf'? "),
    (["top", "--sensors", "sim,nonsense"], "--sensors: unknown sensor: 'nonsense'; `powermeasure list` shows"),
    (["plugin", "--rate", ""], 'not a number from 0.1 to 1000 Hz: ')])
def test_wrong_usage_is_named_and_help_offered(args, words):
    done = run(*args)
    assert done.returncode == 2 and not done.stdout
    said = done.stderr.splitlines()
    assert len(said) == 2 and words in said[0]
    assert said[1] == f"try: powermeasure {args[0]} --help"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize("command, status", [("list", 1), ("run true", 125), ("plugin", 1)])
def test_a_machine_without_proc_is_named(tmp_path, command, status):
    if re.search(rb"__[at]san_init", POWERMEASURE.read_bytes()):
        pytest.skip("a sanitizer needs /proc itself")
    script = f"mount -t tmpfs none /proc && echo mounted && exec {POWERMEASURE} {command}"
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=GIVE_UP_S,
                          env=dict(os.environ, TRAPS_POWER_LOG_PATH=str(tmp_path)))
    if done.stdout != "mounted\n":
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    assert done.returncode == status, done
    assert done.stderr.endswith(": /proc is not mounted; fix: sudo mount -t proc proc /proc\n"), done


def test_a_bad_variable_is_the_one_that_is_named():
    for name in "POWERMEASURE_MONITOR_TYPES", "POWERMEASURE_LOG_FORMAT":
        done = run("plugin", env={name: "x"})
        assert done.returncode == 2 and f"{name}: not one of " in done.stderr


# ---- what ./run shows -----------------------------------------------------------------------------


DEMO = [sys.executable, TOP / "scripts" / "demo.py", POWERMEASURE]


def demo(*args, home):
    return subprocess.run([*map(str, DEMO), *map(str, args)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True,
                          env=dict(os.environ, HOME=str(home)), timeout=GIVE_UP_S)


def test_demo_shows_a_table_and_names_its_files(tmp_path):
    done = demo("--seconds", 2, "--sensors", "sim", home=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^ +(\d+)  (\S+) +(\S+) +(\S+) +(\S+) +(\S+) +(\S+)  sim, SIMULATED$",
                      done.stdout, re.M)
    assert [row[1] for row in rows] == ["half-a-core", "powermeasure"]
    for _, _, mean, low, high, joules, gpu in rows:
        assert float(low) <= float(mean) <= float(high)
        assert float(joules) == pytest.approx(2 * float(mean), rel=0.05)
        assert float(gpu) > 0
    for name in re.findall(r"^  (/\S+)$", done.stdout, re.M):
        assert os.path.exists(name)
    assert "\r" not in done.stdout
    assert str(tmp_path / "logs" / "CPU.json") in done.stdout
    assert not left_over(tmp_path)


def left_over(tmp_path):
    found = subprocess.run(["pgrep", "-f", str(tmp_path)], stdout=subprocess.PIPE, text=True)
    return found.stdout


def test_demo_says_that_an_estimate_is_one(tmp_path):
    (tmp_path / "root").mkdir()
    done = demo("--seconds", 1, "--sensors=estimate", "--root", tmp_path / "root", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "estimate, ESTIMATED" in done.stdout
    assert "the figures come from a model" in done.stdout


def test_demo_takes_a_directory_of_its_own_beside_another_plugin(plugin, tmp_path):
    p = plugin("--sensors", "sim", log_dir=tmp_path / "logs")
    done = demo("--seconds", 1, "--sensors", "sim", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"pid {p.pid} already writes its logs" in done.stdout
    assert f"This run writes to {tmp_path}/logs/demo-" in done.stdout
    assert p.log("CPU.json") == {}


def test_demo_shows_a_live_line_on_a_terminal_only(tmp_path):
    done = subprocess.run(
        ["script", "-qec", " ".join(map(str, DEMO)) + " --seconds 2 --sensors sim", "/dev/null"],
        env=dict(os.environ, HOME=str(tmp_path)), stdout=subprocess.PIPE)
    if done.returncode == 127:
        pytest.skip("no script(1)")
    assert done.returncode == 0
    assert re.search(r"\r\x1b\[K 1\.\d s   half-a-core \S+ W   powermeasure \S+ W   GPU \S+ W",
                     done.stdout.decode())


def test_a_demo_that_is_killed_leaves_nothing_behind(tmp_path):
    process = subprocess.Popen([*map(str, DEMO), "--sensors", "sim"], stdout=subprocess.PIPE,
                               env=dict(os.environ, HOME=str(tmp_path)), text=True)
    for line in process.stdout:
        found = re.search(r"measure pid (\d+), which keeps half a CPU busy, and pid (\d+)", line)
        if found:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    for pid in found.groups():
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), what=f"the end of {pid}")


def test_help_and_version():
    assert run("--version").stdout.startswith("powermeasure ")
    assert run("-V").stdout == run("--version").stdout
    assert run("help", "list").stdout == run("list", "--help").stdout
    for args in ["--help"], ["plugin", "--help"], ["list", "--help"], ["send", "--help"], \
            ["send", "start", "--help"], ["help"], ["help", "run"]:
        done = run(*args)
        assert done.returncode == 0 and done.stdout and not done.stderr
    assert run().returncode == 2
    done = run("dance")
    assert done.returncode == 2 and "unknown command: 'dance'\n" in done.stderr
    for args in ["lits"], ["help", "lits"]:
        done = run(*args)
        assert done.returncode == 2 and "unknown command: 'lits'; did you mean 'list'?" in done.stderr
