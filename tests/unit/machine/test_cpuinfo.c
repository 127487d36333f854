// SPDX-License-Identifier: MIT
/* What /proc/cpuinfo says of the processor. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "machine/cpuinfo.h"

static void test_cpuinfo_x86(void **state)
{
	struct cpuinfo c;

	(void) state;
	cpuinfo_parse("processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 142\n"
		      "model name\t: Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz\nstepping\t: 10\n"
		      "flags\t\t: fpu vme hypervisorish rapl\n\n"
		      "processor\t: 1\nmodel\t\t: 99\n",
		&c);
	assert_int_equal(c.vendor, CPU_INTEL);
	assert_int_equal(c.family, 6);
	assert_int_equal(c.model, 142);
	assert_int_equal(c.stepping, 10);
	assert_false(c.hypervisor);
	assert_string_equal(c.name, "Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz");
	cpuinfo_parse("vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\n"
		      "flags\t\t: fpu hypervisor\n",
		&c);
	assert_int_equal(c.vendor, CPU_AMD);
	assert_int_equal(c.family, 0x19);
	assert_int_equal(c.stepping, -1);
	assert_true(c.hypervisor);
	cpuinfo_parse("vendor_id : HygonGenuine\nflags : hypervisor fpu\n", &c);
	assert_int_equal(c.vendor, CPU_HYGON);
	assert_true(c.hypervisor);
	cpuinfo_parse("vendor_id\t: CentaurHauls\nflags\t\t: nohypervisor\n", &c);
	assert_int_equal(c.vendor, CPU_UNKNOWN);
	assert_false(c.hypervisor);
}

static void test_cpuinfo_arm(void **state)
{
	struct cpuinfo c;

	(void) state;
	cpuinfo_parse("processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd\n"
		      "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\n"
		      "CPU part\t: 0xd08\nCPU revision\t: 3\n",
		&c);
	assert_int_equal(c.vendor, CPU_ARM);
	assert_int_equal(c.implementer, 0x41);
	assert_int_equal(c.part, 0xd08);
	assert_int_equal(c.family, -1);
}

static void test_cpuinfo_odd(void **state)
{
	char *text = malloc(20100);
	struct cpuinfo c;

	(void) state;
	cpuinfo_parse("", &c);
	assert_int_equal(c.vendor, CPU_UNKNOWN);
	assert_int_equal(c.model, -1);
	assert_string_equal(c.name, "");
	cpuinfo_parse("model\nmodel:\nvendor_id:\ncpu family\t:x\nmodel nam: x", &c);
	assert_int_equal(c.family, 0);
	/* A line that is longer than what is kept, and what follows it. */
	memset(text, 'f', 20000);
	memcpy(text, "flags\t: ", 8);
	strcpy(text + 20000, " hypervisor\nmodel : 5");
	cpuinfo_parse(text, &c);
	assert_int_equal(c.model, 5);
	free(text);
}

/* ARMv7 kernels describe what all processors have in a block behind theirs. */
static void test_second_block(void **state)
{
	struct cpuinfo c;

	(void) state;
	cpuinfo_parse(
		"Processor\t: ARMv7 Processor rev 2 (v7l)\nprocessor\t: 0\nBogoMIPS\t: 996.14\n\n"
		"CPU implementer\t: 0x41\nCPU architecture: 7\nCPU part\t: 0xc08\n\n",
		&c);
	assert_int_equal(c.vendor, CPU_ARM);
	assert_int_equal(c.part, 0xc08);
	assert_int_equal(c.architecture, 7);
	assert_false(c.other);
	cpuinfo_parse("processor\t: 0\nhart\t\t: 1\n\nprocessor\t: 1\nhart\t\t: 2\n\n", &c);
	assert_int_equal(c.vendor, CPU_UNKNOWN);
	assert_true(c.other);
	cpuinfo_parse("", &c);
	assert_false(c.other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_second_block),
		cmocka_unit_test(test_cpuinfo_x86),
		cmocka_unit_test(test_cpuinfo_arm),
		cmocka_unit_test(test_cpuinfo_odd),
	};

	return cmocka_run_group_tests_name("cpuinfo", tests, NULL, NULL);
}
