# SPDX-License-Identifier: MIT
"""Monitor, over the library that was built and simulated hardware."""

import asyncio
import errno
import gc
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

import pytest

from conftest import BUILD, GIVE_UP_S, TOP, build_option, sim_script, threads_of, wait_for
from fakenvml import fake_nvml, gpu  # noqa: F401 (a fixture)

PACKAGE = TOP / "python"
LIBRARY = BUILD / "src" / "lib" / "libpowermeasure.so.0"
sys.path.insert(0, str(PACKAGE))

import powermeasure  # noqa: E402
from powermeasure import (  # noqa: E402
    LibraryNotFound,
    Measurement,
    Monitor,
    MonitorError,
    WindowError,
)

ONE_CPU = {"name": "package-0", "kind": "cpu", "curve": [[1, 20]], "stamped": True}


@pytest.fixture(autouse=True)
def library(monkeypatch):
    if build_option("b_sanitize") != "none":
        pytest.skip("Python without a sanitizer cannot load a library with one")
    monkeypatch.setenv("POWERMEASURE_LIBRARY", str(LIBRARY))


@pytest.fixture
def machine(tmp_path):
    """Two packages in a board, memory, and two GPUs, of constant power: the energy is exact."""
    def domain(name, kind, watts, **more):
        return {"name": name, "kind": kind, "curve": [[1, watts]], "stamped": True, **more}

    return sim_script(
        tmp_path / "sim.json", domain("psys", "platform", 70),
        domain("package-0", "cpu", 20, parent="psys"),
        domain("package-1", "cpu", 30, parent="psys"),
        domain("core", "cpu", 15, parent="package-0"),
        domain("dram-0", "dram", 4), domain("dram-1", "dram", 6),
        domain("gpu-0", "gpu", 100), domain("gpu-3", "gpu", 200))


def check(measurement, least_s, since):
    """All domains of the machine above, for a window that was open for so long at least, and began at
    `since` at the earliest."""
    most_s = time.monotonic() - since
    watts = {"cpu": {0: 20, 1: 30}, "dram": {0: 4, 1: 6}, "gpu": {0: 100, 3: 200},
             "platform": {0: 70}}
    assert least_s <= measurement.time <= most_s
    for kind, powers in watts.items():
        joules = getattr(measurement, f"{kind}_energy")
        assert set(joules) == set(powers)
        for i, w in powers.items():
            assert w * least_s - 1e-6 <= joules[i] <= w * most_s + 1e-6, (kind, i)
        total = getattr(measurement, kind)
        assert total.joules == pytest.approx(sum(joules.values()), abs=1e-6)
        assert total.low <= total.joules <= total.high and float(total) == total.joules
        assert total.quality == "measured" and not (total.gap or total.reset or total.partial)
        assert total.watts == pytest.approx(sum(powers.values()), rel=0.001)
    # The packages lie in the board: it is counted, and they are not.
    assert measurement.total_energy == measurement.total.joules == pytest.approx(
        sum(getattr(measurement, kind).joules for kind in ("dram", "gpu", "platform")), abs=1e-6)


# ---- windows -------------------------------------------------------------------------------------


def test_a_window(machine):
    begun = time.monotonic()
    monitor = Monitor(machine)
    assert monitor.begin_window("work") is None
    time.sleep(0.2)
    check(monitor.end_window("work"), 0.2, begun)


def test_nested_and_overlapping(machine):
    begun = time.monotonic()
    monitor = Monitor(machine)
    monitor.begin_window("outer")
    monitor.begin_window("inner")
    time.sleep(0.1)
    monitor.begin_window("across")
    inner = monitor.end_window("inner")
    time.sleep(0.1)
    outer = monitor.end_window("outer")
    across = monitor.end_window("across")
    check(inner, 0.1, begun)
    check(outer, 0.2, begun)
    check(across, 0.1, begun)
    assert inner.total_energy < outer.total_energy


def test_the_context_manager(machine):
    begun = time.monotonic()
    monitor = Monitor(machine)
    with monitor.window("work") as w:
        assert w.result is None and w.key == "work"
        time.sleep(0.1)
    check(w.result, 0.1, begun)
    # An exception passes, and what was measured is there.
    with pytest.raises(KeyError):
        with monitor.window("work") as w:
            time.sleep(0.1)
            raise KeyError
    check(w.result, 0.1, begun)


