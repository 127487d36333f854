/* SPDX-License-Identifier: MIT */
/*
 * What a stretch of a program costs. Build it against the installed library:
 *
 *     cc -o window window.c $(pkg-config --cflags --libs powermeasure)
 *
 * usage: window [--polling] [SENSORS]
 *
 * With --polling also sensors are used that need a thread, like GPUs. SENSORS is a list as
 * `powermeasure list` shows it; "sim" simulates.
 */
#include <errno.h>
#include <powermeasure.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Keeps a CPU busy. */
static double work(double seconds)
{
	clock_t until = clock() + (clock_t) (seconds * CLOCKS_PER_SEC);
	double sum = 0;

	while (clock() < until)
		for (int i = 1; i < 10000; i++)
			sum += 1.0 / i;
	return sum;
}

/* Says what can be measured, and of the rest why not. */
static void show_sensors(struct pm *pm)
{
	for (size_t i = 0; i < pm_sensor_count(pm); i++) {
		struct pm_sensor sensor = PM_SENSOR_INIT;

		if (pm_sensor(pm, i, &sensor) < 0)
			continue;
		printf("%-14s %s", sensor.name, sensor.used ? "used" : "not used");
		if (sensor.reason)
			printf(": %s", sensor.reason);
		if (sensor.fix)
			printf("; to change that: %s", sensor.fix);
		printf("\n");
	}
}

static void show_energy(const char *whose, const char *kind, const struct pm_energy *e)
{
	if (!e->known) {
		printf("  %-8s %-9s not known\n", whose, kind);
		return;
	}
	printf("  %-8s %-9s %8.3f J  (%.3f to %.3f)  %7.3f W%s%s\n", whose, kind,
		e->energy_uj / 1e6, e->low_uj / 1e6, e->high_uj / 1e6, e->power_uw / 1e6,
		e->flags & PM_ESTIMATED ? "  ESTIMATED" : "",
		e->flags & (PM_GAP | PM_RESET | PM_PARTIAL) ? "  some is missing" : "");
}

/* Ends a window and shows what was used in it. Returns 0 or -errno. */
static int show_window(struct pm *pm, const char *key)
{
	struct pm_usage machine = PM_USAGE_INIT, self = PM_USAGE_INIT;
	struct pm_result *result;
	int r = pm_end_window(pm, key, &result);

	if (r < 0) {
		fprintf(stderr, "%s: %s\n", key, pm_error());
		return r;
	}
	pm_result_usage(result, PM_MACHINE, &machine);
	printf("%s: %.3f s\n", key, machine.elapsed_ns / 1e9);
	show_energy("machine", "CPU", &machine.cpu);
	show_energy("machine", "DRAM", &machine.dram);
	show_energy("machine", "GPU", &machine.gpu);
	show_energy("machine", "in all", &machine.total);
	if (pm_result_usage(result, PM_SELF, &self) == 0) {
		show_energy("process", "CPU", &self.cpu);
		show_energy("process", "DRAM", &self.dram);
		printf("  process  CPU time  %8.3f s\n", self.cpu_ns / 1e9);
	}
	pm_result_free(result);
	return 0;
}

int main(int argc, char **argv)
{
	struct pm_options options = PM_OPTIONS_INIT;
	int polling = argc > 1 && strcmp(argv[1], "--polling") == 0;
	struct pm *pm;

	if (argc > 1 + polling)
		options.sensors = argv[1 + polling];
	if (pm_open(&pm, &options) < 0 || (polling && pm_start_polling(pm) < 0)) {
		fprintf(stderr, "%s\n", pm_error());
		return 1;
	}
	show_sensors(pm);

	/* Windows may lie within each other. */
	if (pm_begin_window(pm, "all") < 0 || pm_begin_window(pm, "first half") < 0) {
		fprintf(stderr, "%s\n", pm_error());
		return 1;
	}
	work(0.2);
	show_window(pm, "first half");
	work(0.2);
	show_window(pm, "all");

	/* A window that is ended twice is an error with a reason, and nothing else. */
	if (pm_cancel_window(pm, "all") == -ENOENT)
		printf("as it should be: %s\n", pm_error());
	pm_close(pm);
	return 0;
}
