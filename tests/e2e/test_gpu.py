# SPDX-License-Identifier: MIT
"""NVIDIA GPUs, told by a fake driver library whose energy is known exactly."""

import json
import random
import re
import signal
import time

import pytest

from conftest import GIVE_UP_S, PUBLISHED, run, start_event, wait_for
from fakenvml import (DRIVER_NOT_LOADED, ENERGY, FIELDS, GPU_IS_LOST, NO_PERMISSION, NOT_SUPPORTED,
                      POWER, RESET_REQUIRED, TIMEOUT, UNKNOWN, VERSION_MISMATCH,
                      fake_nvml,  # noqa: F401 (a fixture)
                      gpu, power_only, turned)
from gpumeter import (CPU_AND_GPU, GPU_ONLY, energy_of, meter,  # noqa: F401 (a fixture)
                      off, session, steady, truth_j)

UPDATE_S = 0.1


# ---- energy --------------------------------------------------------------------------------------


def square_wave(rng, low_w, high_w, period_s):
    return turned([[period_s / 2, low_w], [period_s / 2, high_w]], rng.random() * period_s)


@pytest.mark.alone
def test_energy_of_square_waves(meter, load):
    """Within 1 % by counter and 2 % by power, for any wave of 0.5 to 5 s at any phase.

    What a driver that updates its figures ten times a second lets nobody know is the power between
    the last update and the end of the session, and likewise at its begin. The waves are such that
    this alone cannot be more than what is promised."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    seconds, low_w, high_w = 10, 150, 250
    meters = []
    for n, period_s in enumerate([0.5, 0.8, 1.3, 2.1, 5.0]):
        curve = square_wave(rng, low_w, high_w, period_s)
        more = {"update_ms": 100, "phase_ms": rng.random() * 100}
        stamps = ("update", "none")[n % 2]
        meters.append((0.01, curve, meter(gpu(curve, stamps=stamps, **more), wait=False)))
        # The power is the mean over the whole time between updates where it moves fast, and over
        # a quarter of it where it does not: else the waves alias, which nothing helps against.
        more["window_ms"] = 100 if period_s < 2 else 25
        meters.append((0.02, curve, meter(power_only(curve, **more), wait=False)))
    session([m for _, _, m in meters], load(0.2).pid, seconds)
    for limit, curve, m in meters:
        where = f"seed {seed}, limit {limit}, curve {curve}"
        joules, least, most = m.total_j()
        truth = truth_j(curve, *m.span())
        # On a busy machine the last look before the end may be an update late.
        assert abs(joules - truth) < limit * truth + 2 * UPDATE_S * (high_w - low_w), where
        assert least <= truth <= most, where
        # Between two updates nothing is guessed at all.
        joules, from_ns, to_ns = energy_of(m.lines("gpu"))
        assert to_ns - from_ns > (seconds - 4 * UPDATE_S) * 1e9
        assert abs(off(joules, truth_j(curve, from_ns, to_ns))) < (
            0.003 if limit == 0.01 else limit), where


@pytest.mark.alone
def test_energy_of_steep_waves(meter, load):
    """From idle to full load and back, in one second or in half of one: by counter, from update to
    update, to a few thousandths; and each session's ends within what cannot be known of them."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    seconds, low_w, high_w = 5, 30, 400
    meters = []
    for stamps in "update", "call", "none":
        for update_ms in 20, 100, 100.3:
            curve = square_wave(rng, low_w, high_w, rng.choice([0.5, 1]))
            meters.append((curve, update_ms, meter(gpu(
                curve, stamps=stamps, update_ms=update_ms, phase_ms=rng.random() * update_ms),
                wait=False)))
    session([m for _, _, m in meters], load(0.2).pid, seconds)
    for curve, update_ms, m in meters:
        where = f"seed {seed}, update {update_ms}, curve {curve}"
        joules, from_ns, to_ns = energy_of(m.lines("gpu"))
        assert abs(off(joules, truth_j(curve, from_ns, to_ns))) < 0.004, where
        joules, least, most = m.total_j()
        truth = truth_j(curve, *m.span())
        unknowable = 3 * (high_w - low_w) * update_ms / 1e3
        assert abs(joules - truth) < unknowable + 0.01 * truth, where
        assert least <= truth <= most, where


# ---- steady watts --------------------------------------------------------------------------------


