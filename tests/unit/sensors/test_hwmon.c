// SPDX-License-Identifier: MIT
/* The hwmon class, on trees made for the purpose: what is found, what it is taken for, what counts,
 * and what becomes of chips that vanish. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "board.h"
#include "child.h"

#define HWMON "sys/class/hwmon/"

BOARD_TESTS(b)

#define CHIP(number, ...) \
	board_put_all(&b, HWMON "hwmon" #number "/", (const char *const[]) { __VA_ARGS__, NULL })

static void expect(const char *expected)
{
	board_open(&b, "hwmon");
	board_expect(&b, expected);
}

/* ---- what there is ----------------------------------------------------------------------- */

static void test_amdgpu(void **state)
{
	(void) state;
	CHIP(0, "name=k10temp", "temp1_input=40000");
	CHIP(1, "name=amdgpu", "power1_average=45123456", "power1_input=44000000",
		"power1_label=PPT", "device/uevent=DRIVER=amdgpu\nPCI_SLOT_NAME=0000:0a:00.0",
		"device/power/runtime_status=active");
	CHIP(2, "name=amdgpu", "power1_input=12000000",
		"device/uevent=DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0");
	expect("amdgpu-0000:03:00.0 gpu - counted: GPU\n"
	       "amdgpu-0000:0a:00.0 gpu - counted: GPU\n");
	assert_string_equal(b.sensor->domains[0].id, "amdgpu 0000:03:00.0");
	assert_true(b.sensor->domains[0].power_only);
	assert_int_equal(b.sensor->domains[0].quality, FLAG_INTEGRATED);
	assert_int_equal(b.sensor->period_ns, 100 * NS_PER_MS);
	board_read(&b, 0);
	assert_int_equal(b.readings[0].power_mw, 12000);
	/* The average is preferred. */
	assert_int_equal(b.readings[1].power_mw, 45123);
	assert_int_equal(b.readings[1].flags, FLAG_INTEGRATED);
	/* A GPU that sleeps is left alone. */
	board_put(&b, "suspended", HWMON "hwmon1/device/power/runtime_status");
	board_read(&b, 100 * NS_PER_MS);
	assert_int_equal(b.readings[1].error, -ENODATA);
	assert_int_equal(b.readings[0].error, 0);
	board_put(&b, "active", HWMON "hwmon1/device/power/runtime_status");
	board_read(&b, 100 * NS_PER_MS);
	assert_int_equal(b.readings[1].error, 0);
}

/* In an APU what is called the GPU's power is that of the socket. */
static void test_apu(void **state)
{
	(void) state;
	CHIP(3, "name=amdgpu", "power1_input=9000000", "in1_label=vddnb", "power2_average=8000000",
		"power2_label=fastPPT", "device/uevent=PCI_SLOT_NAME=0000:04:00.0");
	CHIP(4, "name=amdgpu", "power1_input=9000000", "device/uevent=PCI_SLOT_NAME=0000:01:00.0",
		"device/device=0x74a0");
	expect("amdgpu-0000:01:00.0 cpu - counted: socket: CPU and GPU together\n"
	       "amdgpu-0000:04:00.0 cpu - counted: socket: CPU and GPU together\n"
	       "amdgpu-0000:04:00.0-fastPPT cpu amdgpu-0000:04:00.0 shown: "
	       "socket: CPU and GPU together\n");
}

