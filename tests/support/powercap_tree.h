// SPDX-License-Identifier: MIT
/* A directory that looks like a machine with RAPL, and the sensor opened on it. */
#ifndef PM_TEST_POWERCAP_TREE_H
#define PM_TEST_POWERCAP_TREE_H

#include "meter/unwrap.h"
#include "fakeclock.h"
#include "files.h"
#include "meter/sensor.h"

#define POWERCAP "sys/class/powercap"

struct tree {
	struct tmpdir dir;
	struct fakeclock clock;
	struct host host;
	struct sensor_options options;
	const char *sensor_name; /* "rapl-powercap", or another one that was given */
	struct sensor *sensor;   /* NULL: not opened */
	struct unwrap unwraps[SENSOR_MAX_DOMAINS];
};

enum tree_cpu { TREE_NO_CPU, TREE_INTEL, TREE_AMD, TREE_HYGON, TREE_ARM, TREE_VIRTUAL };

void tree_init(struct tree *t);
void tree_finish(struct tree *t);

/* The tree of a test program: for each test that has set_up() and tear_down() one for that sensor, with
 * that processor and nothing else in it. */
#define TREE_TESTS(t, sensor, cpu)         \
	static struct tree t;              \
	static int set_up(void **state)    \
	{                                  \
		(void) state;              \
		tree_init(&t);             \
		t.sensor_name = sensor;    \
		tree_cpu(&t, cpu);         \
		return 0;                  \
	}                                  \
	static int tear_down(void **state) \
	{                                  \
		(void) state;              \
		tree_finish(&t);           \
		return 0;                  \
	}

/* Whose processor it is; TREE_NO_CPU: nothing is told of it. */
void tree_cpu(struct tree *t, enum tree_cpu cpu);

/* A zone with a name, a count of 2^-14 J (ESU 14), and some energy. */
void tree_zone(struct tree *t, const char *zone, const char *name);
void tree_number(struct tree *t, const char *zone, const char *file, uint64_t value);

/* Probes and opens the sensor. */
int tree_try(struct tree *t);
void tree_open(struct tree *t); /* ... which must succeed */
void tree_close(struct tree *t);

/* Reads one domain, and takes it through unwrapping. */
struct reading tree_read(struct tree *t, size_t domain);

#endif
