# SPDX-License-Identifier: MIT
"""NVIDIA GPUs that tell less than others, or of more than themselves, and drivers that change."""

import json
import random
import re
import time

import pytest

from conftest import run, sim_script, wait_for
from fakenvml import FIELDS, GPU_IS_LOST, fake_nvml, gpu, power_only  # noqa: F401 (a fixture)
from gpumeter import energy_of, meter, off, steady, session, truth_j  # noqa: F401 (a fixture)


def nvml_of(fake, *args):
    """What `list` says of the sensor."""
    done = run("list", "--json", "--sensors", "nvml", *args, env=fake.env)
    return next(s for s in json.loads(done.stdout)["sensors"] if s["name"] == "nvml")


def average_only(curve, **more):
    return gpu(curve, counter=False, power=False, fields=[185], **more)


def module_only(curve, **more):
    """Tells of the module: superchips' drivers may refuse anything else."""
    return gpu(curve, module_only=True, power=False, **more)


@pytest.fixture
def pci(tmp_path):
    """pci(...): a root directory with an NVIDIA GPU in each of the states given, and something
    else beside. pci.set(n, state) changes one."""
    root = tmp_path / "root"

    class Pci:
        def __call__(self, *states):
            for n, state in enumerate(states):
                self.device(f"0000:{n + 1:02x}:00.0", "0x10de", "0x030200")
                self.set(n, state)
            self.device("0000:00:02.0", "0x8086", "0x030000")
            self.device("0000:01:00.1", "0x10de", "0x040300")
            return root

        def device(self, name, vendor, kind):
            directory = root / "sys/bus/pci/devices" / name
            (directory / "power").mkdir(parents=True)
            (directory / "vendor").write_text(vendor + "\n")
            (directory / "class").write_text(kind + "\n")

        def set(self, n, state):
            power = root / f"sys/bus/pci/devices/0000:{n + 1:02x}:00.0/power"
            (power / "new").write_text(state + "\n")
            (power / "new").rename(power / "runtime_status")

    return Pci()


# ---- what is told ---------------------------------------------------------------------------------


@pytest.mark.parametrize("one, scope, quality", [
    (gpu(100), "whole board", "measured"),
    (power_only(100), "whole board", "integrated"),
    (average_only(100), "whole board, 1 s mean", "integrated"),
    (gpu(100, counter=False, fields=[185]), "whole board, 1 s mean", "integrated"),
    (gpu(100, mig=3), "whole board, all MIG instances", "measured"),
    (gpu(100, mig=0, architecture=6), "whole board", "measured"),
    (module_only(100), "module incl. CPU", "measured"),
    (module_only(100, fields=[186]), "module incl. CPU", "integrated"),
    (module_only(100, fields=[185]), "module incl. CPU, 1 s mean", "integrated"),
])
def test_what_is_measured_is_told(fake_nvml, one, scope, quality):  # noqa: F811
    (domain,) = nvml_of(fake_nvml(one))["domains"]
    assert (domain["scope"], domain["quality"]) == (scope, quality)
    assert abs(off(domain["power_w"], 100)) < 0.02


@pytest.mark.alone
def test_average_power_is_added_up(meter, load):  # noqa: F811
    """The last choice: it comes late by up to a second, which the bounds say."""
    curve = [[1.5, 100], [1.5, 300]]
    meters = [meter(average_only(curve), wait=False),
              meter(average_only(200), wait=False)]
    session(meters, load(0.2).pid, 9)
    wave, level = meters
    assert steady(level.watts(), 200, 0.001)
    joules, least, most = wave.total_j()
    truth = truth_j(curve, *wave.span())
    assert least <= truth <= most and abs(off(joules, truth)) < 0.15
    assert all(line["high_uj"] > line["energy_uj"] > line["low_uj"] for line in wave.lines("gpu"))