static void test_intel_gpu(void **state)
{
	(void) state;
	CHIP(1, "name=i915", "energy1_input=1000000", "power1_max=100",
		"device/uevent=PCI_SLOT_NAME=0000:03:00.0");
	CHIP(2, "name=i915_gt0", "energy1_input=900000",
		"device/uevent=PCI_SLOT_NAME=0000:03:00.0");
	CHIP(5, "name=xe", "energy1_input=1", "energy2_input=1", "energy1_label=card",
		"energy2_label=pkg", "device/uevent=PCI_SLOT_NAME=0000:04:00.0");
	CHIP(6, "name=xe", "energy2_input=1", "energy2_label=pkg",
		"device/uevent=PCI_SLOT_NAME=0000:05:00.0");
	expect("i915-0000:03:00.0 gpu - counted: whole GPU card\n"
	       "i915_gt0-0000:03:00.0 gpu i915-0000:03:00.0 shown: part of the GPU\n"
	       "xe-0000:04:00.0 gpu - counted: whole GPU card\n"
	       "xe-0000:04:00.0-pkg gpu xe-0000:04:00.0 shown: GPU package\n"
	       "xe-0000:05:00.0-pkg gpu - counted: GPU package\n");
	assert_int_equal(b.sensor->domains[0].quality, FLAG_MEASURED);
	assert_false(b.sensor->domains[0].power_only);
	assert_int_equal(b.sensor->domains[0].unit_num, 1);
	board_read(&b, 0);
	assert_int_equal(b.readings[0].raw, 1000000);
	assert_int_equal(b.readings[0].power_mw, 0);
	board_put(&b, "6000000", HWMON "hwmon1/energy1_input");
	board_read(&b, 100 * NS_PER_MS);
	assert_int_equal(b.readings[0].raw, 6000000);
	assert_int_equal(b.readings[0].power_mw, 50000);
}

static void test_amd_energy(void **state)
{
	(void) state;
	CHIP(0, "name=amd_energy", "energy1_input=1", "energy1_label=Ecore000", "energy2_input=1",
		"energy2_label=Ecore001", "energy3_input=500", "energy3_label=Esocket0",
		"energy4_input=500", "energy4_label=Esocket1");
	expect("Esocket0 cpu - counted: package\nEsocket1 cpu - counted: package\n");
}

static void test_zenergy(void **state)
{
	(void) state;
	CHIP(0, "name=zenergy", "energy1_input=1", "energy1_label=Ecore000", "energy2_input=500",
		"energy2_label=Esocket0");
	expect("Esocket0 cpu - counted: package\n");
	assert_int_equal(b.sensor->period_ns, NS_PER_S); /* its values may be so old */
	board_read(&b, 0);
	assert_true(b.readings[0].t_err_ns >= NS_PER_S);
}

/* Chips have a counter and power beside it; firmware's labels end in blanks. */
static void test_power9(void **state)
{
	(void) state;
	CHIP(0, "name=ibmpowernv", "power1_input=480000000", "power1_label=System",
		"power2_input=95000000", "power2_label=Chip 0 ", "power3_input=60000000",
		"power3_label=Chip 0 Vdd", "power4_input=97000000", "power4_label=Chip 8 ",
		"energy1_input=4800", "energy1_label=System", "energy2_input=950",
		"energy2_label=Chip 0 ", "energy3_input=970", "energy3_label=Chip 8 ");
	expect("Chip 0 cpu - counted: chip\n"
	       "Chip 8 cpu - counted: chip\n"
	       "System platform - counted: whole machine\n"
	       "Chip 0-2 cpu Chip 0 shown: chip\n"
	       "Chip 8-2 cpu Chip 8 shown: chip\n"
	       "System-2 platform System shown: whole machine\n"
	       "ibmpowernv-Chip 0 Vdd platform Chip 0-2 shown: part of chip 0\n");
	board_read(&b, 0);
	assert_int_equal(b.readings[0].raw, 950);
	assert_int_equal(b.readings[0].flags, FLAG_MEASURED);
}

static void test_xgene(void **state)
{
	(void) state;
	CHIP(0, "name=apm_xgene", "power1_input=25000000", "power1_label=CPU power",
		"power2_input=9000000", "power2_label=IO power");
	expect("CPU power cpu - counted: CPUs\n"
	       "apm_xgene-IO power platform - shown: I/O of the chip, beside its CPUs\n");
	board_read(&b, 0);
	assert_int_equal(b.readings[0].power_mw, 25000);
}