@pytest.mark.alone
@pytest.mark.parametrize("update_ms", [100, 100.3])
@pytest.mark.parametrize("stamps", ["update", "call"])
def test_a_steady_load_shows_steady_watts(meter, load, stamps, update_ms):
    """At any rate: a counter that moves ten times a second must not show in the lines."""
    watts, seconds = 300, 6
    phase_ms = random.random() * 100
    rates = [1, 2, 3, 10, 100, 1000]
    meters = [meter(gpu(watts, stamps=stamps, update_ms=update_ms, phase_ms=phase_ms),
                    args=["--rate", rate], sensors="nvml", wait=False) for rate in rates]
    session(meters, load(0.2).pid, seconds, GPU_ONLY)
    for rate, m in zip(rates, meters):
        lines = m.watts()
        where = f"{rate} Hz, phase {phase_ms} ms: {lines}"
        # Never more lines than updates, and hardly fewer.
        assert 0.5 * min(rate, 10) * seconds <= len(lines) <= min(rate, 10.1) * seconds + 2, where
        deviations = sorted(abs(off(line, watts)) for line in lines)
        if stamps == "update":
            assert deviations[-1] < 0.0005, where
            continue
        assert steady(lines, watts, 0.005), where


# ---- several GPUs --------------------------------------------------------------------------------


def test_a_lost_gpu_leaves_the_sum_and_comes_back(meter, load):
    m = meter(gpu(100), gpu(50, stamps="none"), power_only(25), args=["--rate", 4])

    def wait_lines(n_more, watts):
        already = len(m.watts())
        wait_for(lambda: len(m.watts()) >= already + n_more, what=f"lines of {watts} W")
        assert steady(m.watts()[already + 1:], watts, 0.02), m.watts()

    m.begin(load(0.2).pid)
    wait_lines(4, 175)
    m.fake.faults({"call": "nvmlDeviceGet*", "gpu": 1, "error": GPU_IS_LOST})
    m.plugin.wait_said("gpu-1 cannot be read")
    before, cpu_before = len(m.watts()), len(m.watts("CPU.json"))
    m.plugin.wait_said("gpu-1 has not answered for 5 s: sums go on without it")
    # No line while a part of the sum is not known, except the one that was being written.
    assert len(m.watts()) <= before + 1
    assert len(m.watts("CPU.json")) > cpu_before + 10
    wait_lines(4, 125)
    m.fake.faults()
    m.plugin.wait_said("gpu-1 can be read again")
    wait_lines(4, 175)
    assert m.plugin.stop() == 0
    for once in ("gpu-1 cannot be read: No such device", "gpu-1 has not answered",
                 "gpu-1 can be read again"):
        assert m.said.count(once) == 1, m.said
    # What it used meanwhile is not lost: its counter went on.
    flags = [line["flags"] for line in m.lines("gpu", domain="gpu-1")]
    assert sum("GAP" in f for f in flags) == 1
    joules, from_ns, to_ns = energy_of(m.lines("gpu", domain="gpu-1"))
    assert abs(off(joules, 50 * (to_ns - from_ns) / 1e9)) < 0.01


def test_a_single_failed_call_is_forgiven(meter, load):
    """Drivers do that; nothing is lost by it, so nobody need hear of it."""
    m = meter(gpu(100), power_only(50),
              faults=[{"call": name, "every": 5, "error": UNKNOWN} for name in (FIELDS, POWER)])
    session([m], load(0.2).pid, 4)
    assert "cannot be read" not in m.said
    assert len(m.watts()) >= 6
    # In the first line one of them may not have been read yet.
    assert steady(m.watts()[1:], 150, 0.005), m.watts()


def gpus_of(*args, fake):
    done = run("list", "--json", "--sensors", "nvml", *args, env=fake.env)
    sensors = {s["name"]: s for s in json.loads(done.stdout)["sensors"]}
    return done.returncode, sensors["nvml"]


