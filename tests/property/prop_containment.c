// SPDX-License-Identifier: MIT
/*
 * Whatever sensors a machine has, no kind's sum contains a joule twice. Machines are put together
 * at random from parts of which it is known what they draw their power for; then no two domains
 * that count for one kind may have such a thing in common.
 */
#include "test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "meter/rig.h"
#include "fakeclock.h"
#include "files.h"
#include "random.h"

/* What draws power. */
#define CORES0 (1u << 0)
#define CORES1 (1u << 1)
#define IGPU (1u << 2)
#define MEMORY0 (1u << 3)
#define MEMORY1 (1u << 4)
#define IO (1u << 5)
#define GPU_A (1u << 6)
#define GPU_A_ENGINE (1u << 7)
#define GPU_B (1u << 8)
#define JETSON_GPU (1u << 9)
#define REST (1u << 10)
#define ALL ((1u << 11) - 1)
#define NEVER_COUNTED (1u << 31)

#define RAPL "sys/class/powercap/intel-rapl:"
#define HWMON "sys/class/hwmon/hwmon"
#define INA "sys/bus/i2c/drivers/ina3221/"
#define SUPPLY "sys/class/power_supply/"

/* A part: files "PATH=TEXT", of which % stands for a number that is another each time. */
static const struct part {
	const char *files[12];
} parts[] = {
	{ { RAPL "0/name=package-0", RAPL "0/energy_uj=5" } },
	{ { RAPL "1/name=package-1", RAPL "1/energy_uj=5" } },
	{ { RAPL "0/name=package-0", RAPL "0/energy_uj=5", RAPL "0:0/name=core",
		RAPL "0:0/energy_uj=5", RAPL "0:1/name=uncore", RAPL "0:1/energy_uj=5" } },
	{ { RAPL "0/name=package-0", RAPL "0/energy_uj=5", RAPL "0:2/name=dram",
		RAPL "0:2/energy_uj=5" } },
	{ { RAPL "2/name=psys", RAPL "2/energy_uj=5" } },
	{ { HWMON "%/name=amdgpu", HWMON "%/power1_input=5", HWMON "%/power2_input=5",
		HWMON "%/in1_label=vddnb", HWMON "%/device/uevent=PCI_SLOT_NAME=apu" } },
	{ { HWMON "%/name=amdgpu", HWMON "%/power1_input=5", HWMON "%/power1_average=5",
		HWMON "%/device/uevent=PCI_SLOT_NAME=b" } },
	{ { HWMON "%/name=i915", HWMON "%/energy1_input=5",
		HWMON "%/device/uevent=PCI_SLOT_NAME=a" } },
	{ { HWMON "%/name=i915_gt0", HWMON "%/energy1_input=5",
		HWMON "%/device/uevent=PCI_SLOT_NAME=a" } },
	{ { HWMON "%/name=power_meter", HWMON "%/device/power1_average=5" } },
	{ { HWMON "%/name=power_meter", HWMON "%/device/power1_average=5",
		HWMON "%/device/power1_oem_info=Module Power Socket 0" } },
	{ { HWMON "%/name=power_meter", HWMON "%/device/power1_average=5",
		HWMON "%/device/power1_oem_info=Grace Power Socket 0" } },
	{ { HWMON "%/name=power_meter", HWMON "%/device/power1_average=5",
		HWMON "%/device/power1_oem_info=Grace Power Socket 1" } },
	{ { HWMON "%/name=power_meter", HWMON "%/device/power1_average=5",
		HWMON "%/device/power1_oem_info=CPU Power Socket 0" } },
	{ { HWMON "%/name=power_meter", HWMON "%/device/power1_average=5",
		HWMON "%/device/power1_oem_info=SysIO Power Socket 0" } },
	{ { HWMON "%/name=power_meter", HWMON "%/device/power1_average=5",
		HWMON "%/device/power1_oem_info=DRAM Power Socket 0" } },
	{ { HWMON "%/name=amd_energy", HWMON "%/energy1_input=5", HWMON "%/energy1_label=Ecore000",
		HWMON "%/energy2_input=5", HWMON "%/energy2_label=Esocket0",
		HWMON "%/energy3_input=5", HWMON "%/energy3_label=Esocket1" } },
	{ { HWMON "%/name=macsmc_hwmon", HWMON "%/power1_input=5",
		HWMON "%/power1_label=Total System Power", HWMON "%/power2_input=5",
		HWMON "%/power2_label=3.8 V Rail Power" } },
	{ { HWMON "%/name=scmi_sensors", HWMON "%/power1_input=5", HWMON "%/power1_label=CPU",
		HWMON "%/energy1_input=5", HWMON "%/energy1_label=CPU" } },
	{ { HWMON "%/name=corsairpsu", HWMON "%/power1_input=5", HWMON "%/power2_input=5" } },
	{ { HWMON "%/name=ina226", HWMON "%/power1_input=5" } },
	{ { INA "1-0040/hwmon/hwmon1/in1_label=VDD_IN", INA "1-0040/hwmon/hwmon1/in1_input=5",
		INA "1-0040/hwmon/hwmon1/curr1_input=5" } },
	{ { INA "1-0041/hwmon/hwmon2/in1_label=VDD_GPU_SOC", INA "1-0041/hwmon/hwmon2/in1_input=5",
		INA "1-0041/hwmon/hwmon2/curr1_input=5",
		INA "1-0041/hwmon/hwmon2/in2_label=VDD_CPU_CV",
		INA "1-0041/hwmon/hwmon2/in2_input=5", INA "1-0041/hwmon/hwmon2/curr2_input=5",
		INA "1-0041/hwmon/hwmon2/in3_label=VIN_SYS_5V0",
		INA "1-0041/hwmon/hwmon2/in3_input=5", INA "1-0041/hwmon/hwmon2/curr3_input=5" } },
	{ { INA "1-0042/hwmon/hwmon3/in2_label=VDDQ_VDD2_1V8AO",
		INA "1-0042/hwmon/hwmon3/in2_input=5", INA "1-0042/hwmon/hwmon3/curr2_input=5" } },
	{ { SUPPLY "BAT0/type=Battery", SUPPLY "BAT0/status=Discharging",
		SUPPLY "BAT0/power_now=5" } },
	{ { SUPPLY "BAT1/type=Battery", SUPPLY "BAT1/status=Discharging",
		SUPPLY "BAT1/power_now=5" } },
	{ { "dev/vcio=VDD_CORE_A current(7)=1.0A\nVDD_CORE_V volt(8)=1.0V\n"
	    "DDR_VDD2_A current(3)=1.0A\nDDR_VDD2_V volt(11)=1.0V" } },
};