def test_the_decorator(machine):
    begun = time.monotonic()
    monitor, seen = Monitor(machine), []

    @monitor.measure(then=seen.append)
    def work(depth):
        """Its own text."""
        time.sleep(0.05)
        return work(depth - 1) if depth else "done"

    assert work.measurement is None and work.__name__ == "work" and work.__doc__ == "Its own text."
    assert work(2) == "done"
    assert len(seen) == 3
    assert seen[0].total_energy < seen[1].total_energy < seen[2].total_energy
    assert work.measurement is seen[2]

    @monitor.measure
    def fails():
        time.sleep(0.01)
        raise OSError

    with pytest.raises(OSError):
        fails()
    assert fails.measurement.total_energy > 0

    @monitor.measure
    async def waits():
        await asyncio.sleep(0.1)
        return 5

    assert asyncio.run(waits()) == 5
    check(waits.measurement, 0.1, begun)

    with pytest.raises(TypeError, match="generator"):
        @monitor.measure
        def generates():
            yield


def test_wrong_windows(machine):
    begun = time.monotonic()
    monitor = Monitor(machine)
    monitor.begin_window("work")
    time.sleep(0.1)
    with pytest.raises(ValueError, match='"work" has begun already') as caught:
        monitor.begin_window("work")
    assert caught.type is WindowError and caught.value.errno == errno.EEXIST
    with pytest.raises(WindowError, match='no window "other" is open'):
        monitor.end_window("other")
    for key in "", "a\0b":
        with pytest.raises(WindowError, match="no name of a window"):
            monitor.begin_window(key)
    for key in None, 5, b"work":
        with pytest.raises(TypeError, match="name is a text"):
            monitor.begin_window(key)
    # The window that was open all the time has not suffered.
    check(monitor.end_window("work"), 0.1, begun)
    with pytest.raises(WindowError, match="has been ended already") as caught:
        monitor.end_window("work")
    assert caught.value.errno == errno.ENOENT


def test_restart_and_cancel(machine):
    begun = time.monotonic()
    monitor = Monitor(machine)
    monitor.begin_window("work")
    time.sleep(0.2)
    monitor.begin_window("work", restart=True)
    time.sleep(0.1)
    check(monitor.end_window("work"), 0.1, begun)
    monitor.begin_window("work", restart=True)
    nothing = monitor.end_window("work", cancel=True)
    assert nothing == Measurement(time=0.0) and nothing.total_energy is None
    with pytest.raises(WindowError):
        monitor.end_window("work", cancel=True)


def test_it_waits_for_what_was_handed_out(machine):
    calls = []
    monitor = Monitor(machine, sync=lambda: calls.append(len(calls)))
    monitor.begin_window("work")
    monitor.end_window("work")
    assert calls == [0, 1]
    monitor.begin_window("work", sync_execution=False)
    monitor.end_window("work", sync_execution=False)
    assert calls == [0, 1]
    with pytest.raises(TypeError, match="sync"):
        Monitor(machine, sync="torch")


def test_another_thread_may_end_it(machine):
    begun = time.monotonic()
    monitor, results = Monitor(machine), []
    monitor.begin_window("work")
    time.sleep(0.1)
    thread = threading.Thread(target=lambda: results.append(monitor.end_window("work")))
    thread.start()
    thread.join()
    check(results[0], 0.1, begun)


def test_windows_of_many_threads(machine):
    monitor, failures = Monitor(machine), []

    def work(name):
        try:
            for _ in range(50):
                with monitor.window(name) as w:
                    pass
                assert w.result.time >= 0
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_child_makes_its_own(machine):
    monitor = Monitor(machine)
    monitor.begin_window("work")
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            try:
                monitor.end_window("work")
            except MonitorError as error:
                status = 2 if error.errno != errno.EPERM or "fork" not in str(error) else 0
            monitor.close()
            with Monitor(machine) as own, own.window("work"):
                pass
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    monitor.end_window("work")