def test_gpus_are_chosen_by_index_and_uuid(meter, load, fake_nvml, tmp_path):  # noqa: F811
    fake = fake_nvml(gpu(100, name="One"), gpu(50, name="Two", uuid="GPU-two"), power_only(25))

    def names(*args):
        status, nvml = gpus_of(*args, fake=fake)
        assert status == 0 and nvml["usable"] and nvml["used"]
        return [d["name"] for d in nvml["domains"]]

    assert names() == ["gpu-0", "gpu-1", "gpu-2"]
    assert names("--gpu", "1") == ["gpu-1"]
    assert names("--gpu", "GPU-two") == ["gpu-1"]
    assert names("--gpu", "2", "--gpu", "GPU-two") == ["gpu-1", "gpu-2"]
    # One of those named is not there: the other is measured, and that is said.
    status, nvml = gpus_of("--gpu", "0", "--gpu", "GPU-none", fake=fake)
    assert status == 0 and [d["name"] for d in nvml["domains"]] == ["gpu-0"]
    assert "no GPU 'GPU-none': there are 0 (One, " in nvml["reason"]
    status, nvml = gpus_of("--gpu", "3", fake=fake)
    assert status == 1 and not nvml["usable"] and "no GPU '3': there are 0 (One," in nvml["reason"]
    # Who measures is not given a figure without it.
    for command in ["run", "--", "true"], ["stat", "--all", "-d", "1"], [
            "plugin", "--log-dir", tmp_path / "logs", "--listen", "tcp://127.0.0.1:*"]:
        done = run(command[0], "--gpu", "7", *command[1:], env=fake.env)
        assert done.returncode != 0 and "no GPU '7': there are 0 (One," in done.stderr, done

    m = meter(gpu(100), gpu(50), args=["--gpu", "1"])
    session([m], load(0.2).pid, 2)
    assert m.watts() and steady(m.watts(), 50, 0.01)


def test_a_capture_has_a_gpu_s_name_and_not_its_uuid(fake_nvml, tmp_path):  # noqa: F811
    fake = fake_nvml(gpu(123, name="Fake H9", uuid="GPU-c0ffee-abc"))
    done = run("capture", tmp_path / "copy", env=fake.env)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "copy" / "capture.json").read_text()
    nvml = next(s for s in json.loads(text)["sensors"] if s["name"] == "nvml")
    assert [d["id"] for d in nvml["domains"]] == ["Fake H9"]
    assert "c0ffee" not in text


def test_list_tells_what_a_gpu_is(fake_nvml):  # noqa: F811
    fake = fake_nvml(gpu(123, name="Fake H9", uuid="GPU-abc", update_ms=20),
                     power_only(45, name="Fake K40", uuid="GPU-old"))
    status, nvml = gpus_of(fake=fake)
    assert status == 0 and nvml["reason"] is None and nvml["fix"] is None
    new, old = nvml["domains"]
    assert new["id"] == "GPU-abc Fake H9" and old["id"] == "GPU-old Fake K40"
    for d in new, old:
        assert d["kind"] == "gpu" and d["scope"] == "whole board"
        assert d["counted"] and d["parent"] is None and d["error"] is None
    assert (new["quality"], old["quality"]) == ("measured", "integrated")
    # A busy machine sees some updates only.
    assert 0.019 < new["update_period_s"] < 0.5
    assert abs(off(new["power_w"], 123)) < 0.01 and abs(off(old["power_w"], 45)) < 0.01
    text = run("list", "--sensors", "nvml", env=fake.env).stdout
    assert re.search(r"^nvml +used$", text, re.M) and "GPU-abc Fake H9" in text


def test_many_gpus_are_opened_at_once(fake_nvml):  # noqa: F811
    """Each has to be watched for a while, and some to the end of that: but not in turn."""
    standing = gpu(100, faults=[])
    fake = fake_nvml(*[power_only(100)] * 20, *[standing] * 20,
                     faults=[{"what": "stuck", "gpu": n} for n in range(20, 40)])
    status, nvml = gpus_of(fake=fake)
    assert status == 0 and len(nvml["domains"]) == 40
    assert {d["quality"] for d in nvml["domains"]} == {"integrated"}


# ---- drivers that do not work --------------------------------------------------------------------


@pytest.mark.parametrize("error, words, fix", [
    (DRIVER_NOT_LOADED, "Driver Not Loaded", "sudo modprobe nvidia"),
    (VERSION_MISMATCH, "version mismatch", "sudo reboot"),
    (NO_PERMISSION, "Insufficient Permissions", "sudo usermod -aG video $USER"),
    (GPU_IS_LOST, "GPU is lost", "sudo reboot"),
    (RESET_REQUIRED, "requires reset", "sudo nvidia-smi --gpu-reset"),
    (TIMEOUT, "Timeout", None),
    (UNKNOWN, "Unknown Error", None),
])
def test_a_driver_that_refuses(fake_nvml, plugin, error, words, fix):  # noqa: F811
    fake = fake_nvml(gpu(100), faults=[{"call": "nvmlInit_v2", "error": error}])
    status, nvml = gpus_of(fake=fake)
    assert status == 1
    assert not nvml["usable"] and not nvml["used"] and nvml["domains"] == []
    assert words in nvml["reason"] and nvml["fix"] == fix
    text = run("list", "--sensors", "nvml", env=fake.env).stdout
    assert words in text and (fix is None or f"to change that: {fix}\n" in text)
    # Nothing else was asked for: nothing can be done.
    p = plugin("--sensors", "nvml", env=fake.env, wait=False)
    assert p.process.wait(GIVE_UP_S) == 1
    wait_for(lambda: "no sensor of --sensors nvml can be used" in p.said)
    assert words in p.said


