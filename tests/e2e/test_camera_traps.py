# SPDX-License-Identifier: MIT
"""The whole camera-traps application with this program as its power plugin: an engine, plugins under
the stock ones' names with a known load, and those who read the files afterwards."""

import collections
import csv
import datetime
import json
import math
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

from application import Member, Observer, Poller, StandInEngine, WholeEngine
from conftest import GIVE_UP_S, POWERMEASURE, Plugin, run, sim_script, start_event, wait_for
from fakenvml import fake_nvml, gpu  # noqa: F401
from real_engine import engine_program  # noqa: F401

NAME, UUID = "ext_power_monitor_plugin", "4a0fca25-1935-472a-8674-58f22c3a32b3"
SUMMARY = "power_summary_report.json"
KNOWN = {"image_generating_plugin", "image_scoring_plugin", "engine",
         "oracle_plugin", "power_monitor_plugin", "engine"}
N_CPU = os.sysconf("SC_NPROCESSORS_ONLN")
CPU_W, GPU_W = 40.0, 100.0

EXACT = {"unit": [1, 1], "update_ms": 1, "stamped": True}
CPU = {"name": "package-0", "kind": "cpu", "curve": [[1, CPU_W]], **EXACT}
GPU = {"name": "gpu-0", "kind": "gpu", "curve": [[1, GPU_W]], **EXACT}
DRAM = {"name": "package-0-dram", "kind": "dram", "curve": [[1, 5.0]], **EXACT}


# ---- what the readers do, restated ---------------------------------------------------------------


def parse(text):
    def no_number(name):
        raise AssertionError(f"{name} in {text}")
    return json.loads(text, parse_constant=no_number)


def flatten(summary):
    """As the knowledge network's daemon does: it adds unchecked, and takes the names for keys."""
    flat, cpu, gpu = {}, 0, 0
    for plugin in summary["plugin power summary report"]:
        flat[f"{plugin['plugin']}_cpu_power_consumption"] = plugin["cpu_power_consumption"]
        flat[f"{plugin['plugin']}_gpu_power_consumption"] = plugin["gpu_power_consumption"]
        cpu += plugin["cpu_power_consumption"]
        gpu += plugin["gpu_power_consumption"]
    return {**flat, "total_cpu_power_consumption": cpu, "total_gpu_power_consumption": gpu}


def check_summary(summary, has_gpu):
    """As the application's own test suite does, and its schemas: numbers, above 0 for the CPU, for
    the GPU where there is one and exactly 0 where there is none; one entry a name, which is known."""
    entries = summary["plugin power summary report"]
    names = [entry["plugin"] for entry in entries]
    assert len(set(names)) == len(names) and set(names) <= KNOWN
    pids = summary["pid power summary report"]
    for entry in entries + pids + summary["other power summary report"]:
        for key in "cpu_power_consumption", "gpu_power_consumption":
            assert isinstance(entry[key], (int, float)) and math.isfinite(entry[key]), entry
        assert entry["cpu_power_consumption"] > 0, entry
        assert (entry["gpu_power_consumption"] > 0) == has_gpu, entry
        assert has_gpu or entry["gpu_power_consumption"] == 0
    for entry in pids:
        begun, ended = (datetime.datetime.strptime(entry[key], "%Y-%m-%d %H:%M:%S")
                        for key in ("start_time", "end_time"))
        assert begun <= ended and isinstance(entry["pid"], int), entry
    flat = flatten(summary)
    assert flat["total_cpu_power_consumption"] > 0
    assert all(key.count("_plugin_") == 1 for key in flat if not key.startswith("total_"))


