// SPDX-License-Identifier: MIT
/* What is read from /proc: a process's stat, cpuinfo; and the root below which
 * all else is looked for. */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "machine/host.h"
#include "fakeclock.h"
#include "files.h"
#include "machine/cpuinfo.h"
#include "target/procstat.h"

/* ---- /proc/PID/stat --------------------------------------------------------------------- */

#define BEHIND                                                                                   \
	" S 5392 7446 5392 34835 7446 4218880 32533 309516 26 82 1677 44 158 99 20 0 3 0 82375 " \
	"56274944 1981 18446744073709551615 4194304 6294284 140736914091744\n"

static int parse(const char *text, struct procstat *ret)
{
	size_t n = strlen(text);
	char *exact = malloc(n ? n : 1); /* not terminated: a sanitizer sees reads behind it */
	int r;

	memcpy(exact, text, n);
	r = procstat_parse(exact, n, ret);
	free(exact);
	return r;
}

static void test_stat(void **state)
{
	struct procstat p;

	(void) state;
	assert_int_equal(parse("26231 (vim)" BEHIND, &p), 0);
	assert_string_equal(p.comm, "vim");
	assert_int_equal(p.state, 'S');
	assert_int_equal(p.ppid, 5392);
	assert_int_equal(p.cpu_ticks, 1677 + 44);
	assert_int_equal(p.children_ticks, 158 + 99);
	assert_int_equal(p.n_threads, 3);
	assert_int_equal(p.start_ticks, 82375);
}

/* A name may be anything, also something that looks like the fields behind it. */
static void test_stat_names(void **state)
{
	static const char *const names[] = { "", " ", "a b", ")", "(", "(()", ") R 1 (", "a)b",
		"x\ny", ") S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21", "\xff\xfe",
		"exactly fifteen" };

	(void) state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char text[512];
		struct procstat p;

		snprintf(text, sizeof(text), "1 (%s)" BEHIND, names[i]);
		if (parse(text, &p) != 0 || strcmp(p.comm, names[i]) != 0 || p.start_ticks != 82375)
			fail_msg("\"%s\" was read as \"%s\"", names[i], p.comm);
	}
}