def test_closing(machine):
    monitor = Monitor(machine)
    monitor.begin_window("never ended")
    monitor.close()
    monitor.close()
    for call in (lambda: monitor.begin_window("work"), lambda: monitor.end_window("work"),
                 monitor.read, lambda: monitor.sensors, lambda: monitor.add_process(1)):
        with pytest.raises(MonitorError, match="closed"):
            call()
    with Monitor(machine) as monitor:
        monitor.read()
    gc.collect()  # what other tests have left
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        Monitor(machine).begin_window("forgotten")
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("document", ["docs/library.md", "python/README.md"])
def test_the_documents_programs(document, capsys):
    exec(re.search(r"```python\n(.*?Monitor.*?)```", (TOP / document).read_text(), re.S).group(1),
         {"__name__": "document"})
    assert capsys.readouterr().out


# ---- what was not measured -----------------------------------------------------------------------


def test_what_was_not_measured_is_none(tmp_path):
    monitor = Monitor(sim_script(tmp_path / "sim.json", ONE_CPU))
    with monitor.window("work") as w:
        time.sleep(0.05)
    m = w.result
    assert set(m.cpu_energy) == {0} and m.cpu_energy[0] > 0
    assert m.gpu_energy is m.dram_energy is m.platform_energy is m.soc_energy is None
    assert m.gpu is m.dram is m.platform is None
    assert m.total_energy == m.cpu_energy[0]
    broken = dict(ONE_CPU, faults=[{"at": 0, "what": "eio"}])
    monitor = Monitor(sim_script(tmp_path / "sim.json", broken))
    m = monitor.read()
    assert m.cpu_energy is m.cpu is m.total is m.total_energy is None
    assert m.domains == {"package-0": None}


def test_a_sum_that_lacks_something_says_so(tmp_path):
    broken = dict(ONE_CPU, name="package-1", faults=[{"at": 0, "what": "eio"}])
    monitor = Monitor(sim_script(tmp_path / "sim.json", ONE_CPU, broken))
    with monitor.window("work") as w:
        time.sleep(0.05)
    assert w.result.cpu_energy[0] > 0 and w.result.cpu_energy[1] is None
    assert w.result.cpu.partial and w.result.total.partial


def test_an_estimate_is_called_one():
    monitor = Monitor("estimate", estimate_watts=(1, 3.5))
    with monitor.window("work") as w:
        time.sleep(0.1)
    assert w.result.cpu.quality == w.result.total.quality == "estimated"
    assert w.result.cpu.low < w.result.cpu.joules < w.result.cpu.high
    assert "1.000:3.500 W" in monitor.domains[0].model
    with pytest.raises(MonitorError, match="idle power"):
        Monitor("estimate", estimate_watts=(3, 1))
    with pytest.raises(ValueError, match="no powers"):
        Monitor("estimate", estimate_watts=(-1, 0))


def test_no_gpus(machine):
    monitor = Monitor(machine, gpu_indices=[])
    with monitor.window("work") as w:
        time.sleep(0.05)
    assert w.result.gpu_energy is None and w.result.gpu is None
    assert w.result.cpu_energy[1] > 0 and not w.result.total.partial
    with pytest.raises(TypeError, match="a list is needed"):
        Monitor(machine, gpu_indices=0)


# ---- polling -------------------------------------------------------------------------------------


def pm_threads():
    return [name for name in threads_of(os.getpid()) if name.startswith("pm-")]


def test_without_polling_there_is_no_thread():
    before = len(os.listdir("/proc/self/task"))
    monitor = Monitor("sim,sim-polled", polling=False)
    with monitor.window("work"):
        pass
    assert len(os.listdir("/proc/self/task")) == before
    (polled,) = [s for s in monitor.sensors if s.name == "sim-polled"]
    assert polled.needs_polling and not polled.used and "needs polling" in polled.reason
    assert "pm_start_polling()" in polled.fix


def test_with_polling():
    # An earlier test's monitor may wait to be collected, and a joined thread be seen a little longer.
    gc.collect()
    wait_for(lambda: not pm_threads(), what="the end of earlier threads")
    monitor = Monitor(["sim-polled"])
    assert pm_threads() == ["pm-sim-polled"]
    wait_for(lambda: monitor.read().gpu, what="the GPU's first reading")
    with monitor.window("work") as w:
        time.sleep(0.3)
    assert w.result.gpu.quality == "integrated" and w.result.gpu_energy[0] > 0
    monitor.close()
    wait_for(lambda: not pm_threads(), what="the end of its thread")


