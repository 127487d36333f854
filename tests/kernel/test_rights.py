# SPDX-License-Identifier: MIT
"""Every command that list and doctor give is executed as root, then an ordinary user measures: what was
given is what was needed, and nothing more."""

import json

import pytest

# `repair SENSOR STEP`: executes what doctor gives the user until nothing is given any more, then measures.
SCRIPT = r"""
printf '#!/bin/sh\nexec env "$@"\n' >/usr/bin/sudo  # those in PATH, not busybox's
# As the real one, for one group: usermod -aG GROUP USER
printf '#!/bin/sh\n[ "$1" = -aG ] && exec sed -i "s/^$2:.*:.*:/&$3/" /etc/group\n' >/usr/bin/usermod
chmod +x /usr/bin/sudo /usr/bin/usermod

user() { su -s /bin/sh tester -c "$*"; }

fix_of() {
    user "powermeasure doctor --json --sensors $1" | sed "s/.*\"name\": \"$1\"//; s/\"fix\": /\n/" |
        sed -n '2s/^"\([^"]*\)".*/\1/p'
}

repair() {
    : >/results/$1.$2.fixes
    for round in 1 2 3 4; do
        fix=$(fix_of $1)
        [ -n "$fix" ] || break
        echo "$fix" >>/results/$1.$2.fixes
        sh -c "$fix" || say "failed: $fix"
    done
    keep_as_user $1.$2 "powermeasure run --json --sensors $1 -o /results/$1.$2.json -- sleep 0.5"
}

program=/usr/bin/powermeasure
as_booted=$(cat /proc/sys/kernel/perf_event_paranoid)
for module in rapl intel_rapl_msr intel_rapl_common msr; do rmmod $module; done
for sensor in rapl-perf rapl-powercap rapl-msr; do
    repair $sensor everything
    # Each capability of several is needed.
    given=$(getcap $program | sed 's/.* \(.*\)[=+]ep$/\1/')
    for one in $(echo "$given" | tr , ' '); do
        rest=$(echo ",$given," | sed "s/,$one,/,/; s/^,//; s/,$//")
        setcap -r $program
        [ -z "$rest" ] || setcap "$rest+ep" $program
        keep_as_user $sensor.without-$one "powermeasure run --json --sensors $sensor -o /results/x.json -- true"
        echo "$sensor.without-$one" >>/results/weaker
        setcap -r $program
    done
    setcap -r $program
    echo $as_booted >/proc/sys/kernel/perf_event_paranoid
done

# A group that may read, and a user who is not in it yet.
chgrp power /sys/class/powercap/*/energy_uj
chmod g+r /sys/class/powercap/*/energy_uj
repair rapl-powercap group
chmod a+r /sys/class/powercap/*/energy_uj
sed -i 's/tester$//' /etc/group
repair rapl-powercap everybody

for level in 3 2 1 0 -1; do
    echo $level >/proc/sys/kernel/perf_event_paranoid
    repair rapl-perf paranoid$level
    setcap -r $program 2>/dev/null
done
"""

SYSCTL = "sudo sysctl kernel.perf_event_paranoid=2 && "
SETCAP = {
    "rapl-perf": "sudo setcap cap_perfmon+ep /usr/bin/powermeasure",
    "rapl-powercap": "sudo setcap cap_dac_read_search+ep /usr/bin/powermeasure",
    "rapl-msr": "sudo setcap cap_sys_rawio,cap_dac_read_search+ep /usr/bin/powermeasure",
}
MODULES = {"rapl-perf": "rapl", "rapl-powercap": "intel_rapl_msr", "rapl-msr": "msr"}

# Debian's kernels start at level 3, where perf wants more than elsewhere.
STEPS = [(sensor, "everything", [f"sudo modprobe {MODULES[sensor]}",
                                 (SYSCTL if sensor == "rapl-perf" else "") + SETCAP[sensor]])
         for sensor in SETCAP]
STEPS += [("rapl-powercap", "group", ["sudo usermod -aG power tester"]),
          ("rapl-powercap", "everybody", [])]
STEPS += [("rapl-perf", "paranoid3", [SYSCTL + SETCAP["rapl-perf"]])]
STEPS += [("rapl-perf", f"paranoid{level}", [SETCAP["rapl-perf"]] if level > 0 else [])
          for level in (2, 1, 0, -1)]


@pytest.fixture
def result(boots, kernel):
    return boots(SCRIPT, kernel=kernel)


@pytest.mark.parametrize("sensor, step, fixes", STEPS)
def test_what_was_given_is_what_was_needed(result, sensor, step, fixes):
    name = f"{sensor}.{step}"
    assert result.text(f"{name}.fixes").splitlines() == fixes, result.console
    assert result.text(f"{name}.status") == "0\n", result.text(f"{name}.err")
    domains = json.loads(result.text(f"{name}.json"))["domains"]
    assert {d["sensor"] for d in domains} == {sensor}
    assert all(d["quality"] == "measured" and d["energy_j"] > 0 for d in domains), domains


def test_a_capability_less_is_not_enough(result):
    weaker = result.text("weaker").split()
    assert len(weaker) == 4
    for name in weaker:
        assert result.text(f"{name}.status") != "0\n", name
