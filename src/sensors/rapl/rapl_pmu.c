// SPDX-License-Identifier: MIT
#include "sensors/rapl/rapl_pmu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/parse.h"
#include "machine/self.h"

#define CAP_PERFMON_NUMBER 38 /* of kernel 5.8 */

/* The highest level of perf_event_paranoid that the kernel itself has. */
#define PARANOID_MOST 2

int rapl_pmu_find(const struct host *h, const char *name, struct rapl_pmu *ret)
{
	static const struct {
		const char *pmu;
		const char *event;
		enum rapl_role role;
	} known[] = {
		{ "power", "energy-pkg", RAPL_PACKAGE },
		{ "power", "energy-cores", RAPL_CORES },
		{ "power", "energy-ram", RAPL_DRAM },
		{ "power", "energy-gpu", RAPL_GPU },
		{ "power", "energy-psys", RAPL_PSYS },
		{ "power_core", "energy-core", RAPL_CORES },
	};
	int r = perf_pmu_find(h, name, &ret->perf);

	ret->n_events = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].pmu, name) != 0)
			continue;
		if (perf_event_find(h, &ret->perf, known[i].event, &ret->events[ret->n_events]) < 0)
			continue;
		ret->roles[ret->n_events++] = known[i].role;
	}
	ret->found = ret->n_events > 0;
	return r < 0 ? r : ret->found ? 0 : -ENOENT;
}

int rapl_pmu_cpumask(const struct host *h, const struct rapl_pmu *pmu, char *ret, size_t n)
{
	char path[128];

	snprintf(path, sizeof(path), PERF_PMU_DIR "/%s/cpumask", pmu->perf.name);
	return host_read_text(h, path, ret, n);
}

int rapl_pmu_places(const struct host *h, const struct rapl_pmu *pmu, struct rapl_places *ret)
{
	char text[512];
	int r = rapl_pmu_cpumask(h, pmu, text, sizeof(text));

	return r < 0 ? r : rapl_find_places(h, text, ret);
}

static bool kernel_has_cap_perfmon(const struct host *h)
{
	char text[32];
	uint64_t last;

	return host_read_text(h, "/proc/sys/kernel/cap_last_cap", text, sizeof(text)) > 0 &&
		parse_u64(text, &last) == 0 && last >= CAP_PERFMON_NUMBER;
}

static int refuse_forbidden(struct sensor *s, int error)
{
	char exe[180], fix[256], paranoid[32] = "?";
	const char *before;

	host_read_text(s->host, "/proc/sys/kernel/perf_event_paranoid", paranoid, sizeof(paranoid));
	/* Debian's kernels know more levels than others, and there the capability is not enough. */
	before = atoi(paranoid) > PARANOID_MOST ? "sudo sysctl kernel.perf_event_paranoid=2 && "
						: "";
	self_path(exe, sizeof(exe));
	if (self_in_container())
		snprintf(fix, sizeof(fix), "%sdocker run --cap-add PERFMON ... powermeasure ...",
			before);
	else if (kernel_has_cap_perfmon(s->host))
		snprintf(fix, sizeof(fix), "%ssudo setcap cap_perfmon+ep %s", before, exe);
	else
		snprintf(fix, sizeof(fix), "sudo sysctl kernel.perf_event_paranoid=0");
	return sensor_refuse(s, error, fix,
		"the kernel does not let this user open its energy events "
		"(kernel.perf_event_paranoid is %s): %s",
		paranoid, strerror(-error));
}

int rapl_pmu_refuse(struct sensor *s, const struct rapl_pmu *pmu, int error)
{
	if (error == -EACCES || error == -EPERM)
		return refuse_forbidden(s, error);
	if (pmu->perf.copied)
		return sensor_refuse(s, error, NULL,
			"%s/%s is a copy without counts: events are the running kernel's alone",
			PERF_PMU_DIR, pmu->perf.name);
	return sensor_refuse(s, error, NULL, "the events of %s/%s cannot be opened: %s",
		PERF_PMU_DIR, pmu->perf.name, strerror(-error));
}
