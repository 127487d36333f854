// SPDX-License-Identifier: MIT
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "util/cleanup.h"

static char directory[] = "/tmp/powermeasure-bench-XXXXXX";

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/%s", directory, dir, name);
	f = fopen(path, "we");
	if (!f || fputs(text, f) < 0 || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static void make_dir(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (mkdir(path, 0755) < 0 && errno != EEXIST) {
		perror(path);
		exit(1);
	}
}

const char *bench_tree_make(void)
{
	static const char *const zones[][2] = { { "intel-rapl:0", "package-0" },
		{ "intel-rapl:0:0", "dram" }, { "intel-rapl:1", "package-1" },
		{ "intel-rapl:1:0", "dram" } };
	char dir[128];

	if (!mkdtemp(directory)) {
		perror(directory);
		exit(1);
	}
	make_dir("sys");
	make_dir("sys/class");
	make_dir("sys/class/powercap");
	for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
		snprintf(dir, sizeof(dir), "sys/class/powercap/%s", zones[i][0]);
		make_dir(dir);
		write_file(dir, "name", zones[i][1]);
		write_file(dir, "energy_uj", "123456789012\n");
		write_file(dir, "max_energy_range_uj", "262143328850\n");
	}
	return directory;
}

void bench_tree_remove(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", directory);
	if (system(command) != 0)
		fprintf(stderr, "%s is left behind\n", directory);
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

double bench_median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}
