# SPDX-License-Identifier: MIT
"""Whatever is sent, the plugin says what is wrong with it and goes on."""

import json
import os
import random
import subprocess
import time

import pytest

from conftest import (GIVE_UP_S, KIND_STOP, PREFIXES, PUBLISHED, TOP, sim_script, start_event, stop_event,
                      terminate_event, wait_for)

BAD = b"event-engine: bad msg: "
SIM = ("--sensors", "sim")


def test_refusals_name_the_reason(plugin, load):
    p, one = plugin(*SIM), load(0.1)
    good = start_event([one.pid], [1], 1)
    cases = [
        (b"", b"too short for an event"),
        (b"hello", b"no event: the FlatBuffer is broken"),
        (good[:len(good) // 2], b"no event: the FlatBuffer is broken"),
        (b"plugin_command: next_msg", b"this is a power meter and no engine"),
        (b"plugin_command: quit", b"this is a power meter and no engine"),
        (start_event([], [1]), b"the event names no pids"),
        (start_event(None, [1]), b"the event names no pids"),
        (start_event([one.pid], []), b"the event names no monitor types"),
        (start_event([one.pid], None), b"the event names no monitor types"),
        (start_event([one.pid], [5]), b"5 is no monitor type: there are 0 to 4"),
        (start_event([one.pid], [0, -3]), b"-3 is no monitor type"),
        (start_event(range(1, 1026), [1]), b"1025 pids in one event, more than 1024"),
        (start_event([0], [1]), b"pid 0 is no process"),
        (start_event([-7], [1]), b"pid -7 is no process"),
        (start_event([2 ** 31 - 1], [1]), b"there is no process 2147483647"),
        (start_event([one.pid], [1], start="tomorrow"), b'monitor_start_ts "tomorrow" is no time'),
        (start_event([one.pid], [1], start="2026-02-30T00:00:00"),
         b'monitor_start_ts "2026-02-30T00:00:00" is no time'),
        (stop_event([]), b"the event names no pids"),
    ]
    for message, reason in cases:
        answer = p.send(message)
        assert answer.startswith(BAD + reason), (message, answer)
    # All along it was able to work.
    assert p.send(good) == PUBLISHED
    p.wait_said("time is up")
    assert "message refused" in p.said


def test_events_for_others_are_refused(plugin):
    p = plugin(*SIM)
    message = bytearray(terminate_event())
    image = bytes.fromhex(
        "02000c00000008000a0009000400080000001000000000020a0010000c000800"
        "04000a0000000c000000140000003c000000040000006a7065670000000024000000"
        "31663363306135322d303030302d343030302d383030302d303030303030303030303031"
        "000000001a000000323032362d31312d32325431303a34383a33382e3131333834320000")
    assert p.send(image) == BAD + b"ImageReceivedEvent is not for a power meter"
    # The union tells what an event is, the prefix does not.
    message[0:2] = PREFIXES[KIND_STOP]
    assert p.send(bytes(message)) == PUBLISHED
    assert p.process.wait(GIVE_UP_S) == 0


def test_good_pids_beside_bad_ones_are_measured(plugin, load):
    p, one = plugin(*SIM), load(0.1)
    assert p.send(start_event([-1, 2 ** 31 - 1, one.pid, 0], [1], 1)) == PUBLISHED
    p.wait_said("there is no process 2147483647")
    p.wait_said("pid -1 is no process")
    p.wait_said(rf"pid {one.pid} .*time is up")


def test_too_many_lines_a_second_are_refused(plugin, load):
    p, one = plugin(*SIM, "--rate", "1000"), load(0.1)
    children = [subprocess.Popen(["sleep", "60"]) for _ in range(11)]
    try:
        answer = p.send(start_event([c.pid for c in children], [1], 1))
        assert answer == BAD + (b"11000 lines a second, more than 10000: "
                                b"fewer pids or a lower rate")
        assert p.send(start_event([c.pid for c in children[:9]], [1], 1)) == PUBLISHED
        p.wait_said("time is up")
    finally:
        for c in children:
            c.kill()
            c.wait()


def test_several_parts_are_no_event(plugin, load):
    p, one = plugin(*SIM), load(0.1)
    socket = p.connect()
    socket.send_multipart([b"a", b"b", b"c"])
    assert socket.recv() == BAD + b"a message of several parts is no event"
    socket.send(start_event([one.pid], [1], 1))
    assert socket.recv() == PUBLISHED


def test_floods_of_nonsense_are_logged_at_a_limited_rate(plugin, load):
    p, one = plugin(*SIM), load(0.1)
    for n in range(2000):
        assert p.send(b"nonsense %d" % n).startswith(BAD)
    assert p.said.count("message refused") < 20
    assert p.send(start_event([one.pid], [1], 1)) == PUBLISHED
    p.wait_said("time is up")


def test_mutated_events_never_hurt(plugin, load):
    seed = int(os.environ.get("PM_SEED", time.time_ns() % 2**32))
    print("PM_SEED", seed)
    chance = random.Random(seed)
    p, one = plugin(*SIM), load(0.1)
    originals = [start_event([one.pid], [0], 1), stop_event([one.pid]),
                 terminate_event("somebody", "else")]
    for _ in range(3000):
        message = bytearray(chance.choice(originals))
        for _ in range(chance.randint(1, 6)):
            message[chance.randrange(len(message))] = chance.randrange(256)
        if chance.random() < 0.3:
            del message[chance.randrange(len(message)):]
        answer = p.send(bytes(message))
        assert answer == PUBLISHED or answer.startswith(BAD)
        if p.process.poll() is not None:  # one of them may have become a terminate for us
            break
    assert p.stop() == 0


def test_a_message_that_is_far_too_large_ends_its_connection_only(plugin, load):
    p, one = plugin(*SIM), load(0.1)
    rude = p.connect()
    rude.send(b"x" * (2 << 20))
    polite = p.connect()
    polite.send(start_event([one.pid], [1], 1))
    assert polite.recv() == PUBLISHED


def test_the_stock_client_s_messages_mean_what_their_names_say(plugin, load):
    folder = TOP / "tests" / "vectors"
    p = plugin(*SIM)
    answers = {f.stem: p.send(f.read_bytes()) for f in sorted(folder.iterdir())
               if "terminate" not in f.stem or f.stem == "terminate-other"}
    nobody = BAD + b"there is no process"
    assert answers["start-no-pids"] == BAD + b"the event names no pids"
    assert answers["start-negative-pid"] == BAD + b"pid -1 is no process"
    for name in ("start-empty-start-ts", "start-future-rfc3339", "start-one-pid-all-10s",
                 "start-gpu-and-dram-5s"):
        assert answers[name] == PUBLISHED or answers[name].startswith(nobody), name
    assert answers["stop-two-pids"] == answers["terminate-other"] == PUBLISHED
    assert answers["image-received"].startswith(BAD)
    assert p.send((folder / "terminate-power-by-name.bin").read_bytes()) == PUBLISHED
    assert p.process.wait(GIVE_UP_S) == 0


# ---- sensors that misbehave -----------------------------------------------------------------------


FAULTS = [
    ("eio", {"for": 1.0}, r"cannot be read: Input/output error", r"can be read again"),
    ("gone", {"for": 1.0}, r"cannot be read: No such device", r"can be read again"),
    ("reset", {}, r"the counter fell or jumped", None),
    ("absurd", {"for": 0.6}, r"the counter fell or jumped", None),
]


@pytest.mark.parametrize("what, more, first, then", FAULTS, ids=[f[0] for f in FAULTS])
def test_sensor_faults_are_said_and_never_become_watts(plugin, load, tmp_path, what, more, first,
                                                       then):
    steady = {"name": "package-0", "kind": "cpu", "curve": [[1, 40.0]], "unit": [1000000, 16384],
              "wrap": 2 ** 32}
    record = tmp_path / "record.jsonl"
    script = sim_script(tmp_path / "sim.json",
                        dict(steady, faults=[{"at": 2.0, "what": what, **more}]),
                        dict(steady, name="package-1"))
    p, one = plugin("--sensors", script, "--rate", "10", "--record", record), load(0.5)
    p.send(start_event([one.pid], [1], 0))
    p.wait_said(first)
    if then:
        p.wait_said(then)
    before = len(p.log("CPU.json"))
    wait_for(lambda: len(p.log("CPU.json")) > before + 5, what="lines after the fault")
    p.stop()
    n_cpu = os.sysconf("SC_NPROCESSORS_ONLN")
    for watts, _, _ in p.log("CPU.json").values():
        assert 0 <= watts <= 2 * 40.0 / n_cpu * 1.3, watts
    lines = [json.loads(x) for x in record.read_text().splitlines()]
    whole = {}
    for x in lines:
        whole.setdefault((x["domain"], x["t_ns"], x["interval_ns"]), []).append(x)
    for (domain, _, interval_ns), parts in whole.items():
        # 40 W, as well as a counter can show it that moves once a millisecond.
        energy_uj = sum(x["energy_uj"] for x in parts)
        assert abs(energy_uj - 0.04 * interval_ns) < 0.04 * 5e6 + 100, (domain, parts)
    gaps = [x for x in lines if "GAP" in x["flags"]]
    assert bool(gaps) == (what in ("eio", "gone"))
    assert all(x["domain"] == "package-0" for x in gaps)
