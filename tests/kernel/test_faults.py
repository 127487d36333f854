# SPDX-License-Identifier: MIT
"""The plugin at ten lines a second while power, driver and CPUs change as chance has it. PM_SEED repeats a
run whose seed was printed."""

import json
import os
import random

SECONDS = 600 if os.environ.get("PM_KERNEL") == "long" else 45

SCRIPT = """
burn 100000000 &
target=$!
powermeasure plugin --listen tcp://127.0.0.1:6010 --log-dir /results --rate 10 --sensors rapl-powercap \\
    --record /results/record.jsonl 2>/results/log &
plugin=$!
until grep -q 'listening at' /results/log; do sleep 0.1; done
powermeasure send start --pid $target --type all --seconds 0
memory() { sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/$plugin/status; }
fault() {
    case $1 in
        power) curve mw package $3 ;;
        driver) rmmod intel_rapl_msr; sleep $2; modprobe intel_rapl_msr ;;
        cpu) echo 0 >$cpu1; sleep $2; echo 1 >$cpu1 ;;
        read) curve fail 1; sleep $2; curve fail 0 ;;
    esac
}
cpu1=/sys/devices/system/cpu/cpu1/online
"""

END = """
powermeasure send stop --pid $target
memory >>/results/memory
powermeasure send terminate
wait $plugin
echo $? >/results/plugin.status
kill $target
"""


def drawn(seed):
    """The faults of a run: (name, how long, milliwatts)."""
    chance, seconds, lines = random.Random(seed), 0.0, []
    while seconds < SECONDS:
        what = chance.choices(["power", "driver", "cpu", "read"], [6, 1, 1, 1])[0]
        lasts, pause = chance.uniform(0.1, 1), chance.uniform(0.2, 1)
        lines.append(f"fault {what} {lasts:.2f} {chance.randrange(1000, 200000)}; sleep {pause:.2f}")
        seconds += pause + (lasts if what != "power" else 0)
    # The bounds take the highest power that was seen: so that is seen first.
    lines.insert(0, "fault power 0 200000; sleep 1")
    # Its memory is compared between the first third and the end.
    lines.insert(len(lines) // 3, "memory >/results/memory")
    return "\n".join(lines)


def test_bounds_hold_the_truth_whatever_happens(boots):
    seed = int(os.environ.get("PM_SEED", random.randrange(2 ** 32)))
    print(f"PM_SEED={seed}")
    result = boots(SCRIPT + drawn(seed) + END, kernel="6.1", energy="kinds=package",
                   timeout_s=4 * SECONDS + 120)
    assert result.text("plugin.status") == "0\n", result.text("log")
    assert json.loads(result.text("CPU.json"))
    intervals = {}
    for line in result.text("record.jsonl").splitlines():
        record = json.loads(line)
        if "missed" in record:
            continue  # the time before the event was there
        whole = intervals.setdefault((record["t_ns"], record["interval_ns"]), [0, 0, 0])
        for i, key in enumerate(("low_uj", "energy_uj", "high_uj")):
            whole[i] += record[key]
    assert len(intervals) > 5 * SECONDS, len(intervals)
    wrong = []
    for (t_ns, interval_ns), (low_uj, energy_uj, high_uj) in intervals.items():
        true_uj = 1e6 * result.curve.between_j("package-0", t_ns - interval_ns, t_ns)
        if not low_uj <= true_uj <= high_uj:
            wrong.append((t_ns, interval_ns, low_uj, energy_uj, high_uj, true_uj))
    assert not wrong, wrong
    before_kb, after_kb = (int(kb) for kb in result.text("memory").split())
    assert after_kb <= before_kb + 512, (before_kb, after_kb)