/* A chip with a channel for each core leaves room for what counts, wherever it stands. */
static void test_more_channels_than_there_is_room_for(void **state)
{
	(void) state;
	for (int i = 1; i <= 100; i++) {
		char path[64], value[16];

		snprintf(path, sizeof(path), HWMON "hwmon1/power%d_input", i);
		snprintf(value, sizeof(value), "%d", i);
		board_put(&b, value, "%s", path);
	}
	board_put(&b, "somebody's", HWMON "hwmon1/name");
	for (int chip = 0; chip <= 2; chip += 2) {
		char name[64], power[64], slot[64], uevent[64];

		snprintf(name, sizeof(name), HWMON "hwmon%d/name", chip);
		snprintf(power, sizeof(power), HWMON "hwmon%d/power1_average", chip);
		snprintf(uevent, sizeof(uevent), HWMON "hwmon%d/device/uevent", chip);
		snprintf(slot, sizeof(slot), "PCI_SLOT_NAME=0000:0%d:00.0", chip);
		board_put(&b, "amdgpu", "%s", name);
		board_put(&b, "98000000", "%s", power);
		board_put(&b, slot, "%s", uevent);
	}
	board_open(&b, "hwmon");
	assert_int_equal(b.sensor->n_domains, SENSOR_MAX_DOMAINS);
	for (size_t i = 0; i < b.sensor->n_domains; i++)
		assert_int_equal(b.sensor->domains[i].counted, i < 2);
	assert_string_equal(b.sensor->domains[1].name, "amdgpu-0000:02:00.0");
	assert_string_equal(b.sensor->why.reason, "38 channels are left out: more than 64");
}

static void test_acpi(void **state)
{
	(void) state;
	/* The files are the device's on all kernels so far. */
	CHIP(0, "name=power_meter", "device/power1_average=312000000",
		"device/power1_average_interval=1000", "device/power1_is_battery=0",
		"device/path=\\_SB_.PMI0");
	CHIP(1, "name=power_meter", "device/power1_average=12000000", "device/power1_is_battery=1");
	CHIP(2, "name=power_meter", "device/power1_average=400000000", "device/path=\\_SB_.PMI1");
	expect("power_meter-\\_SB_.PMI0 platform - counted: whole machine, at its input\n"
	       "power_meter-\\_SB_.PMI1 platform - shown: whole machine, at its input\n");
	board_read(&b, 0);
	assert_int_equal(b.readings[0].power_mw, 312000);
	/* What the firmware tells where it knows nothing. */
	board_put(&b, "4294967295000", HWMON "hwmon0/device/power1_average");
	board_read(&b, NS_PER_S);
	assert_int_equal(b.readings[0].error, -ERANGE);
	assert_int_equal(b.readings[1].error, 0);
}

#define GRACE(number, label)                                                \
	CHIP(number, "name=power_meter", "device/power1_average=100000000", \
		"device/power1_average_interval=50", "device/power1_oem_info=" label)

static void test_grace_hopper(void **state)
{
	(void) state;
	GRACE(0, "SysIO Power Socket 0");
	GRACE(1, "CPU Power Socket 0");
	GRACE(2, "Grace Power Socket 0");
	GRACE(3, "Module Power Socket 0");
	expect("Module Power Socket 0 platform - counted: module: CPU, GPU and their memory\n"
	       "Grace Power Socket 0 cpu Module Power Socket 0 counted: "
	       "socket: CPU, memory and I/O\n"
	       "CPU Power Socket 0 cpu Grace Power Socket 0 shown: CPU rail, part of the socket\n"
	       "power_meter-SysIO Power Socket 0 platform Grace Power "
	       "Socket 0 shown: I/O, part of the socket\n");
}

