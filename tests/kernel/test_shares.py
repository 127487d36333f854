# SPDX-License-Identifier: MIT
"""Who used what, where rights and views are not a test machine's usual ones: ordinary users, programs of
other users, control groups of both versions, namespaces, a hidden /sys and /proc."""

import json

import pytest

SCRIPT = """
program=/usr/bin/powermeasure
measure() { name=$1; shift; keep $name powermeasure "$@"; }
as_user() { name=$1; shift; keep_as_user $name "powermeasure $*"; }
run="run --json --sensors rapl-powercap"
stat="stat --json -d 3 --sensors rapl-powercap"

# A program that takes another user's rights.
cp /usr/bin/burn /usr/bin/rootburn
chmod 4711 /usr/bin/rootburn

setcap cap_dac_read_search+ep $program
as_user user "$run -o /results/user.json -- burn 600"
as_user set-user-id "$run -o /results/set-user-id.json -- rootburn 600"
as_user child "$run -o /results/child.json -- sh -c 'rootburn 300; burn 300'"

burn_in() {
    mkdir -p $1
    sh -c "echo 0 >$1/cgroup.procs; exec burn 60000" &
    burning=$!
    until grep -q . $1/cgroup.procs; do :; done
}
stop() {
    kill $burning
    wait $burning
    rmdir $1
}
top=/sys/fs/cgroup
mount -t cgroup2 cgroup2 $top
burn_in $top/lab
measure cgroup-v2 $stat --cgroup $top/lab
as_user cgroup-v2-user "$stat --cgroup $top/lab"
stop $top/lab
umount $top
mount -t tmpfs tmpfs $top
mkdir $top/cpu,cpuacct
mount -t cgroup -o cpu,cpuacct cgroup $top/cpu,cpuacct
burn_in $top/cpu,cpuacct/lab
measure cgroup-v1 $stat --cgroup $top/cpu,cpuacct/lab
as_user cgroup-v1-user "$stat --cgroup $top/cpu,cpuacct/lab"
stop $top/cpu,cpuacct/lab

keep pid-namespace unshare -pf --mount-proc powermeasure $run -o /results/pid-namespace.json -- burn 600
setcap -r $program
keep no-capabilities /usr/bin/setpriv --bounding-set=-all --inh-caps=-all \\
    powermeasure $run -o /results/no-capabilities.json -- burn 600

keep hidden-zones unshare -m sh -c \\
    "mount -t tmpfs tmpfs /sys/class/powercap; powermeasure doctor --json --sensors rapl-powercap"
keep hidden-sys unshare -m sh -c \\
    "mount -t tmpfs tmpfs /sys; powermeasure doctor --json --sensors rapl-perf,rapl-powercap"

chmod a+r /sys/class/powercap/*/energy_uj
mount -o remount,hidepid=2 /proc
as_user hidepid "$run -o /results/hidepid.json -- burn 600"
setcap cap_dac_read_search+ep $program
as_user hidepid-capable "$run -o /results/hidepid-capable.json -- burn 600"
"""


@pytest.fixture
def result(boots, kernel):
    return boots(SCRIPT, kernel=kernel, energy="kinds=package")


def shared(document, part):
    """A part of the package's energy, and what CPU time says of it: of two CPUs."""
    package, = document["domains"]
    share = document[f"{part}_cpu_s"] / (2 * document["elapsed_s"])
    return document[f"{part}_energy_j"]["cpu"], package["energy_j"] * share


@pytest.mark.parametrize("name", ["user", "set-user-id", "child", "pid-namespace", "no-capabilities",
                                  "hidepid", "hidepid-capable"])
def test_a_command_gets_its_share(result, name):
    assert result.text(f"{name}.status") == "0\n", result.text(f"{name}.err")
    document = json.loads(result.text(f"{name}.json"))
    # What starting it took, under emulation, is in it, too.
    assert 0.5 <= document["command_cpu_s"] <= 1.2, document
    got_j, right_j = shared(document, "command")
    assert got_j == pytest.approx(right_j, rel=0.15), document


@pytest.mark.parametrize("name", ["cgroup-v2", "cgroup-v2-user", "cgroup-v1", "cgroup-v1-user"])
def test_a_control_group_gets_its_share(result, name):
    assert result.text(f"{name}.status") == "0\n", result.text(f"{name}.err")
    document = json.loads(result.text(f"{name}.out"))
    assert document["targets_cpu_s"] >= 0.5, document
    got_j, right_j = shared(document, "targets")
    assert got_j == pytest.approx(right_j, rel=0.25), document


@pytest.mark.parametrize("name, sensors, word", [
    ("hidden-zones", ["rapl-powercap"], "is loaded"),
    ("hidden-sys", ["rapl-perf", "rapl-powercap"], "/sys is not mounted, or hidden")])
def test_what_is_hidden_is_said_to_be(result, name, sensors, word):
    found = {s["name"]: s for s in json.loads(result.text(f"{name}.out"))["sensors"]}
    for sensor in sensors:
        assert word in found[sensor]["reason"] and found[sensor]["fix"] is None, found[sensor]