/* What each domain is the power of; the longest beginning counts. */
static const struct {
	const char *sensor;
	const char *name;
	unsigned covers;
} truth[] = {
	{ "rapl-powercap", "package-0", CORES0 | IGPU },
	{ "rapl-powercap", "package-0-core", CORES0 },
	{ "rapl-powercap", "package-0-uncore", IGPU },
	{ "rapl-powercap", "package-0-dram", MEMORY0 },
	{ "rapl-powercap", "package-1", CORES1 },
	{ "rapl-powercap", "psys", ALL },
	{ "hwmon", "amdgpu-apu", CORES0 | IGPU },
	{ "hwmon", "amdgpu-b", GPU_B },
	{ "hwmon", "i915-a", GPU_A | GPU_A_ENGINE },
	{ "hwmon", "i915_gt0-a", GPU_A_ENGINE },
	{ "hwmon", "power_meter", ALL },
	{ "hwmon", "power_meter-SysIO", IO | NEVER_COUNTED },
	{ "hwmon", "Module Power Socket 0", CORES0 | MEMORY0 | IO | GPU_A | GPU_A_ENGINE },
	{ "hwmon", "Grace Power Socket 0", CORES0 | MEMORY0 | IO },
	{ "hwmon", "Grace Power Socket 1", CORES1 | MEMORY1 },
	{ "hwmon", "CPU Power Socket 0", CORES0 },
	{ "hwmon", "DRAM Power Socket 0", MEMORY0 },
	{ "hwmon", "Esocket0", CORES0 },
	{ "hwmon", "Esocket1", CORES1 },
	{ "hwmon", "Total System Power", ALL },
	{ "hwmon", "macsmc", ALL | NEVER_COUNTED },
	{ "hwmon", "CPU", CORES0 | CORES1 },
	{ "hwmon", "corsairpsu", ALL | NEVER_COUNTED },
	{ "hwmon", "ina226", ALL | NEVER_COUNTED },
	{ "jetson", "VDD_IN", ALL },
	{ "jetson", "module", ALL },
	{ "jetson", "VDD_GPU_SOC", JETSON_GPU | REST },
	{ "jetson", "VDD_CPU_CV", CORES0 | CORES1 },
	{ "jetson", "VIN_SYS_5V0", MEMORY0 | MEMORY1 | IO },
	{ "jetson", "VDDQ_VDD2_1V8AO", MEMORY0 | MEMORY1 },
	{ "battery", "battery", ALL },
	{ "rpi-pmic", "rails", ALL & ~REST },
	{ "rpi-pmic", "VDD_CORE", CORES0 | CORES1 | IGPU },
	{ "rpi-pmic", "DDR", MEMORY0 | MEMORY1 },
};