def test_a_driver_that_refuses_is_told_beside_what_works(fake_nvml, plugin, load):  # noqa: F811
    fake = fake_nvml(gpu(100), faults=[{"call": "nvmlInit_v2", "error": DRIVER_NOT_LOADED}])
    done = run("list", "--json", "--sensors", "nvml,estimate", env=fake.env)
    sensors = {s["name"]: s for s in json.loads(done.stdout)["sensors"]}
    assert done.returncode == 1 and sensors["estimate"]["used"]
    p = plugin("--sensors", "sim,nvml", env=fake.env)
    assert re.search(r"WARN.*nvml is not used: .*Driver Not Loaded.*sudo modprobe nvidia", p.said)
    assert p.send(start_event([load(0.2).pid], [1], 0)) == PUBLISHED
    wait_for(lambda: len(p.log("CPU.json")) > 1)


def test_a_gpu_that_cannot_be_opened_is_told(fake_nvml, meter):  # noqa: F811
    """Like those that a container was not given."""
    faults = [{"call": "nvmlDeviceGetHandleByIndex_v2", "gpu": 1, "error": NO_PERMISSION}]
    fake = fake_nvml(gpu(100), gpu(50), gpu(25, fields=False, counter=False, power=False,
                                            name="Orin (nvgpu)"), faults=faults)
    status, nvml = gpus_of(fake=fake)
    assert status == 0 and [d["name"] for d in nvml["domains"]] == ["gpu-0"]
    assert "GPU 1 cannot be opened: Insufficient Permissions" in nvml["reason"]
    assert "GPU 2 (Orin (nvgpu)) tells neither energy nor power" in nvml["reason"]
    assert "usermod" in nvml["fix"]
    m = meter(gpu(100), gpu(50), faults=faults)
    assert "GPU 1 cannot be opened" in m.said
    status, nvml = gpus_of("--gpu", "2", fake=fake)
    assert status == 1 and "neither energy nor power" in nvml["reason"]
    # Who asks for one GPU need not hear of another.
    status, nvml = gpus_of("--gpu", "0", fake=fake)
    assert status == 0 and nvml["reason"] is None
    status, nvml = gpus_of("--gpu", "1", fake=fake)
    assert status == 1 and "GPU 1 cannot be opened" in nvml["reason"]
    assert "no GPU" not in nvml["reason"]


@pytest.mark.parametrize("gpus, faults, words", [
    ([], [], "no GPU"),
    ([gpu(100)], [{"call": "nvmlDeviceGetCount_v2", "error": UNKNOWN}], "Unknown Error"),
    ([gpu(100)], [{"call": "nvmlDeviceGet*ByIndex", "error": 0},
                  {"call": "nvmlDeviceGetHandleByIndex_v2", "error": GPU_IS_LOST}], "GPU is lost"),
    ([gpu(100)], [{"call": name, "error": UNKNOWN} for name in (FIELDS, ENERGY, POWER)],
     "cannot be read"),
])
def test_a_driver_without_a_usable_gpu(fake_nvml, gpus, faults, words):  # noqa: F811
    status, nvml = gpus_of(fake=fake_nvml(*gpus, faults=faults))
    assert status == 1 and not nvml["usable"] and words in nvml["reason"]


def test_no_library_at_all(fake_nvml, tmp_path):  # noqa: F811
    """Nor one that is none."""
    fake = fake_nvml(gpu(100))
    for n, content in enumerate([None, b"", b"no library"]):
        directory = tmp_path / f"lib-{n}"
        directory.mkdir()
        if content is not None:
            (directory / "libnvidia-ml.so.1").write_bytes(content)
        fake.env["LD_LIBRARY_PATH"] = str(directory)
        status, nvml = gpus_of("--root", tmp_path, fake=fake)
        if nvml["usable"]:
            pytest.skip("this machine has the driver's library itself")
        assert status == 1 and "libnvidia-ml.so.1" in nvml["reason"]