def check_metadata(metadata):
    assert {"plugins", "tools", "start_time", "last_update_time"} <= set(metadata)
    for plugin in metadata["plugins"]:
        assert plugin["name"] in KNOWN
        assert plugin["pids"] and len(set(plugin["pids"])) == len(plugin["pids"])
        assert all(isinstance(pid, int) for pid in plugin["pids"])
        assert set(plugin["devices_measured"]) <= {"cpu", "gpu"}
        assert isinstance(plugin["command_line"], str)
    for tool in metadata["tools"]["devices"]:
        assert tool["device_type"] in {"cpu", "gpu"}
        assert tool["tool_name"] in {"jtop", "powerjoular", "scaphandre", "nvidia-smi"}
        assert isinstance(tool["tool_params"], str) and tool["power_units"] == "watts"
    for key in "start_time", "last_update_time":
        assert datetime.datetime.fromisoformat(metadata[key]).tzinfo


def check_log(log):
    """Watts of each pid: numbers, or what float() and int() make numbers of."""
    watts = collections.defaultdict(list)
    for element in log:
        (key, pairs), = element.items()
        datetime.datetime.strptime(key, "%Y-%m-%d %H:%M:%S")
        for value, pid in pairs:
            watts[int(pid)].append(float(value))
    return watts


def check_files(logs, has_gpu, has_dram=True):
    """All files that the old plugin leaves to others; what they hold."""
    summary = parse((logs / SUMMARY).read_text())
    check_summary(summary, has_gpu)
    path, = logs.glob("metadata_*.json")
    check_metadata(parse(path.read_text()))
    cpu, gpu = (check_log(parse((logs / f"{kind}.json").read_text())) for kind in ("cpu", "gpu"))
    assert all(value > 0 for values in gpu.values() for value in values)
    assert bool(gpu) == has_gpu
    # [1] is all in the schema's numbering, and CPU only in the other one.
    assert check_log(parse((logs / "dram.json").read_text())) if has_dram else True
    head, *rows = csv.reader((logs / "system_measurements.csv").open())
    assert head == ["readable_time", "cpu_percent", "mem_total", "mem_avail", "mem_percent_used",
                    "disk_total", "disk_free", "disk_percent"]
    assert rows and all(len(row) == len(head) and all(row) for row in rows)
    return summary, cpu


def by_name(summary):
    return {entry["plugin"]: entry for entry in summary["plugin power summary report"]}


def by_pid(summary):
    return {entry["pid"]: entry for entry in summary["pid power summary report"]}


# ---- the application ------------------------------------------------------------------------------


class Application:
    """Everything around the power plugin. route: how that one goes to the engine, "port" or "bus"."""

    def __init__(self, engine, directory, route):
        self.engine, self.route, self._directory = engine, route, directory
        self.logs = directory / "logs"
        self.script = sim_script(directory / "sim.json", CPU, DRAM)
        self.environment = {"TRAPS_POWER_LOG_PATH": str(self.logs),
                            "TRAPS_POWER_LOG_LEVEL": "DEBUG", "TRAPS_POWER_BACKEND": "powerjoular",
                            "TRAPS_POWER_LOG_HOST_PATH": "/nowhere",
                            "POWERMEASURE_LOG_FORMAT": "camera-traps"}
        self.members, self._closing = [], []
        self.power = self.observer = self.poller = None

    def add(self, name, duty, **keywords):
        member = Member(self._directory, name, self.engine.addresses[name], duty, **keywords)
        self._closing.append(member.kill)
        self.members.append(member)
        return member.wait_ready()

    def start_power(self, *args, sensors=None):
        address = self.engine.addresses
        if self.route == "bus":
            where = ["--subscribe", address["subscribe"], "--publish", address["publish"]]
        else:
            host, port = address["power"].removeprefix("tcp://").split(":")
            where = []
            self.environment.update(POWER_MEASURING_PLUGIN_HOST=host,
                                    POWER_MEASURING_PLUGIN_PORT=port)
        self.power = Plugin(self.logs, "--sensors", sensors or self.script, *where, *args,
                            listen=False, env=self.environment)
        self._closing.append(self.power.close)
        return self.power

    def observe(self):
        self.observer = Observer(self.engine, self.logs)
        self._closing.append(self.observer.close)
        return self.observer

    def poll(self):
        self.poller = Poller(self.logs / SUMMARY, parse)
        self._closing.append(self.poller.close)

    def start_engine_unseen(self):
        """So that the observer is there before the power plugin is."""
        self.power.process.send_signal(signal.SIGSTOP)
        self.engine.start()
        self.observer.wait_listening()
        self.power.process.send_signal(signal.SIGCONT)

    def wait_measured(self, *members, n=1):
        """Their lines are in the log."""
        for member in members:
            self.power.wait_said(rf"pid {member.pid} .*measuring begins")

        def counts():
            log = check_log(parse((self.logs / "cpu.json").read_text()))
            return all(len(log[m.pid]) >= n for m in members)
        wait_for(counts, what="lines of all plugins")

    def wait_exit(self):
        """The power plugin ends by itself, as everybody waits for. Returns when."""
        assert self.power.process.wait(GIVE_UP_S) == 0, self.power.said
        return time.monotonic()

    def wait_engine_ended(self):
        """It waits for the goodbye of everybody who has a port there."""
        self.engine.wait_ended(without=["power"] if self.route == "bus" else [])

    def close(self):
        for close in reversed(self._closing):
            close()
        self.engine.close()
        if self.power:
            assert "Sanitizer" not in self.power.said, self.power.said


