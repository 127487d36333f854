# SPDX-License-Identifier: MIT
"""The three ways to RAPL through the kernel's real drivers, against a curve that is known exactly."""

import json

import pytest

from kernels import SUITES

KERNELS = list(SUITES)
SENSORS = ("rapl-perf", "rapl-powercap", "rapl-msr")

# Before and after the command next to nothing is used, so that all that was used is known to a count,
# whenever in that time the first and the last reading were. Each register passes its end on the way.
SCRIPT = """
cat >/tmp/load <<'END'
#!/bin/sh
head -n 1 /proc/energy
echo "mw all $HIGH_MW" >/proc/energy
sleep 0.4
echo "mw package $((HIGH_MW / 2))" >/proc/energy
sleep 0.4
echo "mw all $LOW_MW" >/proc/energy
head -n 1 /proc/energy
END
chmod +x /tmp/load
keep list powermeasure list
for sensor in rapl-perf rapl-powercap rapl-msr; do
    curve raw all $NEAR_END
    keep $sensor powermeasure run --json --sensors $sensor -o /results/$sensor.json -- /tmp/load
done
"""

# What a sensor's domain is made of; AMD's cores have a counter each.
COUNTERS = {"package-0": ["package-0"], "package-0-core": ["cores-0"], "package-0-dram": ["dram-0"],
            "package-0-uncore": ["gpu-0"], "psys": ["psys-0"]}
AMD_COUNTERS = {"package-0": ["package-0"], "package-0-core": ["core-0-0", "core-0-1"]}


class Model:
    """A processor: its energy registers' parameters, what is used at rest and under load, and what a
    count of each counter is."""

    def __init__(self, cpu, energy, esu=14, low_mw=100, high_mw=90000, **other_esu):
        self.cpu, self.esu, self.other_esu = cpu, esu, other_esu
        self.low_mw, self.high_mw = low_mw, high_mw
        self.energy = f"kinds={energy} esu={esu} mw={low_mw}"
        for kind, value in other_esu.items():
            self.energy += f" {kind}_esu={value}"

    def counters(self, domain):
        return (AMD_COUNTERS if self.cpu == "EPYC" else COUNTERS)[domain]

    def unit_j(self, counter):
        return 2.0 ** -self.other_esu.get(counter.partition("-")[0], self.esu)

    def boot(self, boots, kernel):
        # A quarter of a second at the high power before the first of them is there.
        counts = int(self.high_mw / 1000 / 4 / self.unit_j("package"))
        script = (f"export LOW_MW={self.low_mw} HIGH_MW={self.high_mw} NEAR_END={2 ** 32 - counts}\n"
                  f"{SCRIPT}")
        return boots(script, kernel=kernel, cpu=self.cpu, energy=self.energy)


MODELS = {
    "Skylake client": Model("Skylake-Client", "package,cores,gpu,dram,psys"),
    "Skylake server": Model("Skylake-Server", "package,dram", dram=16),
    "Haswell server": Model("Haswell,model=63", "package,dram", dram=16),
    "Sapphire Rapids": Model("Skylake-Server,model=143", "package,dram,psys", psys=0, low_mw=2000),
    "fine unit": Model("Skylake-Client", "package,cores", esu=16),
    "joules": Model("Skylake-Client", "package", esu=0, low_mw=100000, high_mw=1000000),
    "Zen": Model("EPYC", "package", esu=16),
}


# Of the newer kernel those on which its drivers differ: a boot each takes its time.
NEWER = ("Skylake client", "Sapphire Rapids", "Zen")


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("kernel, model", [
    pytest.param(kernel, model, id=f"{kernel}-{name}")
    for kernel in KERNELS for name, model in MODELS.items()
    if kernel == KERNELS[0] or name in NEWER], indirect=["kernel"])
def test_a_sensor_agrees_with_the_curve(boots, kernel, model, sensor):
    result = model.boot(boots, kernel)
    assert result.text(f"{sensor}.status") == "0\n", result.text(f"{sensor}.err")
    document = json.loads(result.text(f"{sensor}.json"))
    assert document["domains"], document
    from_ns, to_ns = (int(line.split()[1]) for line in result.text(f"{sensor}.out").splitlines())
    for domain in document["domains"]:
        counters = model.counters(domain["name"])
        least_j = sum(result.curve.between_j(c, from_ns, to_ns) for c in counters)
        most_j = sum(result.curve.between_j(c, result.now_ns(f"{sensor}.before"),
                                            result.now_ns(f"{sensor}.after")) for c in counters)
        told = (domain, least_j, most_j)
        assert domain["low_j"] <= most_j and least_j <= domain["high_j"], told
        if domain["kind"] not in ("cpu", "dram"):
            continue  # brought from its readings' times to the command's, by its mean power
        # A count at either end, and not one that is lost between.
        rounding_j = sum(2 * model.unit_j(c) for c in counters)
        assert least_j - rounding_j <= domain["energy_j"] <= most_j + rounding_j, told