def test_an_old_driver(meter, load):
    """No field values and no energy, as before Volta: power alone."""
    m = meter(gpu(80, update_ms=20), old=True)
    session([m], load(0.2).pid, 3)
    assert len(m.watts()) == 6
    assert steady(m.watts(), 80, 0.001)
    assert all("INTEGRATED" in line["flags"] for line in m.lines("gpu"))


# ---- drivers that do not answer ------------------------------------------------------------------

HANG = {"call": "nvmlDeviceGet*", "what": "hang"}


def test_a_call_that_hangs_delays_nobody_else(meter, load):
    """CPU lines go on at every tick, the GPU's stop, and both are there again when it is over."""
    m = meter(gpu(100), args=["--rate", 4])
    m.begin(load(0.2).pid)
    wait_for(lambda: len(m.watts()) >= 4)
    m.fake.faults(HANG)
    m.plugin.wait_said("gpu-0 cannot be read: Connection timed out")
    before, cpu_before = len(m.watts()), len(m.watts("CPU.json"))
    reads = m.fake.reads()
    wait_for(lambda: len(m.watts("CPU.json")) >= cpu_before + 10)
    # All of them while one and the same call hung.
    assert len(m.watts()) == before and m.fake.reads() == reads
    m.fake.faults()
    wait_for(lambda: len(m.watts()) >= before + 4)
    assert steady(m.watts(), 100, 0.005), m.watts()
    assert m.plugin.stop() == 0
    joules, from_ns, to_ns = energy_of(m.lines("gpu"))
    assert abs(off(joules, 100 * (to_ns - from_ns) / 1e9)) < 0.005


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_driver_that_hangs_does_not_keep_the_plugin(meter, load, sig):
    m = meter(gpu(100), args=["--rate", 4])
    m.begin(load(0.2).pid)
    wait_for(lambda: len(m.watts()) >= 2)
    m.fake.faults(HANG)
    hung = m.fake.reads()
    wait_for(lambda: m.fake.reads() > hung)
    assert m.plugin.stop(sig) == 0
    # Finished files, and totals as far as they go.
    assert len(m.watts()) >= 2 and len(m.watts("CPU.json")) >= 2
    assert re.search(r"GPU .* J \(.*for the whole device; (told to end|interrupted)", m.said)
    assert steady(m.watts(), 100, 0.01)


def test_a_driver_that_hangs_when_it_is_closed(meter, load):
    m = meter(gpu(100), faults=[{"call": "nvmlShutdown", "what": "hang"}])
    session([m], load(0.2).pid, 1)
    assert m.plugin.stop() == 0


def test_a_slow_start_of_the_driver_is_waited_for(meter):
    """Without a persistence daemon the first call takes a second or two."""
    m = meter(gpu(100), faults=[{"call": "nvmlInit_v2", "what": "slow", "ms": 2500}])
    assert "sensor nvml: 1 domain\n" in m.said


def test_a_driver_that_hangs_at_start_is_given_up(fake_nvml):  # noqa: F811
    fake = fake_nvml(gpu(100), faults=[{"call": "nvmlInit_v2", "what": "hang"}])
    begun = time.monotonic()
    status, nvml = gpus_of(fake=fake)
    assert status == 1 and not nvml["usable"]
    assert "does not answer" in nvml["reason"] and "10 s" in nvml["reason"]
    assert time.monotonic() - begun > 9


def test_a_hanging_start_can_be_ended(meter):
    """Nobody has to wait for the driver to be told off."""
    m = meter(gpu(100), faults=[{"call": "nvmlInit_v2", "what": "hang"}], wait=False)
    wait_for(lambda: m.fake.counts().get("nvmlInit_v2"))
    assert m.plugin.stop() == 0


# ---- counters that misbehave ---------------------------------------------------------------------


@pytest.mark.parametrize("stamps", ["update", "none"])
def test_a_counter_that_restarts(meter, load, stamps):
    """As when the driver is loaded anew: what was used since the last reading is not known."""
    m = meter(gpu(200, stamps=stamps, counter_plus_mj=5_000_000), args=["--rate", 4])
    m.begin(load(0.2).pid)
    wait_for(lambda: len(m.watts()) >= 3)
    # It begins at 0 again, and again, and jumps in between.
    for n in range(1, 9):
        before = len(m.watts())
        m.fake.faults({"what": "restart", "mono_s": time.monotonic() - 1} if n % 2 else
                      {"what": "jump", "mj": 5_000_000_000})
        wait_for(lambda: m.said.count("the counter fell or jumped") == n)  # noqa: B023
        wait_for(lambda: len(m.watts()) >= before + 2)  # noqa: B023
    assert m.plugin.stop() == 0
    lines = m.watts()
    assert steady(lines, 200, 0.01), lines
    # The total is what is known, and says that this is not all.
    assert re.search(r"GPU[ A-Z]* RESET, at least", m.said)
    joules, _, most = m.total_j()
    from_ns, to_ns = m.span()
    assert 0 < joules <= 200 * (to_ns - from_ns) / 1e9 * 1.01 and joules <= most
    assert "-" not in "".join(re.findall(r"GPU.* J", m.said.split("measuring begins")[1]))


