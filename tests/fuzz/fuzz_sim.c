// SPDX-License-Identifier: MIT
/* The simulated sensor's script, and readings at some times. */
#include "fuzz.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "meter/unwrap.h"
#include "fakeclock.h"
#include "meter/sensor.h"

/* The linker puts this in the place of nanosleep(): a script may ask for slow reads. */
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left);

int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left)
{
	(void) wanted;
	(void) left;
	return 0;
}

static void check_readings(struct sensor *s, struct fakeclock *clock)
{
	static struct reading readings[SENSOR_MAX_DOMAINS];
	static struct unwrap unwraps[SENSOR_MAX_DOMAINS];

	memset(unwraps, 0, sizeof(unwraps));
	for (int i = 0; i < 8; i++) {
		MUST(s->ops->read(s, readings) == 0);
		for (size_t d = 0; d < s->n_domains; d++) {
			struct reading *r = &readings[d];

			if (r->error)
				continue;
			MUST(s->domains[d].modulus == 0 || r->raw < s->domains[d].modulus);
			MUST(r->t_ns <= clock->mono_ns);
			unwrap_step(&unwraps[d], &s->domains[d], r);
		}
		fakeclock_advance(clock, (uint64_t) 1 << (5 * i));
	}
}

static void check(const struct sensor_ops *ops, const char *path)
{
	static struct sensor sensor;
	struct sensor_options options = { .file = path };
	struct fakeclock clock;
	struct host host;

	fakeclock_init(&clock, 1000 * NS_PER_S, 0);
	/* Of the host the sensor takes the clock alone. */
	host = (struct host) { .clock = &clock.clock };
	sensor = (struct sensor) {
		.ops = ops, .host = &host, .options = &options, .kinds = KIND_ALL
	};
	if (ops->probe(&sensor) == 0 && ops->open(&sensor) == 0) {
		MUST(sensor.n_domains > 0 && sensor.n_domains <= SENSOR_MAX_DOMAINS);
		MUST(sensor.period_ns > 0);
		for (size_t d = 0; d < sensor.n_domains; d++) {
			MUST(memchr(sensor.domains[d].name, '\0', sizeof(sensor.domains[d].name)));
			MUST(sensor.domains[d].parent < (int) d);
			MUST(sensor.domains[d].unit_num > 0 && sensor.domains[d].unit_den > 0);
		}
		check_readings(&sensor, &clock);
	} else {
		MUST(sensor.why.reason[0] != '\0');
	}
	ops->close(&sensor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static int fd = -1;
	char path[40];

	if (fd < 0)
		fd = memfd_create("script", MFD_CLOEXEC);
	MUST(fd >= 0 && ftruncate(fd, 0) == 0);
	MUST(pwrite(fd, data, n, 0) == (ssize_t) n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	check(sensor_find("sim"), path);
	check(sensor_find("sim-polled"), path);
	return 0;
}