@pytest.fixture(params=["real engine", "stand-in"])
def some_engine(request):
    """An engine that is not yet started."""
    if request.param == "real engine":
        return WholeEngine(request.getfixturevalue("engine_program"))
    return StandInEngine()


@pytest.fixture(params=["port", "bus"])
def app(request, some_engine, tmp_path):
    one = Application(some_engine, tmp_path, request.param)
    yield one
    one.close()


@pytest.fixture
def quick_app(tmp_path):
    """Where it does not matter which engine and which way."""
    one = Application(StandInEngine(), tmp_path, "port")
    yield one
    one.close()


def test_the_whole_application(app):
    """Engine first; then the power plugin, then all others; the oracle ends it all."""
    app.logs.mkdir()
    (app.logs / SUMMARY).write_text('{"plugin power summary report": "of an earlier run"}')
    app.engine.start()
    observer = app.observe().wait_listening()
    power = app.start_power()
    assert observer.wait("started")[1:3] == (NAME, UUID)
    assert not (app.logs / SUMMARY).exists()
    app.poll()
    generating, scoring = app.add("generating", 0.6), app.add("scoring", 0.2)
    oracle = app.add("oracle", 0.05)
    app.wait_measured(generating, scoring, oracle)

    before = {m.name: m.cpu_s() for m in app.members}
    time.sleep(4)
    least = {m.name: m.cpu_s() - before[m.name] for m in app.members}
    # Nothing else runs below the plugin: no tool, no container.
    assert not any(p.read_text() for p in pathlib.Path(f"/proc/{power.pid}/task").glob("*/children"))

    terminated = time.monotonic()
    oracle.end_application()
    app.wait_exit()
    most = {m.name: m.cpu_s_at_end() + 0.02 for m in app.members}
    assert all(member.wait() == 0 for member in app.members)
    assert app.poller.first > terminated
    app.wait_engine_ended()
    app.poller.close()
    assert app.poller.wrong is None and len(app.poller.versions) == 1
    # Whoever hears of its end finds the files finished.
    _, name, uuid, files = observer.wait("terminating")
    assert (name, uuid) == (NAME, UUID) and SUMMARY in files, files

    summary, cpu = check_files(app.logs, has_gpu=False)
    entries = by_name(summary)
    assert set(entries) == {m.name for m in app.members}
    for member in app.members:
        entry = entries[member.name]
        assert entry["cpu_quality"] == "simulated" and entry["samples"] >= 4
        # It was measured a little longer than between the two looks, but not all its life.
        used_s = entry["cpu_energy_joules"] * N_CPU / CPU_W
        assert 0.99 * least[member.name] <= used_s <= 1.01 * most[member.name], (least, most)
        assert entry["cpu_energy_low_joules"] <= entry["cpu_energy_joules"]
        assert entry["cpu_energy_joules"] == pytest.approx(
            entry["cpu_power_consumption"] * entry["cpu_seconds"], rel=1e-3)
    assert set(cpu) == {m.pid for m in app.members}


