# SPDX-License-Identifier: MIT
"""What changes below a running measurement: drivers are unloaded and loaded, CPUs go and come. Energy
that the counters went on counting is not lost; where some is lost, that is said."""

import json

import pytest

SCRIPT = """
cat >/tmp/load <<'END'
#!/bin/sh
# load COMMAND: that happens in the midst of two seconds in which both packages use 20 W
head -n 1 /proc/energy
echo "mw all 20000" >/proc/energy
sleep 0.5
eval "$1"
sleep 1.5
echo "mw all 100" >/proc/energy
head -n 1 /proc/energy
END
chmod +x /tmp/load
measure() { keep $1 powermeasure run --json --sensors $2 -o /results/$1.json -- /tmp/load "$3"; }

cpu1=/sys/devices/system/cpu/cpu1/online
measure powercap-unloaded rapl-powercap "rmmod intel_rapl_msr; sleep 0.5; modprobe intel_rapl_msr"
measure powercap-hotplug rapl-powercap "echo 0 >$cpu1; sleep 0.5; echo 1 >$cpu1"
measure msr-hotplug rapl-msr "echo 0 >$cpu1; sleep 0.5; echo 1 >$cpu1"
measure perf-hotplug rapl-perf "echo 0 >$cpu1; sleep 1; echo 1 >$cpu1"
rmmod msr && say "msr was not in use"
"""

TWO_PACKAGES = dict(sockets=2, energy="packages=2 kinds=package mw=100")


@pytest.fixture
def result(boots, kernel):
    return boots(SCRIPT, kernel=kernel, **TWO_PACKAGES)


def measured(result, name):
    """The domains' figures by name, and within which bounds the truth of each is."""
    assert result.text(f"{name}.status") == "0\n", result.text(f"{name}.err")
    document = json.loads(result.text(f"{name}.json"))
    from_ns, to_ns = (int(line.split()[1]) for line in result.text(f"{name}.out").splitlines())
    truth = {}
    for package in ("package-0", "package-1"):
        truth[package] = (result.curve.between_j(package, from_ns, to_ns),
                          result.curve.between_j(package, result.now_ns(f"{name}.before"),
                                                 result.now_ns(f"{name}.after")))
    return document, {d["name"]: d for d in document["domains"]}, truth


def assert_right(domain, truth):
    least_j, most_j = truth
    assert domain["low_j"] <= most_j and least_j <= domain["high_j"], (domain, truth)
    assert least_j - 0.001 <= domain["energy_j"] <= most_j + 0.001, (domain, truth)


@pytest.mark.parametrize("name", ["powercap-unloaded", "powercap-hotplug", "msr-hotplug"])
def test_what_was_counted_on_is_not_lost(result, name):
    document, domains, truth = measured(result, name)
    for package in truth:
        assert_right(domains[package], truth[package])
    assert any("package-1: could not be read" in w for w in document["warnings"]), document["warnings"]


def test_an_event_whose_cpu_went_loses_energy_and_says_so(result):
    document, domains, truth = measured(result, "perf-hotplug")
    assert_right(domains["package-0"], truth["package-0"])
    assert domains["package-1"]["low_j"] < truth["package-1"][0]
    # It is back before the end or not, as the retries fall.
    assert any("package-1" in w and ("energy is missing" in w or "could not be read" in w)
               for w in document["warnings"]), document["warnings"]
    assert not any("package-0" in w for w in document["warnings"]), document["warnings"]
