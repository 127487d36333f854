# SPDX-License-Identifier: MIT
"""The kernel's drivers of ACPI power meters, batteries and chargers, on a table of the lab's own."""

import json

import pytest

SCRIPT = """
power_set online 1 state 0 rate 0 left 40000 input 123000 interval 1000
for module in acpi_power_meter battery ac; do modprobe $module; done

look() { keep list-$1 powermeasure list --json --sensors hwmon,battery; }
measure() {
    name=$1
    shift
    keep $name powermeasure run --json -o /results/$name.json "$@"
}

look full
measure meter --sensors hwmon -- sleep 3
echo 10000 >/sys/class/hwmon/hwmon0/device/power1_average_interval
measure slow-meter --sensors hwmon -- sleep 3
power_set state 2 rate 20000
sleep 1.5  # the driver keeps what it knows for a second
look charging
power_set online 0 state 1 rate 15000
sleep 1.5
look discharging
measure battery --sensors battery -- sleep 3
cat >/tmp/unplug <<'END'
. /lab/functions
sleep 2.5
power_set online 1 state 2 rate 20000
sleep 2
END
measure unplugged --sensors battery -- sh /tmp/unplug
"""


@pytest.fixture
def result(boots, kernel):
    return boots(SCRIPT, kernel=kernel, energy="kinds=package", acpi=["machine.asl"])


def listed(result, name, sensor):
    """A sensor's first domain, as list shows it."""
    document = json.loads(result.text(f"list-{name}.out"))
    return next(s for s in document["sensors"] if s["name"] == sensor)["domains"][0]


def measured(result, name):
    assert result.text(f"{name}.status") == "0\n", result.text(f"{name}.err")
    return json.loads(result.text(f"{name}.json"))


@pytest.mark.parametrize("state", ["full", "charging"])
def test_a_battery_on_the_charger_says_nothing(result, state):
    assert listed(result, state, "battery")["power_w"] is None


def test_a_battery_that_is_discharged_is_the_machine(result):
    assert listed(result, "discharging", "battery")["power_w"] == 15
    document = measured(result, "battery")
    domain, = document["domains"]
    assert domain["kind"] == "platform" and domain["quality"] == "integrated"
    assert domain["low_j"] <= 15 * document["elapsed_s"] <= domain["high_j"], document
    assert domain["energy_j"] == pytest.approx(15 * document["elapsed_s"], rel=0.02)


def test_a_battery_that_is_put_on_the_charger_gives_a_part(result):
    document = measured(result, "unplugged")
    domain, = document["domains"]
    # What was drawn until then, at most, and with its bounds what the whole run may have taken.
    assert domain["low_j"] <= 15 * 2.5, document
    assert any("battery" in w for w in document["warnings"]), document["warnings"]


@pytest.mark.parametrize("name", ["meter", "slow-meter"])
def test_a_meter_is_the_machine_at_its_input(result, name):
    assert listed(result, "full", "hwmon")["power_w"] == 123
    document = measured(result, name)
    domain, = document["domains"]
    assert domain["kind"] == "platform" and domain["quality"] == "integrated"
    true_j = 123 * document["elapsed_s"]
    assert domain["low_j"] <= true_j <= domain["high_j"], document
    assert domain["energy_j"] == pytest.approx(true_j, rel=0.02)