def by_watts(app):
    return check_log(parse((app.logs / "cpu.json").read_text()))


def test_the_engine_comes_last(app):
    power = app.start_power()
    power.wait_said("no event engine yet")
    app.observe()
    app.start_engine_unseen()
    power.wait_said("connected to the event engine")
    assert app.observer.wait("started")[1:3] == (NAME, UUID)
    scoring, oracle = app.add("scoring", 0.2), app.add("oracle", 0)
    app.wait_measured(scoring)
    oracle.end_application()
    app.wait_exit()
    app.observer.wait("terminating")
    summary, _ = check_files(app.logs, has_gpu=False)
    assert set(by_name(summary)) == {scoring.name, oracle.name}


def test_the_engine_is_restarted(app):
    """Measuring goes on; who was measured before is in the report with those who came after."""
    app.engine.start()
    app.observe().wait_listening()
    power = app.start_power()
    app.observer.wait("started")
    generating = app.add("generating", 0.3)
    app.wait_measured(generating)
    app.engine.kill()
    power.wait_said("lost the event engine")
    n = len(by_watts(app)[generating.pid])
    app.wait_measured(generating, n=n + 2)
    app.start_engine_unseen()
    wait_for(lambda: power.said.count("connected to the event engine") == 2, what="the connection")
    if app.route == "bus":  # the engine that came back knows of nobody without a port there
        assert app.observer.wait("started", 2)[1:3] == (NAME, UUID)
    scoring, oracle = app.add("scoring", 0.2), app.add("oracle", 0)
    app.wait_measured(scoring)
    oracle.end_application()
    app.wait_exit()
    app.observer.wait("terminating")
    summary, _ = check_files(app.logs, has_gpu=False)
    assert set(by_name(summary)) == {generating.name, scoring.name, oracle.name}
    longer, shorter = (by_name(summary)[one.name]["cpu_seconds"] for one in (generating, scoring))
    assert longer > shorter


def test_told_to_end(app):
    """As `docker compose down` does it, which waits ten seconds; nobody has terminated anything. With
    a port of its own a plugin that waits for an event cannot publish there: the bus is told."""
    app.engine.start()
    app.observe().wait_listening()
    if app.route == "port":
        power = app.start_power("--publish", app.engine.addresses["publish"])
    else:
        power = app.start_power()
    app.observer.wait("started")
    scoring = app.add("scoring", 0.2)
    app.wait_measured(scoring)
    assert power.stop(signal.SIGTERM) == 0
    assert SUMMARY in app.observer.wait("terminating")[3]
    summary, _ = check_files(app.logs, has_gpu=False)
    assert set(by_name(summary)) == {scoring.name}


def test_told_to_end_while_there_is_no_engine(app):
    power = app.start_power("--self-test")
    power.wait_said("measuring begins")
    wait_for(lambda: by_watts(app), what="a line")
    assert power.stop(signal.SIGTERM) == 0
    summary, _ = check_files(app.logs, has_gpu=False, has_dram=False)
    assert set(by_name(summary)) == {"power_monitor_plugin"}


