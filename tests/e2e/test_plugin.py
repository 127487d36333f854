# SPDX-License-Identifier: MIT
"""The main job: an event in, watts in CPU.json and GPU.json out."""

import time

from conftest import PUBLISHED, start_event

SIM = ("--sensors", "sim")


def test_ten_seconds_at_two_hertz_are_twenty_lines(plugin, load):
    p, one, two = plugin(*SIM), load(0.3), load(0.6)
    assert p.send(start_event([one.pid, two.pid], [0], 10)) == PUBLISHED
    p.wait_said(rf"pid {two.pid} .*time is up", 15)
    p.wait_said(rf"pid {one.pid} .*time is up", 15)
    log = p.log("CPU.json")
    for pid in one.pid, two.pid:
        assert len([v for v in log.values() if v[1] == str(pid)]) == 20
    assert len(p.log("GPU.json")) == 20
    assert p.stop() == 0