static void test_grace_two_sockets(void **state)
{
	(void) state;
	GRACE(0, "Total Power in uW socket 0");
	GRACE(1, "CPU Rail Power in uW socket 0");
	GRACE(2, "DRAM Power socket 0");
	GRACE(3, "Total Power in uW socket 1");
	GRACE(4, "CPU Rail Power in uW socket 1");
	GRACE(5, "SoC Rail Power in uW socket 1");
	expect("Total Power in uW socket 0 cpu - counted: socket: CPU, memory and I/O\n"
	       "Total Power in uW socket 1 cpu - counted: socket: CPU, memory and I/O\n"
	       "CPU Rail Power in uW socket 0 cpu Total Power in uW socket "
	       "0 shown: CPU rail, part of the socket\n"
	       "CPU Rail Power in uW socket 1 cpu Total Power in uW socket "
	       "1 shown: CPU rail, part of the socket\n"
	       "DRAM Power socket 0 dram Total Power in uW socket 0 "
	       "counted: memory, part of the socket\n"
	       "power_meter-SoC Rail Power in uW socket 1 platform Total "
	       "Power in uW socket 1 shown: SoC rail, part of the socket\n");
}

static void test_mac(void **state)
{
	(void) state;
	CHIP(4, "name=macsmc_hwmon", "power1_input=7100000", "power1_label=Total System Power",
		"power2_input=1200000", "power2_label=3.8 V Rail Power", "power3_input=9000000",
		"power3_label=AC Input Power");
	expect("macsmc_hwmon-AC Input Power platform - shown: not known what it covers\n"
	       "Total System Power platform - counted: whole machine\n"
	       "macsmc_hwmon-3.8 V Rail Power platform Total System Power "
	       "shown: not known what it covers\n");
}

static void test_scmi(void **state)
{
	(void) state;
	CHIP(0, "name=scmi_sensors", "power1_input=1500000", "power1_label=BIG_CPU",
		"energy1_input=77", "energy1_label=BIG_CPU", "energy2_input=77",
		"energy2_label=LITTLE_CPU", "power2_input=300000", "power2_label=GPU",
		"power3_input=300000", "power3_label=DDR power", "power4_input=300000",
		"power4_label=SYS");
	expect("BIG_CPU cpu - counted: CPUs, says the firmware\n"
	       "LITTLE_CPU cpu - counted: CPUs, says the firmware\n"
	       "BIG_CPU-2 cpu BIG_CPU shown: CPUs, says the firmware\n"
	       "DDR power dram - counted: memory, says the firmware\n"
	       "GPU gpu - counted: GPU, says the firmware\n"
	       "scmi_sensors-SYS platform - shown: not known what it covers\n");
}

/* Rails of a board nobody knows, a power supply, a channel that is off, and not our business. */
/* As Linux 6.12 shows it; "type" of other devices is no reason. */
static void test_battery(void **state)
{
	(void) state;
	CHIP(0, "name=BAT0", "power1_input=15000000", "device/type=Battery");
	CHIP(1, "name=foo", "power1_input=5000000", "device/type=1");
	expect("foo platform - shown: not known what it covers\n");
}

static void test_not_known(void **state)
{
	(void) state;
	CHIP(0, "name=ina226_u76", "power1_input=2500000", "curr1_input=500");
	CHIP(1, "name=corsairpsu", "power1_input=150000000", "power1_label=power total",
		"power2_input=90000000", "power2_label=power +12v");
	CHIP(2, "name=ina238", "power1_input=100", "power1_enable=0", "power2_input=200",
		"power2_enable=1");
	CHIP(3, "name=ina3221", "power1_input=1");
	CHIP(4, "name=nvme", "temp1_input=1", "power1_cap=5", "energy_input=5", "powerx_input=3",
		"power1_inputs=1");
	CHIP(5, "power1_input=5"); /* nameless */
	board_put(&b, "foo", HWMON "other0/name");
	board_put(&b, "1", HWMON "other0/power1_input");
	expect("ina226_u76 platform - shown: a rail of the board: see its plan\n"
	       "ina238 platform - shown: a rail of the board: see its plan\n"
	       "corsairpsu-power +12v platform - shown: not known what it covers\n"
	       "corsairpsu-power total platform - shown: not known what it covers\n");
	board_read(&b, 0);
	assert_int_equal(board_reading(&b, "corsairpsu-power total")->power_mw, 150000);
}