def test_plugins_that_die_and_those_who_ask_for_nonsense(app):
    """None of it costs anybody the report: a plugin that is killed, one that asks twice, several pids
    in one event, pids of nobody, a process that is no plugin."""
    app.engine.start()
    app.observe().wait_listening()
    power = app.start_power()
    app.observer.wait("started")
    generating = app.add("generating", 0.2, starts=2)
    app.wait_measured(generating)
    generating.kill()
    power.wait_said(rf"pid {generating.pid} .*the process ended")
    scoring, oracle = app.add("scoring", 0.1), app.add("oracle", 0)
    # A pid that is gone stands beside good ones.
    app.observer.publish(
        start_event([generating.pid, os.getpid(), scoring.pid, scoring.pid], [1], 0))
    power.wait_said(f"there is no process {generating.pid}")
    power.wait_said(rf"pid {os.getpid()} .*measuring begins")
    app.wait_measured(scoring)
    wait_for(lambda: by_watts(app).get(os.getpid()), what="a line of the test's own")
    oracle.end_application()
    app.wait_exit()
    summary, _ = check_files(app.logs, has_gpu=False)
    assert set(by_name(summary)) == {generating.name, scoring.name, oracle.name}
    # Its two sessions were at the same time: nothing counts twice.
    entries = by_pid(summary)
    assert set(entries) == {generating.pid, scoring.pid, oracle.pid, os.getpid()}
    mean = entries[generating.pid]["cpu_power_consumption"]
    assert 0 < mean <= CPU_W / N_CPU * 1.05
    other, = summary["other power summary report"]
    assert other["plugin"] not in KNOWN and other["processes"] == 1
    assert entries[os.getpid()]["plugin_name"] == other["plugin"]


def test_a_machine_with_a_gpu(quick_app, tmp_path):
    """Its power while each was measured is everybody's, as it has always been in these files."""
    app = quick_app
    app.engine.start()
    script = sim_script(tmp_path / "gpu.json", CPU, GPU)
    app.start_power(sensors=script).wait_said("connected to the event engine")
    scoring, generating = app.add("scoring", 0.2), app.add("generating", 0.1)
    oracle = app.add("oracle", 0)
    app.wait_measured(scoring, generating, oracle, n=2)
    oracle.end_application()
    app.wait_exit()
    summary, _ = check_files(app.logs, has_gpu=True, has_dram=False)
    for entry in summary["plugin power summary report"]:
        assert entry["gpu_power_consumption"] == pytest.approx(GPU_W, rel=0.02)
    # A simulated driver does not tell who used it.
    assert not any("gpu_own_energy_joules" in e for e in summary["pid power summary report"])


@pytest.mark.parametrize("share", ["device", "process"])
def test_a_driver_that_tells_who_used_the_gpu(quick_app, fake_nvml, share):  # noqa: F811
    """What each used itself stands beside the device's power, or in its place if so asked."""
    app = quick_app
    app.engine.start()
    # They ask before the power plugin is there: at its port the engine keeps it.
    scoring, generating = app.add("scoring", 0.1), app.add("generating", 0.1)
    fake = fake_nvml(gpu(GPU_W, utilization=[60, 0], processes=[{"pid": scoring.pid, "sm": 40}]))
    app.environment.update(fake.env)
    app.start_power("--gpu-share", share, sensors="nvml,estimate")
    app.wait_measured(scoring, generating, n=12)
    assert app.power.stop() == 0
    summary = parse((app.logs / SUMMARY).read_text())
    entries = by_name(summary)
    for entry in entries.values():
        device = entry["gpu_energy_joules"] / entry["gpu_seconds"]
        assert device == pytest.approx(GPU_W, rel=0.1)
        expected = device if share == "device" else entry["gpu_own_power_consumption"]
        assert entry["gpu_power_consumption"] == pytest.approx(expected, rel=1e-3)
    # The first look, a second after the beginning, tells nothing yet.
    assert 0.2 * GPU_W < entries[scoring.name]["gpu_own_power_consumption"] < 0.42 * GPU_W
    assert entries[generating.name]["gpu_own_power_consumption"] == 0
    assert share == "process" or flatten(summary)[
        "total_gpu_power_consumption"] == pytest.approx(2 * GPU_W, rel=0.1)