GPUS = """
import time
from powermeasure import Monitor

monitor = Monitor("nvml")
begun = time.monotonic_ns()
monitor.begin_window("work")
time.sleep(1)
m = monitor.end_window("work")
assert set(m.gpu_energy) == {0, 1}, m
assert all(d.id for d in monitor.domains), monitor.domains
assert m.gpu.quality == "measured" and not m.gpu.partial, m.gpu
assert m.cpu_energy is None
for i, watts in enumerate((300, 100)):
    assert abs(m.gpu_energy[i] - watts * m.time) < 0.03 * watts * m.time, (m, i)
only = Monitor("nvml", gpu_indices=[1])
assert [d.name for d in only.domains] == ["gpu-1"], only.domains
none = Monitor("nvml", polling=False)
assert none.read().gpu_energy is None
print("fine")
"""


@pytest.mark.alone
def test_gpus(fake_nvml):
    """A window that begins as soon as there is a monitor, over counters that move ten times a
    second."""
    fake = fake_nvml(gpu(300), gpu(100))
    done = python(GPUS, POWERMEASURE_LIBRARY=str(LIBRARY), **fake.env)
    assert (done.returncode, done.stdout) == (0, "fine\n")


GPU_USERS = """
import os, time
from powermeasure import Monitor

monitor = Monitor("nvml")
with monitor.window("short") as short:
    time.sleep(0.2)
assert short.result.process.gpu is None, short.result
with monitor.window("long") as w:
    time.sleep(4)
own, whole = w.result.process, w.result.gpu
assert own.gpu is not None and own.gpu.low <= own.gpu.joules <= own.gpu.high, own
assert own.total.joules == own.gpu.joules and not own.total.partial, own
assert 0.2 < own.gpu.joules / whole.joules < 0.4, (own, whole)
print("fine")
"""


@pytest.mark.alone
def test_gpu_of_this_process(fake_nvml, tmp_path):
    """Its part of a GPU is by how much it used it, where the driver reports that: 30 %."""
    own = tmp_path / "pid"
    fake = fake_nvml(gpu(200, utilization=[80, 0], processes=[{"pid_file": str(own), "sm": 30}]))
    code = f"open({str(own)!r}, 'w').write(str(__import__('os').getpid()))\n" + GPU_USERS
    done = python(code, POWERMEASURE_LIBRARY=str(LIBRARY), **fake.env)
    assert (done.returncode, done.stdout) == (0, "fine\n")


# ---- processes -----------------------------------------------------------------------------------


def test_this_process(machine):
    monitor = Monitor(machine)
    begun_s = time.process_time()
    with monitor.window("work") as w:
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass
    own = w.result.process
    assert 0.2 <= own.cpu_time <= time.process_time() - begun_s and not own.ended
    seconds = own.cpu_time / os.sysconf("SC_NPROCESSORS_ONLN")
    assert own.cpu.joules == pytest.approx(50 * seconds, rel=0.05)
    assert own.dram.joules == pytest.approx(10 * seconds, rel=0.05)
    assert own.total.joules == pytest.approx(own.cpu.joules + own.dram.joules, abs=1e-5)
    assert own.cpu.low <= own.cpu.joules <= own.cpu.high


def test_other_processes(machine, load):
    monitor, busy = Monitor(machine), load(0.5)
    monitor.begin_window("before")
    monitor.add_process(busy.pid)
    monitor.add_process(os.getpid())
    with monitor.window("work") as w:
        time.sleep(0.3)
    assert set(w.result.processes) == {busy.pid}
    assert w.result.processes[busy.pid].cpu_time > 0
    assert w.result.processes[busy.pid].cpu.joules > 0
    assert monitor.end_window("before").processes == {}
    monitor.begin_window("work")
    with pytest.raises(MonitorError, match='"work" has it'):
        monitor.remove_process(busy.pid)
    busy.end()
    assert monitor.end_window("work").processes[busy.pid].ended
    monitor.remove_process(busy.pid)
    with pytest.raises(ProcessLookupError):
        monitor.remove_process(busy.pid)
    with pytest.raises(ProcessLookupError, match="no process"):
        monitor.add_process(busy.pid)
    for pid in 0, -1, 2**31, 2**32 + 1:
        with pytest.raises(ValueError, match="is no pid"):
            monitor.add_process(pid)
    with pytest.raises(TypeError):
        monitor.add_process("1")


