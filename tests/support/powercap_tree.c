// SPDX-License-Identifier: MIT
#include "powercap_tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

void tree_init(struct tree *t)
{
	memset(t, 0, sizeof(*t));
	t->dir = tmpdir_make();
	t->sensor_name = "rapl-powercap";
	fakeclock_init(&t->clock, 1000 * NS_PER_S, 0);
}

void tree_finish(struct tree *t)
{
	tree_close(t);
	tmpdir_remove(&t->dir);
}

void tree_cpu(struct tree *t, enum tree_cpu cpu)
{
	static const char *const texts[] = {
		[TREE_INTEL] = "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 142\n",
		[TREE_AMD] = "vendor_id\t: AuthenticAMD\ncpu family\t: 23\nmodel\t\t: 1\n",
		[TREE_HYGON] = "vendor_id\t: HygonGenuine\ncpu family\t: 24\nmodel\t\t: 1\n",
		[TREE_ARM] = "CPU implementer\t: 0x41\nCPU part\t: 0xd08\n",
		[TREE_VIRTUAL] = "vendor_id\t: GenuineIntel\nflags\t\t: fpu hypervisor\n",
	};

	if (texts[cpu])
		file_put(t->dir.path, "proc/cpuinfo", texts[cpu]);
}

void tree_number(struct tree *t, const char *zone, const char *file, uint64_t value)
{
	char path[PATH_SIZE], text[32];

	snprintf(path, sizeof(path), POWERCAP "/%s/%s", zone, file);
	snprintf(text, sizeof(text), "%" PRIu64 "\n", value);
	file_put(t->dir.path, path, text);
}

void tree_zone(struct tree *t, const char *zone, const char *name)
{
	char path[PATH_SIZE], text[128];

	snprintf(path, sizeof(path), POWERCAP "/%s/name", zone);
	snprintf(text, sizeof(text), "%s\n", name);
	file_put(t->dir.path, path, text);
	tree_number(t, zone, "max_energy_range_uj", UINT64_C(262143328850));
	tree_number(t, zone, "energy_uj", 61035);
}

int tree_try(struct tree *t)
{
	int r;

	tree_close(t);
	assert_int_equal(host_init(&t->host, t->dir.path, &t->clock.clock), 0);
	t->sensor = calloc(1, sizeof(*t->sensor));
	assert_non_null(t->sensor);
	t->sensor->ops = sensor_find(t->sensor_name);
	t->sensor->host = &t->host;
	t->sensor->options = &t->options;
	t->sensor->kinds = KIND_ALL;
	memset(t->unwraps, 0, sizeof(t->unwraps));
	r = t->sensor->ops->probe(t->sensor);
	return r < 0 ? r : t->sensor->ops->open(t->sensor);
}

void tree_open(struct tree *t)
{
	if (tree_try(t) != 0)
		fail_msg("%s", t->sensor->why.reason);
}

void tree_close(struct tree *t)
{
	if (!t->sensor)
		return;
	t->sensor->ops->close(t->sensor);
	free(t->sensor);
	t->sensor = NULL;
	host_finish(&t->host);
}

struct reading tree_read(struct tree *t, size_t domain)
{
	struct reading readings[SENSOR_MAX_DOMAINS];

	assert_int_equal(t->sensor->ops->read(t->sensor, readings), 0);
	assert_true(domain < t->sensor->n_domains);
	unwrap_step(&t->unwraps[domain], &t->sensor->domains[domain], &readings[domain]);
	return readings[domain];
}