# What a driver shows, and what goes wrong from its start on or (LATER) when lines are written.
LATER = "later"
ODD = {
    "values are doubles": (gpu(200, value_types={"83": 0, "186": 0}), []),
    "values are signed": (gpu(200, value_types={"83": 4, "186": 5}), []),
    "values are longs": (gpu(200, value_types={"83": 2, "186": 2}), []),
    "values are of a type to come": (gpu(200, value_types={"83": 99, "186": 99}), []),
    "energy is negative": (gpu(200, value_types={"83": 4}),
                           [{"what": "jump", "call": FIELDS, "mj": -(1 << 40)}]),
    "energy is beyond a double": (gpu(200, value_types={"83": 0}),
                                  [{"what": "jump", "call": FIELDS, "mj": 1 << 62}]),
    "power is all ones": (gpu(200), [{"what": "jump", "mw": 0xffffffff - 200_000}]),
    "power is 0": (gpu(200), [{"what": "jump", "mw": -200_000}]),
    "power alone, all ones now and then": (
        power_only(200), [{"what": "jump", "every": 4, "mw": 0xffffffff - 200_000}]),
    "only energy as a field": (gpu(200, fields=[83], power=False), []),
    "only power as a field": (gpu(200, fields=[186]), []),
    "fields of the module alone": (gpu(200, module_only=True), []),
    "parts of a GPU": (gpu(200, mig=3), []),
    "a field is left as it was": (gpu(200), [{"what": "unfilled", "id": 83}]),
    "a field fails": (gpu(200), [{"what": "field", "id": 83, "error": NOT_SUPPORTED}], LATER),
    "the call is not supported any more": (
        gpu(200), [{"call": FIELDS, "error": NOT_SUPPORTED}], LATER),
    "names have no end": (gpu(200, unterminated=True), []),
    "stamps of tomorrow": (gpu(200, stamp_plus_ms=86_400_000), []),
    "stamps of yesterday": (gpu(200, stamp_plus_ms=-86_400_000), []),
    "stamps half a second old": (gpu(200, stamp_plus_ms=-500), []),
    "calls take 30 ms": (gpu(200), [{"what": "slow", "call": "nvmlDeviceGet*", "ms": 30}]),
    "calls take 30 ms, without stamps": (
        gpu(200, stamps="none"), [{"what": "slow", "call": "nvmlDeviceGet*", "ms": 30}]),
    "some calls take 150 ms, without stamps": (
        gpu(200, stamps="none"), [{"what": "slow", "call": FIELDS, "every": 7, "ms": 150}],
        LATER),
    "updates come late": (gpu(200, stamps="none", jitter_ms=5), []),
    "updates come late, with stamps": (gpu(200, jitter_ms=5), []),
    "updates are all the time": (gpu(200, update_ms=0, stamps="call"), []),
    "updates are rare": (gpu(200, update_ms=700, stamps="none"), []),
    "updates are rare, with stamps": (gpu(200, update_ms=700), []),
    "every other call fails": (gpu(200), [{"call": "nvmlDeviceGet*", "every": 2}]),
    "the counter jumps": (gpu(200), [{"what": "jump", "mj": 1 << 50}], LATER),
}