def test_a_module_contains_its_cpu(fake_nvml, tmp_path):  # noqa: F811
    """The machine's energy has it once."""
    fake = fake_nvml(module_only(100))
    sim = sim_script(tmp_path / "sim.json", {"name": "socket", "kind": "cpu", "curve": [[1, 40]]})
    done = run("run", "--json", "--sensors", f"{sim},nvml", "sleep", "2", env=fake.env)
    report = json.loads(done.stderr)
    assert report["machine_energy_j"]["domains"] == ["gpu-0"]
    assert abs(off(report["machine_energy_j"]["energy_j"], 100 * report["elapsed_s"])) < 0.02


def test_a_jetson_is_sent_to_its_rails(fake_nvml):  # noqa: F811
    nvml = nvml_of(fake_nvml(gpu(10, name="Orin (nvgpu)", fields=False, counter=False, power=False)))
    assert not nvml["usable"] and nvml["domains"] == []
    assert nvml["reason"] == ("GPU 0 (Orin (nvgpu)) tells neither energy nor power: "
                              "a Jetson's rails do, see jetson")


# ---- part-time power ------------------------------------------------------------------------------


@pytest.mark.alone
def test_part_time_power_at_random_phases(meter, load):  # noqa: F811
    """Power that is seen for 25 ms of each 100 ms: over 32 phases the energy is right within 1 %;
    and by the counter each of them is."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    waves, powers, counters = [], [], []
    for _ in range(32):
        # No multiple of 100 ms: what is in step with the updates is never seen, whatever one does.
        half_s = rng.uniform(0.15, 0.55)
        begin_s = rng.uniform(0, half_s)
        waves.append([[begin_s, 100], [half_s, 300], [half_s - begin_s, 100]])
        more = {"window_ms": 25, "phase_ms": rng.uniform(0, 100)}
        powers.append(power_only(waves[-1], **more))
        counters.append(gpu(waves[-1], **more))
    meters = [meter(*powers, wait=False), meter(*counters, wait=False)]
    session(meters, load(0.2).pid, 10)
    for m, limit in zip(meters, (None, 0.01)):
        told = truth = 0
        for n, wave in enumerate(waves):
            joules, from_ns, to_ns = energy_of(m.lines("gpu", domain=f"gpu-{n}"))
            true = truth_j(wave, from_ns, to_ns)
            assert limit is None or abs(off(joules, true)) < limit, (seed, n, wave)
            told += joules
            truth += true
        assert abs(off(told, truth)) < 0.01, seed


# ---- a counter that power contradicts -------------------------------------------------------------


def test_a_counter_that_disagrees_with_power(meter, load):  # noqa: F811
    """It is said once, and each line from then on is flagged."""
    wrong = [{"what": "jump", "call": FIELDS, "mw": 100_000}]
    meters = [meter(gpu(200), faults=wrong, wait=False), meter(gpu(200), wait=False)]
    pid = load(0.2).pid
    session(meters, pid, 13)
    bad, good = meters
    assert "disagree" not in good.said
    assert not any("DISPUTED" in line["flags"] for line in good.lines("gpu"))
    assert re.search(r"WARN.*nvml gpu-0: its energy counter and its power disagree by more than 5 %",
                     bad.said)
    lines = [("DISPUTED" in line["flags"]) for line in bad.lines("gpu")]
    assert not lines[0] and lines[-1] and lines == sorted(lines)
    assert re.search(r"GPU[ A-Z]* DISPUTED [\d.]+ J", bad.said)
    # The counter is what counts all the same.
    assert steady(bad.watts(), 200, 0.01)
    bad.begin(pid, [0], 2)
    wait_for(lambda: bad.said.count("time is up") == 2)
    assert bad.said.count("disagree") == 1


# ---- asleep ---------------------------------------------------------------------------------------


def test_a_sleeping_gpu_is_not_opened(fake_nvml, pci):  # noqa: F811
    root = pci("suspended", "active")
    fake = fake_nvml(gpu(100), gpu(50))
    nvml = nvml_of(fake, "--root", root)
    assert [d["name"] for d in nvml["domains"]] == ["gpu-1"]
    assert nvml["reason"] == "GPU 0 (0000:01:00.0) sleeps, and is not woken to be measured"
    assert fake.counts()["nvmlDeviceGetHandleByIndex_v2"] == 1
    # Who asks for the other need not hear of it.
    assert nvml_of(fake, "--root", root, "--gpu", "1")["reason"] is None
    nvml = nvml_of(fake, "--root", root, "--gpu", "0")
    assert not nvml["usable"] and "GPU 0 (0000:01:00.0) sleeps" in nvml["reason"]
    pci.set(0, "active")
    assert len(nvml_of(fake, "--root", root)["domains"]) == 2
    # Which is which is not known where the kernel and the driver count differently.
    pci.set(0, "suspended")
    assert len(nvml_of(fake_nvml(gpu(100)), "--root", root)["domains"]) == 1


def test_a_gpu_that_falls_asleep_is_let_sleep(meter, load, pci):  # noqa: F811
    """No call to the driver while it does; its counter tells afterwards what it used meanwhile."""
    m = meter(gpu(100), args=["--rate", 4, "--root", pci("active")])
    m.begin(load(0.2).pid)
    wait_for(lambda: len(m.watts()) >= 3)
    pci.set(0, "suspended")
    m.plugin.wait_said("gpu-0 cannot be read: No data available")
    reads, begun = m.fake.counts(), time.monotonic()
    cpu_before = len(m.watts("CPU.json"))
    wait_for(lambda: time.monotonic() > begun + 2)
    assert m.fake.counts() == reads
    assert len(m.watts("CPU.json")) >= cpu_before + 6
    pci.set(0, "active")
    m.plugin.wait_said("gpu-0 can be read again")
    before = len(m.watts())
    wait_for(lambda: len(m.watts()) >= before + 3)
    assert m.plugin.stop() == 0
    assert steady(m.watts(), 100, 0.01), m.watts()
    joules, from_ns, to_ns = energy_of(m.lines("gpu"))
    assert abs(off(joules, 100 * (to_ns - from_ns) / 1e9)) < 0.01
    assert sum("GAP" in line["flags"] for line in m.lines("gpu")) == 1


# ---- another driver -------------------------------------------------------------------------------


def test_a_driver_that_is_loaded_anew(meter, load):  # noqa: F811
    """What was opened of the old one is dead: it is opened again, and only what lies between is
    not known."""
    m = meter(gpu(100, counter_plus_mj=5_000_000), power_only(50), args=["--rate", 4])
    m.begin(load(0.2).pid)
    wait_for(lambda: len(m.watts()) >= 3)
    m.fake.faults({"what": "reload", "error": 1})
    m.plugin.wait_said("gpu-0 can be read again")
    before = len(m.watts())
    wait_for(lambda: len(m.watts()) >= before + 4)
    assert m.plugin.stop() == 0
    assert "gpu-0: the counter fell or jumped" in m.said
    assert steady(m.watts(), 150, 0.02), m.watts()
    counts = m.fake.counts()
    assert counts["nvmlInit_v2"] == counts["nvmlShutdown"] == 2


def test_a_driver_that_does_not_come_back_is_not_pestered(meter, load):  # noqa: F811
    m = meter(gpu(100), args=["--rate", 4])
    m.begin(load(0.2).pid)
    wait_for(lambda: len(m.watts()) >= 2)
    m.fake.faults({"call": "nvmlDeviceGet*", "error": GPU_IS_LOST}, {"call": "nvmlInit_v2"})
    wait_for(lambda: m.fake.counts()["nvmlInit_v2"] > 1)
    begun, calls = time.monotonic(), sum(m.fake.counts().values())
    wait_for(lambda: time.monotonic() > begun + 5)
    assert sum(m.fake.counts().values()) - calls < 25
    m.fake.faults()
    m.plugin.wait_said("gpu-0 can be read again")
    assert m.plugin.stop() == 0