def test_a_plugin_that_was_started_again(quick_app):
    """One entry a name: the mean over both times, and not their sum."""
    app = quick_app
    app.engine.start()
    app.start_power().wait_said("connected to the event engine")
    oracle = app.add("oracle", 0)
    first = app.add("scoring", 0.4)
    app.wait_measured(first, n=3)
    first.kill()
    app.power.wait_said(rf"pid {first.pid} .*the process ended")
    app.engine.kill()  # the port waits for the first one's next request
    app.engine.start()
    wait_for(lambda: app.power.said.count("connected to the event engine") == 2, what="the engine")
    second = app.add("scoring", 0.4)
    app.wait_measured(second, n=3)
    oracle.kill()
    assert app.power.stop() == 0
    summary, _ = check_files(app.logs, has_gpu=False)
    entry, pids = by_name(summary)[first.name], by_pid(summary)
    energy = sum(pids[pid]["cpu_energy_joules"] for pid in (first.pid, second.pid))
    seconds = sum(pids[pid]["cpu_seconds"] for pid in (first.pid, second.pid))
    assert entry["processes"] == 2
    assert entry["cpu_power_consumption"] == pytest.approx(energy / seconds, rel=1e-3)


# ---- environment, rights, messages ---------------------------------------------------------------


@pytest.mark.parametrize("value, on", [("1", True), ("0", False), ("", False), ("True", True),
                                       ("False", False), ("2", True), ("no", False),
                                       ("nonsense", False)])
def test_the_test_function(plugin, value, on):
    p = plugin("--sensors", "sim", "--log-format", "camera-traps",
               env={"TRAPS_TEST_POWER_FUNCTION": value})
    if on:
        p.wait_said(rf"pid {p.pid} .*measuring begins")
        wait_for(lambda: p.log("cpu.json"), what="a line")
    assert p.stop() == 0
    names = [e["plugin"] for e in p.log(SUMMARY)["plugin power summary report"]]
    assert names == (["power_monitor_plugin"] if on else [])
    assert ("neither 0 nor 1" in p.said) == (value == "nonsense")


@pytest.mark.parametrize("backend", ["powerjoular", "scaphandre", "jtop", "of_tomorrow", "sim,nvml"])
def test_a_backend_is_ignored_and_never_an_error(plugin, backend):
    p = plugin("--sensors", "sim", env={"TRAPS_POWER_BACKEND": backend, "POWER_JOULAR_IMAGE": "x",
                                        "TRAPS_POWER_LOG_HOST_PATH": "/no/such/place",
                                        "TRAPS_CONFIG_FILE": "/no/such/file"})
    assert p.stop() == 0
    assert re.findall(r"WARN: (TRAPS.*)", p.said) == [
        f"TRAPS_POWER_BACKEND={backend} is ignored: sensors are read directly"]
    assert "ERROR" not in p.said


@pytest.mark.parametrize("level, shown", [
    ("DEBUG", {"INFO", "WARN"}), ("INFO", {"INFO", "WARN"}), ("WARN", {"WARN"}), ("ERROR", set()),
    ("LOUD", {"INFO", "WARN"})])
