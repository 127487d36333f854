// SPDX-License-Identifier: MIT
/* Files of /proc: the first byte says which. */
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include "machine/cpuinfo.h"
#include "machine/usage.h"
#include "target/procstat.h"

static void check_procstat(const uint8_t *data, size_t n)
{
	struct procstat p;

	if (procstat_parse((const char *) data, n, &p) < 0)
		return;
	MUST(memchr(p.comm, '\0', sizeof(p.comm)));
	MUST(p.state != '\0');
}

static void check_usage(const char *text)
{
	uint64_t units = 7;

	MUST(usage_parse_idle(text, &units) == 0 || units == 7);
	usage_parse_stat_cpus(text);
	usage_parse_interrupts(text);
	MUST(usage_parse_cpu_list(text) <= strlen(text) * 65536);
}

static void check_cpuinfo(const char *text)
{
	struct cpuinfo c;

	cpuinfo_parse(text, &c);
	MUST(memchr(c.name, '\0', sizeof(c.name)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text;

	if (n == 0)
		return 0;
	if (data[0] % 3 == 0) {
		check_procstat(data + 1, n - 1);
		return 0;
	}
	text = malloc(n);
	MUST(text);
	memcpy(text, data + 1, n - 1);
	text[n - 1] = '\0';
	if (data[0] % 3 == 1)
		check_usage(text);
	else
		check_cpuinfo(text);
	free(text);
	return 0;
}
