// SPDX-License-Identifier: MIT
/*
 * What a window of the library costs, in nanoseconds, as JSON: beginning and ending one, beside the
 * two readings that it consists of. The median over rounds of the mean within each; readings and
 * windows take turns, so that both see the same machine. On files that look like four RAPL zones,
 * and on the simulated sensor, which reads nothing: what remains there is /proc/stat, which is read
 * at each edge, and the library itself.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "lib/handle.h"

#define ROUNDS 41
#define PER_ROUND 100

struct cost {
	double window_ns;
	double readings_ns;
	double nested_ns; /* with ten other windows open */
};

static void windows(struct pm *pm, const char *key)
{
	for (int i = 0; i < PER_ROUND; i++) {
		struct pm_usage usage = PM_USAGE_INIT;
		struct pm_result *result;

		if (pm_begin_window(pm, key) < 0 || pm_end_window(pm, key, &result) < 0) {
			fprintf(stderr, "%s\n", pm_error());
			exit(1);
		}
		pm_result_usage(result, PM_MACHINE, &usage);
		pm_result_free(result);
	}
}

static void readings(struct pm *pm)
{
	for (int i = 0; i < 2 * PER_ROUND; i++)
		gauge_read(pm->meter->gauge);
}

static double since(uint64_t begun_ns)
{
	return (double) (clock_mono_ns(&clock_system) - begun_ns) / PER_ROUND;
}

static struct cost cost_of(const char *root, const char *sensors)
{
	struct pm_options options = PM_OPTIONS_INIT;
	double window[ROUNDS], reading[ROUNDS], nested[ROUNDS];
	struct pm *pm;

	options.root = root;
	options.sensors = sensors;
	if (pm_open(&pm, &options) < 0) {
		fprintf(stderr, "%s\n", pm_error());
		exit(1);
	}
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t begun_ns = clock_mono_ns(&clock_system);

		windows(pm, "work");
		window[i] = since(begun_ns);
		begun_ns = clock_mono_ns(&clock_system);
		readings(pm);
		reading[i] = since(begun_ns);
	}
	for (char key[] = "a"; *key <= 'j'; ++*key)
		pm_begin_window(pm, key);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t begun_ns = clock_mono_ns(&clock_system);

		windows(pm, "work");
		nested[i] = since(begun_ns);
	}
	pm_close(pm);
	return (struct cost) { bench_median(window, ROUNDS), bench_median(reading, ROUNDS),
		bench_median(nested, ROUNDS) };
}

static void print(const char *name, struct cost c, const char *end)
{
	printf("  \"%s\": {\"window_ns\": %.0f, \"two_readings_ns\": %.0f, "
	       "\"window_among_ten_ns\": %.0f}%s\n",
		name, c.window_ns, c.readings_ns, c.nested_ns, end);
}

int main(void)
{
	const char *root = bench_tree_make();

	printf("{\n");
	print("rapl_four_zones", cost_of(root, "rapl-powercap"), ",");
	print("simulated", cost_of(NULL, "sim"), "");
	printf("}\n");
	bench_tree_remove();
	return 0;
}
