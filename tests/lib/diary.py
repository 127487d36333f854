# SPDX-License-Identifier: MIT
"""A load that writes down how much CPU time it had used when, so that figures can be compared with what it
really used at the very times that they are about."""

from conftest import GIVE_UP_S

# Busy for a part of the time; hands its diary over when its input ends.
DIARY = """
import sys, time, threading
duty, period = float(sys.argv[1]), 0.01
diary, over = [], False
def wait():
    global over
    sys.stdin.read()
    over = True
threading.Thread(target=wait, daemon=True).start()
print("ready", flush=True)
while not over:
    diary.append((time.monotonic_ns(), time.process_time_ns()))
    begun = time.perf_counter()
    while time.perf_counter() - begun < duty * period:
        pass
    diary.append((time.monotonic_ns(), time.process_time_ns()))
    if duty < 1:
        time.sleep((1 - duty) * period)
for t, cpu in diary:
    print(t, cpu)
"""


def read_diary(load):
    """[(time, CPU time)] of a load, in nanoseconds; it ends."""
    out, _ = load.process.communicate(timeout=GIVE_UP_S)
    return [tuple(map(int, line.split())) for line in out.decode().splitlines()]


def cpu_at(diary, t_ns):
    """CPU time at a time, between two entries in proportion. Before the first and after the last entry it
    did not run."""
    for (t0, c0), (t1, c1) in zip(diary, diary[1:]):
        if t0 <= t_ns <= t1:
            return c0 + (c1 - c0) * (t_ns - t0) / max(1, t1 - t0)
    return diary[0][1] if t_ns < diary[0][0] else diary[-1][1]