# ---- finding the library -------------------------------------------------------------------------


def test_what_there_is(machine):
    monitor = Monitor(machine)
    assert [d.name for d in monitor.domains][:4] == ["psys", "package-0", "package-1", "core"]
    core = monitor.domains[3]
    assert (core.kind, core.parent, core.counted, core.sensor, core.quality) == (
        "cpu", "package-0", False, "sim", "measured")
    assert monitor.sensors[0].used and monitor.sensors[0].reason is None
    with pytest.raises(MonitorError, match="unknown sensor: 'nonsense'"):
        Monitor("nonsense")


def python(code, path=PACKAGE, *options, **env):
    clean = {k: v for k, v in os.environ.items() if k != "POWERMEASURE_LIBRARY"}
    return subprocess.run([sys.executable, *options, "-c", code], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=GIVE_UP_S,
                          env=dict(clean, PYTHONPATH=str(path), **env))


# Energy is known once a counter has moved.
READ = ("import time; from powermeasure import Monitor; m = Monitor('sim'); time.sleep(0.05); "
        "print(sorted(m.read().cpu_energy))")


def test_where_the_library_is_found(tmp_path):
    done = python(READ, POWERMEASURE_LIBRARY=str(LIBRARY))
    assert (done.returncode, done.stdout) == (0, "[0]\n")
    done = python(READ, LD_LIBRARY_PATH=str(LIBRARY.parent))
    assert (done.returncode, done.stdout) == (0, "[0]\n")
    shutil.copytree(PACKAGE / "powermeasure", tmp_path / "powermeasure",
                    ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(LIBRARY, tmp_path / "powermeasure" / LIBRARY.name)
    done = python(READ, tmp_path)
    assert (done.returncode, done.stdout) == (0, "[0]\n")


def test_where_it_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("POWERMEASURE_LIBRARY", str(tmp_path / "none.so"))
    with pytest.raises(LibraryNotFound, match="install powermeasure, or name .*none.so"):
        Monitor("sim")
    # Something else under that name.
    import _ctypes
    monkeypatch.setenv("POWERMEASURE_LIBRARY", pathlib.Path(_ctypes.__file__).as_posix()
                       if hasattr(_ctypes, "__file__") else "libc.so.6")
    with pytest.raises(LibraryNotFound, match="pm_open"):
        Monitor("sim")


def test_neither_half_needs_the_other_s_libraries():
    code = ("import sys\n"
            "class Refuse:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            "        if name.split('.')[0] in ('zmq', 'flatbuffers'):\n"
            "            raise ImportError(name)\n"
            "sys.meta_path.insert(0, Refuse())\n"
            "import powermeasure\n")
    done = python(code + READ, POWERMEASURE_LIBRARY=str(LIBRARY))
    assert (done.returncode, done.stdout) == (0, "[0]\n")
    assert "ImportError: zmq" in python(code + "powermeasure.connect").stdout
    done = python("import powermeasure; powermeasure.connect; powermeasure.Monitor",
                  POWERMEASURE_LIBRARY="/nowhere")
    assert done.returncode == 0, done.stdout


def test_the_package_s_names():
    for name in powermeasure.__all__:
        assert getattr(powermeasure, name) is not None
    assert {"Monitor", "connect"} <= set(dir(powermeasure))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        powermeasure.nonsense


def test_the_wheel_s_monitor(tmp_path):
    for module in "setuptools", "wheel", "pip":
        if not importlib.util.find_spec(module):
            pytest.skip(f"no Python module {module} to build or install a wheel with")
    source = shutil.copytree(PACKAGE, tmp_path / "source", ignore=shutil.ignore_patterns(
        "__pycache__", "build", "*.egg-info", "dist"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    for command in ([*pip, "wheel", "-q", "--no-index", "--no-deps", "--no-build-isolation",
                     "--wheel-dir", str(tmp_path), str(source)],
                    [*pip, "install", "-q", "--no-index", "--no-deps", "--target",
                     str(tmp_path / "site"), "--find-links", str(tmp_path), "powermeasure"]):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=GIVE_UP_S)
        assert done.returncode == 0, done.stdout
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    done = python(READ, tmp_path / "site", POWERMEASURE_LIBRARY=str(LIBRARY))
    assert (done.returncode, done.stdout) == (0, "[0]\n")
