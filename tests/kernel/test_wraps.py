# SPDX-License-Identifier: MIT
"""Registers that begin again at 0, again and again: 32 bits of 2^-22 J are 1,024 J. powercap is not
among them: its driver rounds so fine a unit to nanojoules, of which no processor has one."""

import json

import pytest

SENSORS = ("rapl-perf", "rapl-msr")

WRAP_J = 2.0 ** (32 - 22)

# As fast as a package may be taken to be. Half of a register's range, more than which the kernel takes
# for a step back, must not be passed while the emulated machine is held up.
SCRIPT = """
curve raw all 4294900000
sleep 1000 &
target=$!
cat /proc/energy >/results/before
for sensor in rapl-perf rapl-msr; do
    powermeasure stat -p $target --json -I 100 --sensors $sensor --record /tmp/$sensor.record \\
        -o /results/$sensor.json &
done
for sensor in rapl-perf rapl-msr; do
    until [ -s /tmp/$sensor.record ]; do sleep 0.1; done
done
sleep 0.5
curve mw all 800000
sleep 13.5
curve mw all 100
kill $target
wait
cat /proc/energy >/results/after
"""


@pytest.mark.parametrize("sensor", SENSORS)
def test_wraps_are_counted(boots, sensor):
    result = boots(SCRIPT, kernel="6.1", energy="kinds=package,dram mw=100 esu=22")
    document = json.loads(result.text(f"{sensor}.json"))
    from_ns, to_ns = result.now_ns("before"), result.now_ns("after")
    assert len(document["domains"]) == 2, document
    for domain, counter in zip(document["domains"], ("package-0", "dram-0")):
        true_j = result.curve.between_j(counter, from_ns, to_ns)
        assert true_j > 10 * WRAP_J
        # What the 100 mW before and after were is not known to the count.
        assert domain["energy_j"] == pytest.approx(true_j, abs=1), (domain, true_j)
        assert domain["low_j"] <= true_j and true_j - 1 <= domain["high_j"], (domain, true_j)
    assert not any("missing" in w or "fell" in w for w in document["warnings"]), document["warnings"]