@pytest.mark.alone
def test_odd_drivers(meter, load):
    """Whatever they do: true watts, or none."""
    seconds = 5
    meters = {name: meter(one, faults=[] if later else faults, wait=False)
              for name, (one, faults, *later) in ODD.items()}
    for m in meters.values():
        m.wait_ready()
    pid = load(0.2).pid
    for m in meters.values():
        m.begin(pid, CPU_AND_GPU, seconds)
    for name, (_, faults, *later) in ODD.items():
        if later:
            wait_for(lambda: len(meters[name].watts()) >= 2)  # noqa: B023
            meters[name].fake.faults(*faults)
    for m in meters.values():
        m.wait_over()
    for name, m in meters.items():
        lines = m.watts()
        where = f"{name}: {lines}\n{m.said}"
        assert len(lines) >= (1 if "rare" in name else 5), where
        # Where nobody can tell when an update was, its line is a bit long or short.
        limit = (0.25 if "without stamps" in name
                 else 0.03 if "late" in name or "rare" in name else 0.01)
        assert abs(off(lines[0], 200)) < limit + 0.05, where
        assert steady(lines[1:], 200, limit), where
        joules, least, most = m.total_j()
        from_ns, to_ns = m.span()
        truth = 200 * (to_ns - from_ns) / 1e9
        assert "cannot be read" not in m.said, where
        if name == "the counter jumps":
            assert "the counter fell or jumped" in m.said, where
            assert 0 < joules < truth * 1.01, where
        else:
            assert least <= truth <= most and abs(off(joules, truth)) < 0.03, where


def test_a_counter_that_stands_still(meter, load):
    """While power is drawn it tells nothing; while there is none it is right."""
    asleep = [[3, 0], [3, 200]]
    m = meter(gpu(200), args=["--rate", 4])
    sleepy = meter(gpu(asleep), args=["--rate", 4])
    load_pid = load(0.2).pid
    for one in m, sleepy:
        one.begin(load_pid)
    wait_for(lambda: len(m.watts()) >= 4)
    m.fake.faults({"what": "stuck", "call": FIELDS})
    m.plugin.wait_said("gpu-0 cannot be read: No data available")
    reads, begun = m.fake.reads(), time.monotonic()
    assert steady(m.watts(), 200, 0.01), m.watts()
    # It is not pestered for that.
    wait_for(lambda: time.monotonic() > begun + 2)
    assert m.fake.reads() - reads < 15 * (time.monotonic() - begun)
    m.fake.faults()
    m.plugin.wait_said("gpu-0 can be read again")
    for one in m, sleepy:
        assert one.plugin.stop() == 0
    assert "cannot be read" not in sleepy.said
    lines = sleepy.watts()
    assert sum(line == 0 for line in lines) >= 8 and sum(line > 190 for line in lines) >= 8, lines
    assert all(0 <= line < 210 for line in lines), lines
    joules, from_ns, to_ns = energy_of(sleepy.lines("gpu"))
    assert abs(joules - truth_j(asleep, from_ns, to_ns)) < 0.01 * joules + 25, lines


def test_stamps_that_stop(meter, load):
    """The driver told when its values were true, and does so no more: the pace is followed."""
    fake = {"what": "field", "id": 83, "error": NOT_SUPPORTED}
    m = meter(gpu(200), args=["--rate", 4])
    m.begin(load(0.2).pid)
    wait_for(lambda: len(m.watts()) >= 3)
    before = len(m.watts())
    m.fake.faults(fake)
    wait_for(lambda: len(m.watts()) >= before + 8)
    assert m.plugin.stop() == 0
    assert "cannot be read" not in m.said
    assert steady(m.watts(), 200, 0.02), m.watts()


# ---- what the driver is asked --------------------------------------------------------------------


@pytest.mark.alone
def test_the_driver_is_asked_about_once_an_update(meter, load):
    """While somebody wants to know, and not at all while nobody does."""
    seconds = 6
    meters = {name: meter(one, wait=False) for name, one in {
        "stamps": gpu(100), "no stamps": gpu(100, stamps="none"), "power": power_only(100),
        "fast": gpu(100, update_ms=20), "all the time": gpu(100, update_ms=0, stamps="none"),
        "asleep": gpu(0.0)}.items()}
    pid = load(0.2).pid
    for m in meters.values():
        m.wait_ready()
    before = {name: m.fake.counts() for name, m in meters.items()}
    begun = time.monotonic()
    wait_for(lambda: time.monotonic() > begun + 2)
    assert {name: m.fake.counts() for name, m in meters.items()} == before

    for m in meters.values():
        m.begin(pid, CPU_AND_GPU, seconds)
    rates = {}
    for name, m in meters.items():
        wait_for(lambda: len(m.watts("CPU.json")) >= 2)  # noqa: B023
        rates[name] = (m.fake.reads(), time.monotonic())
    for m in meters.values():
        m.wait_over()
    for name, m in meters.items():
        reads, begun = rates[name]
        m.span_s = min(time.monotonic() - begun, seconds)
        rates[name] = (m.fake.reads() - reads) / m.span_s
    # Updates a second: 10, but 50 of the fast one; and power is read twice as often.
    for name, most in {"stamps": 13, "no stamps": 18, "power": 24, "fast": 65,
                       "all the time": 65, "asleep": 24}.items():
        assert rates[name] < most, rates
    # A busy machine lets it miss some of them.
    assert rates["stamps"] > 4 and rates["power"] > 8 and rates["fast"] > 20, rates

    counts = {name: m.fake.counts() for name, m in meters.items()}
    begun = time.monotonic()
    wait_for(lambda: time.monotonic() > begun + 2)
    assert {name: m.fake.counts() for name, m in meters.items()} == counts
    for m in meters.values():
        assert m.plugin.stop() == 0
        counts = m.fake.counts()
        assert counts["nvmlInit_v2"] == counts["nvmlShutdown"] == 1