static unsigned covered_by(const struct domain *d)
{
	size_t best = 0;
	unsigned covers = 0;

	for (size_t i = 0; i < sizeof(truth) / sizeof(truth[0]); i++) {
		size_t n = strlen(truth[i].name);

		if (strcmp(truth[i].sensor, d->sensor) != 0 || n <= best ||
			strncmp(truth[i].name, d->name, n) != 0)
			continue;
		best = n;
		covers = truth[i].covers;
	}
	/* RAPL's names begin alike; where one begins like another it is that or a part of it. */
	if (!covers)
		fail_msg("what is %s.%s?", d->sensor, d->name);
	return covers;
}

static void put_part(const struct tmpdir *dir, const struct part *part, unsigned number)
{
	for (size_t i = 0; i < sizeof(part->files) / sizeof(part->files[0]); i++) {
		const char *file = part->files[i], *equals = file ? strchr(file, '=') : NULL;
		const char *percent = file ? strchr(file, '%') : NULL;
		char path[PATH_SIZE], text[256];

		if (!file)
			return;
		if (percent && percent < equals)
			snprintf(path, sizeof(path), "%.*s%u%.*s", (int) (percent - file), file,
				number, (int) (equals - percent - 1), percent + 1);
		else
			snprintf(path, sizeof(path), "%.*s", (int) (equals - file), file);
		snprintf(text, sizeof(text), "%s\n", equals + 1);
		file_put(dir->path, path, text);
	}
}

static void check(const struct rig *rig)
{
	static const enum kind kinds[] = { KIND_CPU, KIND_DRAM, KIND_GPU, KIND_PLATFORM };
	unsigned covered[KIND_COUNT] = { 0 };
	uint32_t present = 0;

	for (size_t i = 0; i < rig_n_domains(rig); i++) {
		const struct domain *d = rig_domain(rig, i);
		unsigned covers = covered_by(d), steps = 0;

		if (d->counted && (covers & NEVER_COUNTED))
			fail_msg("%s.%s counts", d->sensor, d->name);
		if (d->counted && (covered[d->kind] & covers))
			fail_msg("%s.%s is in the sum of kind %s already", d->sensor, d->name,
				kind_name(d->kind));
		if (d->counted)
			covered[d->kind] |= covers;
		if (!(covers & NEVER_COUNTED))
			present |= KIND_BIT(d->kind);
		for (int p = rig_parent(rig, i); p >= 0; p = rig_parent(rig, (size_t) p)) {
			assert_true((size_t) p < rig_n_domains(rig));
			assert_true(++steps < SENSOR_MAX_DOMAINS);
			assert_false(d->counted && rig_domain(rig, (size_t) p)->counted &&
				rig_domain(rig, (size_t) p)->kind == d->kind);
			assert_string_equal(rig_domain(rig, (size_t) p)->sensor, d->sensor);
		}
		for (size_t k = 0; k < i; k++)
			assert_false(strcmp(rig_domain(rig, k)->sensor, d->sensor) == 0 &&
				strcmp(rig_domain(rig, k)->name, d->name) == 0);
	}
	/* And what can be told is told. */
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		if (kinds[k] != KIND_PLATFORM && (present & KIND_BIT(kinds[k])))
			assert_true(covered[kinds[k]] != 0);
	assert_true((rig_kinds(rig) & ~present) == 0);
}

static const char *const orders[] = { "rapl-powercap,jetson,hwmon,rpi-pmic,battery",
	"battery,rpi-pmic,hwmon,jetson,rapl-powercap", "hwmon,battery,jetson", "hwmon",
	"jetson,rapl-powercap" };

static void one_machine(struct rng *r)
{
	static const struct sensor_options none;
	struct rig_options options = { .sensor = &none };
	struct tmpdir dir = tmpdir_make();
	unsigned rarely = (unsigned) rng_between(r, 1, 8);
	struct fakeclock clock;
	const char *bad_name;
	struct host host;
	struct rig *rig;

	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (rng_one_in(r, rarely))
			put_part(&dir, &parts[i], (unsigned) rng_below(r, 1000) * 32 + i);
	fakeclock_init(&clock, 1000 * NS_PER_S, 0);
	assert_int_equal(host_init(&host, dir.path, &clock.clock), 0);
	options.sensors = orders[rng_below(r, sizeof(orders) / sizeof(orders[0]))];
	assert_int_equal(rig_open(&rig, &host, &options, &bad_name), 0);
	check(rig);
	assert_true(rig_close(rig, 10 * NS_PER_S));
	host_finish(&host);
	tmpdir_remove(&dir);
}

static void prop_nothing_counts_twice(void **state)
{
	(void) state;
	for (size_t i = 0; i < rng_cases(150); i++) {
		struct rng r = rng_make(rng_seed(), i);

		one_machine(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prop_nothing_counts_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