def test_messages_and_their_levels(plugin, level, shown):
    """On standard error, in the form that the old plugin's had."""
    p = plugin("--sensors", "sim", "--self-test", wait=False,
               env={"TRAPS_POWER_LOG_LEVEL": level, "JOURNAL_STREAM": "8:12345"})  # of somebody else
    wait_for(lambda: "CPU.json" in os.listdir(p.log_dir) if p.log_dir.exists() else False,
             what="the log")
    wait_for(lambda: p.log("CPU.json"), what="a line")
    assert p.stop() == 0
    lines = p.said.splitlines()
    found = [re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (\w+): \S.*", x) for x in lines]
    assert all(found), p.said
    assert {f.group(1) for f in found} - {"DEBUG"} == shown
    assert level == "DEBUG" or " DEBUG: " not in p.said
    assert ("TRAPS_POWER_LOG_LEVEL" in p.said) == (level == "LOUD")


def test_messages_to_the_journal(tmp_path):
    """systemd's own form where its journal reads them."""
    read, write = os.pipe()
    stat = os.fstat(write)
    done = subprocess.run([POWERMEASURE, "plugin", "--sensors", "sim", "--listen", "nonsense",
                           "--log-dir", tmp_path / "logs"], stderr=write,
                          env=dict(os.environ, JOURNAL_STREAM=f"{stat.st_dev}:{stat.st_ino}"))
    os.close(write)
    with os.fdopen(read) as lines:
        said = lines.read()
    assert done.returncode == 1
    assert re.match(r"<[346]>\S", said) and re.search("^<3>cannot listen", said, re.M), said


@pytest.mark.parametrize("port", ["nonsense", "0", "65536", "-1"])
def test_a_port_that_is_none(plugin, port):
    p = plugin("--sensors", "sim", listen=False, env={"POWER_MEASURING_PLUGIN_PORT": port,
                                                      "POWER_MEASURING_PLUGIN_HOST": "engine"})
    assert p.process.wait(GIVE_UP_S) == 2
    p.wait_said("POWER_MEASURING_PLUGIN_PORT")


@pytest.mark.parametrize("args, why", [
    (["--subscribe", "tcp://e:5560"], "--subscribe needs --publish"),
    (["--publish", "tcp://e:5559"], "--publish needs --subscribe"),
    (["--publish", "tcp://e:5559", "--listen", "tcp://127.0.0.1:*"], "--publish needs --subscribe"),
    (["--subscribe", "tcp://e:5560", "--publish", "tcp://e:5559", "--engine", "tcp://e:6010"],
     "cannot be used together"),
    (["--subscribe", "tcp://e:5560", "--listen", "tcp://127.0.0.1:*"], "cannot be used together"),
    (["--gpu-share", "both"], "not one of device, process: 'both'"),
])
def test_options_that_do_not_go_together(plugin, args, why):
    p = plugin("--sensors", "sim", *args, listen=False)
    assert p.process.wait(GIVE_UP_S) == 2
    p.wait_said(re.escape(why))


@pytest.mark.parametrize("args, missing", [
    (["--subscribe", "nonsense", "--publish", "tcp://127.0.0.1:5559"], "nonsense"),
    (["--subscribe", "tcp://127.0.0.1:5560", "--publish", "tcp://x"], "tcp://x"),
    (["--engine", "tcp://127.0.0.1:6010", "--publish", "5559"], "5559"),
])
def test_what_is_no_address(plugin, args, missing):
    p = plugin("--sensors", "sim", *args, listen=False)
    assert p.process.wait(GIVE_UP_S) == 1
    p.wait_said(f"{re.escape(missing)} is no address to connect to")


@pytest.fixture
def anybody(public):
    """A user without a name and without rights, to whom a directory belongs."""
    if os.getuid() != 0:
        pytest.skip("only root can be somebody else")
    logs = public / "logs"
    logs.mkdir()
    os.chown(logs, 54321, 54322)
    return logs


def test_as_any_user(anybody):
    """Files belong to whoever runs it; what may not be read is said, and the rest goes on."""
    args = {"user": 54321, "group": 54322, "extra_groups": []}
    env = {"TRAPS_TEST_POWER_FUNCTION": "1", "HOME": "/nonexistent"}
    p = Plugin(anybody, "--log-format", "camera-traps", env=env, run_as=args,
               program=anybody.parent / "powermeasure")
    try:
        p.wait_said(rf"pid {p.pid} .*measuring begins")
        wait_for(lambda: json.loads((anybody / "cpu.json").read_text()), what="a line")
        assert p.stop() == 0
    finally:
        p.close()
    for path in anybody.iterdir():
        assert (path.stat().st_uid, path.stat().st_gid) == (54321, 54322), path
    summary = parse((anybody / SUMMARY).read_text())
    assert by_name(summary)["power_monitor_plugin"]["cpu_power_consumption"] > 0
    path, = anybody.glob("metadata_*.json")
    cpu = next(t for t in parse(path.read_text())["tools"]["devices"] if t["device_type"] == "cpu")
    quality = by_name(summary)["power_monitor_plugin"]["cpu_quality"]
    assert ("ESTIMATED" in cpu["tool_params"]) == (quality == "estimated")
    if quality == "estimated":
        assert re.search("CPU power is ESTIMATED, not measured", p.said)
        assert re.search(r"sensor rapl-\S+ is not used: \S", p.said)


def test_the_logs_that_root_left(anybody):
    """Of the program that ran here with sudo before: they are continued, and belong to us then."""
    before = [{"2023-08-25 05:50:59": [["8.37", "1"]]}]
    for name in "cpu.json", "gpu.json":
        (anybody / name).write_text(json.dumps(before, indent=4))
    (anybody / "system_measurements.csv").write_text('"readable_time"\n')
    for path in anybody.iterdir():
        os.chown(path, 0, 0)
        path.chmod(0o644)
    args = {"user": 54321, "group": 54322, "extra_groups": []}
    p = Plugin(anybody, "--log-format", "camera-traps", "--sensors", "sim",
               env={"TRAPS_TEST_POWER_FUNCTION": "1", "HOME": "/nonexistent"}, run_as=args,
               program=anybody.parent / "powermeasure")
    try:
        wait_for(lambda: len(json.loads((anybody / "cpu.json").read_text())) > 1, what="a line")
        assert p.stop() == 0
    finally:
        p.close()
    assert json.loads((anybody / "cpu.json").read_text())[0] == before[0]
    owned = {path.name: path.stat().st_uid for path in anybody.iterdir()}
    assert owned["cpu.json"] == owned["gpu.json"] == owned["system_measurements.csv"] == 54321
    # The csv of before stays, under another name.
    assert [name for name, uid in owned.items() if uid == 0 and "system_measurements" in name]


@pytest.mark.parametrize("wrong", [["--engine", "tcp://:bad"], ["--record", "/nonexistent/x"],
                                   ["--sensors", "nvml"]])
def test_a_start_that_fails_leaves_no_summary(tmp_path, wrong):
    """An earlier run's would be taken for this one's, and so would an empty one."""
    (tmp_path / SUMMARY).write_text("{}")
    done = run("plugin", "--sensors", "sim", "--log-format", "camera-traps", "--log-dir", tmp_path, *wrong)
    assert done.returncode == 1, done.stderr
    assert not (tmp_path / SUMMARY).exists()


def test_in_a_pid_namespace_of_its_own(plugin, tmp_path):
    """Where a container does not share the machine's pids: nobody is taken for somebody else, and as
    the namespace's first process it ends when it is told to."""
    unshare = ["unshare", "--pid", "--fork", "--mount-proc"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"],
                                                     stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no PID namespace can be made here")
    wrapper = tmp_path / "in-namespace"
    wrapper.write_text(f"#!/bin/sh\nexec {' '.join(unshare)} {POWERMEASURE} \"$@\"\n")
    wrapper.chmod(0o755)
    p = plugin("--sensors", "sim", "--log-format", "camera-traps", "--self-test", program=wrapper)
    inner, = pathlib.Path(f"/proc/{p.pid}/task/{p.pid}/children").read_text().split()
    try:
        p.wait_said("pid 1 .*measuring begins")
        assert b"there is no process" in p.send(start_event([os.getpid()], [1], 0))
        wait_for(lambda: p.log("cpu.json"), what="a line")
    finally:
        os.kill(int(inner), signal.SIGTERM)
    assert p.process.wait(GIVE_UP_S) == 0
    summary = p.log(SUMMARY)
    assert [e["pid"] for e in summary["pid power summary report"]] == [1]
    assert set(by_name(summary)) == {"power_monitor_plugin"}