@pytest.mark.alone
def test_sessions_with_pauses(meter, load):
    """What was used while nobody measured is nobody's, however long that was."""
    curve = [[0.35, 180], [0.35, 220]]
    meters = [meter(gpu(curve, stamps="update"), wait=False),
              meter(gpu(curve, stamps="none"), wait=False),
              meter(power_only(curve, window_ms=100), wait=False)]
    pid = load(0.2).pid
    pauses_s = 0, 0.05, 0.4, 1.3, 2.5
    for n, pause_s in enumerate(pauses_s, 1):
        begun = time.monotonic()
        wait_for(lambda: time.monotonic() >= begun + pause_s)  # noqa: B023
        for m in meters:
            m.wait_ready()
            m.begin(pid, CPU_AND_GPU, 1)
        for m in meters:
            wait_for(lambda: m.said.count("time is up") == n)  # noqa: B023
    for m in meters:
        totals = re.findall(r"\): ([\d.]+) s, .*GPU[ A-Za-z,]* ([\d.]+) J \(([\d.]+) to ([\d.]+)\)", m.said)
        assert len(totals) == len(pauses_s)
        for seconds, joules, least, most in (map(float, total) for total in totals):
            # What is known of the power is not older than two updates.
            assert abs(joules - 200 * seconds) < 25, m.said
            assert least <= joules <= most
        assert all(179 < line < 221 for line in m.watts()), m.watts()


# ---- the record ----------------------------------------------------------------------------------


@pytest.mark.alone
def test_the_record_adds_up(meter, load):
    """Each GPU's lines join without a gap and add up to what the session's total is made of."""
    waves = [[[0.6, 60], [0.4, 300]], [[1.1, 120], [0.2, 20]], [[0.5, 75]]]
    m = meter(gpu(waves[0]), gpu(waves[1], stamps="none"), power_only(waves[2]))
    one, two = load(0.2), load(0.4)
    m.begin(one.pid, CPU_AND_GPU, 5)
    m.begin(two.pid, CPU_AND_GPU, 5)
    wait_for(lambda: m.said.count("time is up") == 2)
    total = whole = 0
    from_ns, to_ns = m.span()
    for n, wave in enumerate(waves):
        lines = m.lines("gpu", domain=f"gpu-{n}")
        assert {line["name"] for line in lines} == {"other"}
        assert {line["pid"] for line in lines} == {None}
        assert {line["attribution"] for line in lines} == {"none"}
        assert {tuple(line["flags"]) for line in lines} == {
            ("INTEGRATED",) if n == 2 else ("MEASURED",)}
        joules, first_ns, last_ns = energy_of(lines)
        assert abs(off(joules, truth_j(wave, first_ns, last_ns))) < 0.01
        for line in lines:
            assert line["low_uj"] <= line["energy_uj"] <= line["high_uj"]
            watts = line["energy_uj"] * 1e3 / line["interval_ns"]
            assert abs(line["power_w"] - watts) < 0.001 * watts + 0.001
        total += joules
        # The first and the last update of the session are less than two updates inside of it.
        assert abs(first_ns - from_ns) < 3 * UPDATE_S * 1e9
        assert abs(to_ns - last_ns) < 3 * UPDATE_S * 1e9
        whole += truth_j(wave, from_ns, to_ns)
    logged, least, most = m.total_j()
    assert abs(logged - whole) < 0.02 * whole + UPDATE_S * 2 * (240 + 100)
    assert total < logged * 1.01 and least <= logged <= most
    # Each line of GPU.json is the sum of the GPUs' in that time.
    in_lines = sum(m.watts()) / len(m.watts())
    assert abs(off(in_lines, whole / (to_ns - from_ns) * 1e9)) < 0.2