/* Kernel threads' names may be longer than what is kept. */
static void test_stat_long_name(void **state)
{
	char text[512], name[100];
	struct procstat p;

	(void) state;
	memset(name, 'k', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(text, sizeof(text), "1 (%s)" BEHIND, name);
	assert_int_equal(parse(text, &p), 0);
	assert_int_equal(strlen(p.comm), sizeof(p.comm) - 1);
	assert_memory_equal(p.comm, name, sizeof(p.comm) - 1);
}

/* Up to the start time, every cut is refused. */
static void test_stat_cut(void **state)
{
	static const char text[] = "26231 (vim)" BEHIND;
	size_t needed = (size_t) (strstr(text, " 82375") - text) + 2;
	struct procstat p = { .start_ticks = 7 };

	(void) state;
	for (size_t n = 0; n < needed; n++) {
		char *cut = strndup(text, n);

		if (parse(cut, &p) != -EINVAL)
			fail_msg("\"%s\" was taken", cut);
		free(cut);
	}
	assert_int_equal(p.start_ticks, 7);
	assert_int_equal(parse("", &p), -EINVAL);
	assert_int_equal(parse("1 )x( S 1", &p), -EINVAL);
	assert_int_equal(parse("no brackets at all", &p), -EINVAL);
}

static void test_stat_live(void **state)
{
	struct procstat p, q;
	char old[16];

	(void) state;
	if (is_emulated())
		skip();
	prctl(PR_GET_NAME, old);
	prctl(PR_SET_NAME, "a) R (b\n");
	assert_int_equal(procstat_read(getpid(), &p), 0);
	prctl(PR_SET_NAME, old);
	assert_string_equal(p.comm, "a) R (b\n");
	assert_int_equal(p.ppid, getppid());
	assert_int_equal(p.state, 'R');
	assert_true(p.n_threads >= 1);
	assert_int_equal(procstat_read(getpid(), &q), 0);
	assert_int_equal(p.start_ticks, q.start_ticks);
	assert_int_equal(procstat_read(0x7ffffff0, &q), -ESRCH);
	assert_int_equal(procstat_read(-5, &q), -ESRCH);
	assert_int_equal(q.start_ticks, p.start_ticks);
}

/* ---- cpuinfo ---------------------------------------------------------------------------- */

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

/* ---- the root --------------------------------------------------------------------------- */

static void test_root(void **state)
{
	struct tmpdir dir = tmpdir_make();
	char with_slash[TMPDIR_MAX + 4], text[16];
	struct host h;
	DIR *d;

	(void) state;
	file_put(dir.path, "proc/cpuinfo", "vendor_id\t: AuthenticAMD\ncpu family\t: 23\n");
	file_put(dir.path, "sys/a", "12345\n");
	file_put(dir.path, "sys/b", "\n");
	file_put(dir.path, "sys/c", "0123456789abcde\n");
	file_put(dir.path, "sys/d", "0123456789abcd\n");
	/* An absolute link of a captured tree leads to the tree, and none leads out of it. */
	link_put(dir.path, "sys/link", "/sys/a");
	link_put(dir.path, "sys/out", "../../../../../../../../../../etc/passwd");
	snprintf(with_slash, sizeof(with_slash), "%s//", dir.path);
	assert_int_equal(host_init(&h, with_slash, &clock_system), 0);
	assert_string_equal(h.root, dir.path);
	assert_false(h.live);
	assert_int_equal(h.cpu.vendor, CPU_AMD);
	assert_int_equal(h.cpu.family, 23);
	assert_int_equal(host_read_text(&h, "/sys/a", text, sizeof(text)), 5);
	assert_string_equal(text, "12345");
	assert_int_equal(host_read_text(&h, "/sys/b", text, sizeof(text)), 0);
	assert_string_equal(text, "");
	assert_int_equal(host_read_text(&h, "/sys/c", text, sizeof(text)), -E2BIG);
	assert_int_equal(host_read_text(&h, "/sys/d", text, sizeof(text)), 14);
	assert_int_equal(host_read_text(&h, "/sys/e", text, sizeof(text)), -ENOENT);
	assert_int_equal(host_read_text(&h, "/sys", text, sizeof(text)), -EISDIR);
	if (!is_emulated()) { /* openat2(), Linux 5.6 */
		assert_int_equal(host_read_text(&h, "/sys/link", text, sizeof(text)), 5);
		assert_int_equal(host_read_text(&h, "/sys/out", text, sizeof(text)), -ENOENT);
	}
	assert_true(host_has(&h, "/sys"));
	assert_true(host_has(&h, "/"));
	assert_false(host_has(&h, "/sys/e"));
	d = host_open_dir(&h, "/sys");
	assert_non_null(d);
	closedir(d);
	assert_null(host_open_dir(&h, "/sys/a"));
	assert_int_equal(errno, ENOTDIR);
	host_finish(&h);
	assert_int_equal(host_init(&h, "/nonexistent", &clock_system), -ENOENT);
	host_finish(&h);
	snprintf(with_slash, sizeof(with_slash), "%s/sys/a", dir.path);
	assert_int_equal(host_init(&h, with_slash, &clock_system), -ENOTDIR);
	tmpdir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stat),
		cmocka_unit_test(test_stat_names),
		cmocka_unit_test(test_stat_long_name),
		cmocka_unit_test(test_stat_cut),
		cmocka_unit_test(test_stat_live),
		cmocka_unit_test(test_cpuinfo_x86),
		cmocka_unit_test(test_cpuinfo_arm),
		cmocka_unit_test(test_cpuinfo_odd),
		cmocka_unit_test(test_root),
	};

	return cmocka_run_group_tests_name("proc", tests, NULL, NULL);
}