/* What two chips tell of the same thing counts once; GPUs may be many. */
static void test_overlap(void **state)
{
	(void) state;
	CHIP(0, "name=amdgpu", "power1_input=9000000", "in1_label=vddnb");
	CHIP(1, "name=amd_energy", "energy1_input=1", "energy1_label=Esocket0");
	CHIP(2, "name=macsmc_hwmon", "power1_input=7100000", "power1_label=Total System Power");
	CHIP(3, "name=power_meter", "power1_average=7100000");
	CHIP(4, "name=i915", "energy1_input=1");
	CHIP(5, "name=scmi_sensors", "power2_input=300000", "power2_label=GPU");
	expect("power_meter platform - counted: whole machine, at its input\n"
	       "Esocket0 cpu - counted: package\n"
	       "Total System Power platform - shown: whole machine\n"
	       "GPU gpu - counted: GPU, says the firmware\n"
	       "amdgpu cpu - shown: socket: CPU and GPU together\n"
	       "i915 gpu - counted: whole GPU card\n");
}

/* ---- why there is none ------------------------------------------------------------------- */

static void test_absent(void **state)
{
	(void) state;
	board_expect_refusal(&b, "hwmon", -ENOENT, "no chip in /sys/class/hwmon", NULL);
	CHIP(0, "name=ina3221", "in1_label=VDD_IN");
	board_expect_refusal(&b, "hwmon", -ENOENT, "but those of the jetson sensor", NULL);
	dir_put(b.dir.path, "sys/bus/acpi/devices/ACPI000D:00");
	board_expect_refusal(
		&b, "hwmon", -ENOENT, "ACPI power meter", "sudo modprobe acpi_power_meter");
}

static int look_as_nobody(void)
{
	if (board_try(&b, "hwmon") != -EACCES ||
		!strstr(b.sensor->why.reason, "energy1_input (amd_energy): Permission denied") ||
		!strstr(b.sensor->why.fix, "sudo setcap cap_dac_read_search+ep /"))
		return __LINE__;
	return 0;
}

static void test_unreadable(void **state)
{
	char path[PATH_SIZE];

	(void) state;
	assert_int_equal(chmod(b.dir.path, 0755), 0);
	CHIP(0, "name=amd_energy", "energy1_input=1", "energy1_label=Esocket0");
	assert_int_equal(chmod(path_in(b.dir.path, HWMON "hwmon0/energy1_input", path), 0), 0);
	child_as_nobody(look_as_nobody);
}

/* ---- hostile values ---------------------------------------------------------------------- */

static void test_hostile_values(void **state)
{
	static const struct {
		const char *text;
		int power;
		int energy;
	} cases[] = {
		{ "", -EINVAL, -EINVAL },
		{ "lots", -EINVAL, -EINVAL },
		{ "-1", -ERANGE, -ERANGE },
		{ "9223372036854775808", -ERANGE, -ERANGE },
		{ "18446744073709551615", -ERANGE, -ERANGE },
		{ "99999999999999999999999", -ERANGE, -ERANGE },
		{ "9223372036854775807", -ERANGE, 0 },
		{ "20000001000", -ERANGE, 0 },
		{ "0", 0, 0 },
		{ "5 watts", -EINVAL, -EINVAL },
	};

	(void) state;
	CHIP(0, "name=power_meter", "power1_average=1");
	CHIP(1, "name=xe", "energy1_input=1");
	board_open(&b, "hwmon");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		board_put(&b, cases[i].text, HWMON "hwmon0/power1_average");
		board_put(&b, cases[i].text, HWMON "hwmon1/energy1_input");
		board_read(&b, NS_PER_S);
		if (b.readings[0].error != cases[i].power || b.readings[1].error != cases[i].energy)
			fail_msg("\"%s\": %d, %d", cases[i].text, b.readings[0].error,
				b.readings[1].error);
	}
	board_put(&b, "1", HWMON "hwmon1/energy1_input");
	file_put(b.dir.path, HWMON "hwmon0/power1_average", "");
	board_read(&b, NS_PER_S);
	assert_int_equal(b.readings[0].error, -ENODATA);
	assert_int_equal(b.readings[1].error, 0);
}

