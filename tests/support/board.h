// SPDX-License-Identifier: MIT
/* A directory that looks like a machine, a clock that is set, and a sensor opened on them. */
#ifndef PM_TEST_BOARD_H
#define PM_TEST_BOARD_H

#include "fakeclock.h"
#include "files.h"
#include "meter/sensor.h"

struct board {
	struct tmpdir dir;
	struct fakeclock clock;
	struct host host;
	struct sensor_options options;
	struct sensor *sensor; /* NULL: not opened */
	struct reading readings[SENSOR_MAX_DOMAINS];
};

void board_init(struct board *b);
void board_finish(struct board *b);

/* The board of a test program: an empty one for each test that has set_up() and tear_down(). */
#define BOARD_TESTS(b)                     \
	static struct board b;             \
	static int set_up(void **state)    \
	{                                  \
		(void) state;              \
		board_init(&b);            \
		return 0;                  \
	}                                  \
	static int tear_down(void **state) \
	{                                  \
		(void) state;              \
		board_finish(&b);          \
		return 0;                  \
	}

/* A file of one line. */
__attribute__((format(printf, 3, 4))) void board_put(
	struct board *b, const char *text, const char *path, ...);

/* Many at once: PATH=TEXT, ended by NULL. prefix stands before each path. */
void board_put_all(struct board *b, const char *prefix, const char *const *files);

/* Removes a directory with all that is in it, emptying its files first: whoever has one open finds
 * nothing in it any more, as with a device that is gone. */
void board_remove(struct board *b, const char *path);

/* Probes and opens the sensor of that name; what was open is closed. */
int board_try(struct board *b, const char *sensor);
void board_open(struct board *b, const char *sensor); /* ... which must succeed */
void board_close(struct board *b);

/* Lets time pass and reads all domains. */
void board_read(struct board *b, uint64_t after_ns);

/* By name; the test fails if there is none. */
size_t board_index(const struct board *b, const char *name);
const struct domain *board_domain(const struct board *b, const char *name);
const struct reading *board_reading(const struct board *b, const char *name);

/* One line for each domain, compared with what is expected:
 * "NAME KIND PARENT|- counted|shown: SCOPE\n". */
void board_expect(const struct board *b, const char *expected);

/* Opening fails like this. fix NULL: there is none. */
void board_expect_refusal(
	struct board *b, const char *sensor, int error, const char *reason, const char *fix);

#endif
