// SPDX-License-Identifier: MIT
#include "rapl_tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"
#include "machine/cpulist.h"

#define PMUS "sys/bus/event_source/devices"
#define CPUS "sys/devices/system/cpu"

__attribute__((format(printf, 3, 4))) static void put(
	struct tree *t, const char *path, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	file_put(t->dir.path, path, text);
}

void tree_model(struct tree *t, const char *vendor, unsigned family, unsigned model)
{
	put(t, "proc/cpuinfo", "vendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n", vendor, family,
		model);
}

static void put_topology(struct tree *t, int cpu, const char *file, const char *value)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), CPUS "/cpu%d/topology/%s", cpu, file);
	put(t, path, "%s\n", value);
}

void tree_package(struct tree *t, const char *cpus, unsigned package, unsigned die)
{
	struct cpulist list = { .at = cpus };
	char text[32];
	int cpu;

	while (cpulist_next(&list, &cpu)) {
		snprintf(text, sizeof(text), "%u", package);
		put_topology(t, cpu, "physical_package_id", text);
		snprintf(text, sizeof(text), "%u", die);
		put_topology(t, cpu, "die_id", text);
		snprintf(text, sizeof(text), "%d", cpu);
		put_topology(t, cpu, "thread_siblings_list", text);
	}
}

void tree_online(struct tree *t, const char *cpus)
{
	put(t, CPUS "/online", "%s\n", cpus);
}

void tree_siblings(struct tree *t, int cpu, int sibling)
{
	char text[32];

	snprintf(text, sizeof(text), "%d,%d", cpu, sibling);
	put_topology(t, cpu, "thread_siblings_list", text);
	put_topology(t, sibling, "thread_siblings_list", text);
}

void tree_pmu(struct tree *t, const char *pmu, const char *cpumask)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), PMUS "/%s/type", pmu);
	put(t, path, "21\n");
	snprintf(path, sizeof(path), PMUS "/%s/cpumask", pmu);
	put(t, path, "%s\n", cpumask);
}

void tree_event(struct tree *t, const char *pmu, const char *event, unsigned code)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), PMUS "/%s/events/%s", pmu, event);
	put(t, path, "event=0x%02x\n", code);
	snprintf(path, sizeof(path), PMUS "/%s/events/%s.scale", pmu, event);
	put(t, path, "2.3283064365386962890625e-10\n");
	snprintf(path, sizeof(path), PMUS "/%s/events/%s.unit", pmu, event);
	put(t, path, "Joules\n");
}

void tree_count(struct tree *t, const char *pmu, int cpu, const char *event, uint64_t count)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), PMUS "/%s/counts/cpu%d/%s", pmu, cpu, event);
	put(t, path, "%" PRIu64 "\n", count);
}

void tree_power(struct tree *t, const char *cpumask, const char *events)
{
	static const char *const names[] = { NULL, "energy-cores", "energy-pkg", "energy-ram",
		"energy-gpu", "energy-psys" };
	struct cpulist list = { .at = cpumask };
	int cpu;

	tree_pmu(t, "power", cpumask);
	for (unsigned code = 1; code < 6; code++)
		if (strstr(events, names[code]))
			tree_event(t, "power", names[code], code);
	while (cpulist_next(&list, &cpu))
		for (unsigned code = 1; code < 6; code++)
			if (strstr(events, names[code]))
				tree_count(t, "power", cpu, names[code], 1000);
}

void tree_msr(struct tree *t, int cpu, uint32_t msr, uint64_t value)
{
	char name[64], line[64], text[1024] = "", key[16], *old, *rest;

	snprintf(name, sizeof(name), "dev/cpu/%d/msr", cpu);
	snprintf(key, sizeof(key), "%x ", msr);
	old = file_get(t->dir.path, name, NULL);
	for (char *at = old ? strtok_r(old, "\n", &rest) : NULL; at;
		at = strtok_r(NULL, "\n", &rest))
		if (strncmp(at, key, strlen(key)) != 0)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s\n", at);
	free(old);
	snprintf(line, sizeof(line), "%s%" PRIx64 "\n", key, value);
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s", line);
	file_put(t->dir.path, name, text);
}

void tree_expect_names(struct tree *t, const char *names)
{
	char found[2048] = "";

	tree_open(t);
	for (size_t i = 0; i < t->sensor->n_domains; i++)
		snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s%s", i ? " " : "",
			t->sensor->domains[i].name);
	assert_string_equal(found, names);
}

void tree_expect_refusal(struct tree *t, int error, const char *reason, const char *fix)
{
	int r = tree_try(t);

	if (r != error || !strstr(t->sensor->why.reason, reason) ||
		(fix ? !strstr(t->sensor->why.fix, fix) : t->sensor->why.fix[0] != '\0'))
		fail_msg("%d, \"%s\", \"%s\"", r, t->sensor->why.reason, t->sensor->why.fix);
}

const struct domain *tree_domain(struct tree *t, const char *name)
{
	for (size_t i = 0; i < t->sensor->n_domains; i++)
		if (strcmp(t->sensor->domains[i].name, name) == 0)
			return &t->sensor->domains[i];
	fail_msg("there is no domain %s", name);
	return NULL;
}