/* A driver that is loaded again, under another number; another chip has the old one's. */
static void test_back_elsewhere(void **state)
{
	(void) state;
	CHIP(1, "name=amdgpu", "power1_average=20000000",
		"device/uevent=PCI_SLOT_NAME=0000:03:00.0");
	CHIP(2, "name=xe", "energy1_input=5", "device/uevent=PCI_SLOT_NAME=0000:04:00.0");
	board_open(&b, "hwmon");
	board_read(&b, 0);
	assert_int_equal(board_reading(&b, "amdgpu-0000:03:00.0")->power_mw, 20000);
	board_remove(&b, HWMON "hwmon1");
	for (int i = 0; i < 20; i++) {
		board_read(&b, 100 * NS_PER_MS);
		assert_int_not_equal(board_reading(&b, "amdgpu-0000:03:00.0")->error, 0);
		assert_int_equal(board_reading(&b, "xe-0000:04:00.0")->error, 0);
	}
	CHIP(1, "name=amdgpu", "power1_average=99000000",
		"device/uevent=PCI_SLOT_NAME=0000:0c:00.0");
	CHIP(7, "name=amdgpu", "power1_average=21000000",
		"device/uevent=PCI_SLOT_NAME=0000:03:00.0");
	board_read(&b, 120 * NS_PER_S);
	assert_int_equal(board_reading(&b, "amdgpu-0000:03:00.0")->error, 0);
	assert_int_equal(board_reading(&b, "amdgpu-0000:03:00.0")->power_mw, 21000);
}

/* Each has its own period, and a kind that nobody asks for is not read. */
static void test_periods_and_kinds(void **state)
{
	(void) state;
	CHIP(0, "name=power_meter", "power1_average=1000000", "power1_average_interval=500");
	CHIP(1, "name=amdgpu", "power1_average=1000000");
	board_open(&b, "hwmon");
	board_read(&b, 0);
	board_put(&b, "2000000", HWMON "hwmon0/power1_average");
	board_put(&b, "2000000", HWMON "hwmon1/power1_average");
	board_read(&b, 100 * NS_PER_MS);
	assert_int_equal(b.readings[0].power_mw, 1000);
	assert_int_equal(b.readings[1].power_mw, 2000);
	assert_true(b.readings[0].t_ns < b.readings[1].t_ns);
	board_read(&b, 400 * NS_PER_MS);
	assert_int_equal(b.readings[0].power_mw, 2000);
	b.sensor->kinds = KIND_BIT(KIND_GPU);
	board_read(&b, NS_PER_S);
	assert_int_equal(b.readings[0].error, -EAGAIN);
	assert_int_equal(b.readings[1].error, 0);
}

/* More than there is room for are left out, not written over something. */
static void test_many(void **state)
{
	(void) state;
	for (unsigned i = 0; i < 80; i++) {
		board_put(&b, "foo", HWMON "hwmon%u/name", i);
		board_put(&b, "5", HWMON "hwmon%u/power1_input", i);
	}
	board_open(&b, "hwmon");
	assert_int_equal(b.sensor->n_domains, SENSOR_MAX_DOMAINS);
	for (size_t i = 0; i < b.sensor->n_domains; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(
				b.sensor->domains[i].name, b.sensor->domains[k].name);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_amdgpu),
		TEST(test_apu),
		TEST(test_intel_gpu),
		TEST(test_amd_energy),
		TEST(test_zenergy),
		TEST(test_power9),
		TEST(test_xgene),
		TEST(test_more_channels_than_there_is_room_for),
		TEST(test_acpi),
		TEST(test_grace_hopper),
		TEST(test_grace_two_sockets),
		TEST(test_mac),
		TEST(test_scmi),
		TEST(test_battery),
		TEST(test_not_known),
		TEST(test_overlap),
		TEST(test_absent),
		TEST(test_unreadable),
		TEST(test_hostile_values),
		TEST(test_back_elsewhere),
		TEST(test_periods_and_kinds),
		TEST(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
