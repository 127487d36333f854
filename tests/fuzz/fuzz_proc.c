// SPDX-License-Identifier: MIT
/* Files of /proc: the first byte says which. */
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include "machine/host.h"
#include "machine/cpuinfo.h"
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
	struct host_usage u = { 0 };

	if (host_usage_parse(text, 10000000, &u) < 0) {
		MUST(u.n_cpu == 0 && u.idle_ns == 0);
		return;
	}
	MUST(u.n_cpu > 0);
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
