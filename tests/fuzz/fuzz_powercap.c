// SPDX-License-Identifier: MIT
/*
 * A powercap tree. The input has a line for each file, "intel-rapl:0/name=package-0", below the
 * class; "cpu=..." is what /proc/cpuinfo says. A line "!" lets a second pass and has the files that
 * follow changed; "-FILE" takes one away.
 */
#include "fuzz.h"

#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fcntl.h>

#include "meter/unwrap.h"
#include "fakeclock.h"
#include "meter/sensor.h"

#define MAX_LINES 200

static char top[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void) st;
	(void) type;
	return ftw->level > 0 ? remove(path) : 0;
}

static void remove_top(void)
{
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	rmdir(top);
}

static void make_top(void)
{
	if (top[0]) {
		nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
		return;
	}
	/* In memory where there is such a place: each input makes some files. */
	snprintf(top, sizeof(top), "%s/pm-fuzz-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	MUST(mkdtemp(top));
	atexit(remove_top);
}

/* Only names that a class could have, so that nothing outside is touched. */
static bool is_harmless(const char *name, size_t n)
{
	static const char fine[] = "abcdefghijklmnopqrstuvwxyz0123456789_:-/";

	for (size_t i = 0; i < n; i++)
		if (!memchr(fine, name[i], sizeof(fine) - 1))
			return false;
	return n > 0 && n < 100 && name[0] != '/' && name[n - 1] != '/';
}

static void make_dirs(char *path)
{
	for (char *c = path + strlen(top) + 1; (c = strchr(c, '/')); c++) {
		*c = '\0';
		mkdir(path, 0755);
		*c = '/';
	}
}

static void put_file(const char *name, size_t name_n, const char *content, size_t n)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/%s%.*s", top,
		name_n == 3 && memcmp(name, "cpu", 3) == 0 ? "proc/" : "sys/class/powercap/",
		(int) name_n, name);
	if (name_n == 3 && memcmp(name, "cpu", 3) == 0)
		strcat(path, "info");
	make_dirs(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	if (write(fd, content, n) != (ssize_t) n || write(fd, "\n", 1) != 1)
		abort();
	close(fd);
}

static void take_away(const char *name, size_t n)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/sys/class/powercap/%.*s", top, (int) n, name);
	/* Emptied first: a descriptor that is open must notice. */
	if (truncate(path, 0) == 0)
		unlink(path);
}

struct state {
	struct fakeclock clock;
	struct host host;
	struct sensor_options options;
	struct sensor sensor;
	bool opened;
	struct unwrap unwraps[SENSOR_MAX_DOMAINS];
	struct reading last[SENSOR_MAX_DOMAINS];
};

static void check_domains(const struct sensor *s)
{
	MUST(s->n_domains > 0 && s->n_domains <= SENSOR_MAX_DOMAINS);
	for (size_t i = 0; i < s->n_domains; i++) {
		const struct domain *d = &s->domains[i];

		MUST(memchr(d->name, '\0', sizeof(d->name)) && d->name[0] != '\0');
		MUST(d->parent < (int) s->n_domains && d->kind < KIND_COUNT);
		MUST(d->unit_num > 0 && d->unit_den > 0 && d->max_power_mw > 0);
	}
}

static void open_sensor(struct state *x)
{
	struct sensor *s = &x->sensor;

	MUST(host_init(&x->host, top, &x->clock.clock) == 0);
	*s = (struct sensor) { .ops = sensor_find("rapl-powercap"),
		.host = &x->host,
		.options = &x->options,
		.kinds = KIND_ALL };
	x->opened = true;
	if (s->ops->probe(s) == 0 && s->ops->open(s) == 0) {
		check_domains(s);
		return;
	}
	MUST(s->why.reason[0] != '\0' && memchr(s->why.reason, '\0', sizeof(s->why.reason)));
	s->ops->close(s);
	s->n_domains = 0;
}

static void read_sensor(struct state *x)
{
	struct reading readings[SENSOR_MAX_DOMAINS];
	struct sensor *s = &x->sensor;

	if (s->n_domains == 0)
		return;
	MUST(s->ops->read(s, readings) == 0);
	for (size_t i = 0; i < s->n_domains; i++) {
		unwrap_step(&x->unwraps[i], &s->domains[i], &readings[i]);
		if (readings[i].error)
			continue;
		if (readings[i].since_ns == x->last[i].since_ns)
			MUST(readings[i].energy_uj >= x->last[i].energy_uj);
		x->last[i] = readings[i];
	}
}

static void do_line(struct state *x, const char *line, size_t n)
{
	const char *equals = memchr(line, '=', n);

	if (n == 1 && line[0] == '!') {
		if (!x->opened)
			open_sensor(x);
		fakeclock_advance(&x->clock, NS_PER_S);
		read_sensor(x);
	} else if (n > 1 && line[0] == '-' && is_harmless(line + 1, n - 1)) {
		take_away(line + 1, n - 1);
	} else if (equals && is_harmless(line, (size_t) (equals - line))) {
		put_file(line, (size_t) (equals - line), equals + 1,
			n - (size_t) (equals + 1 - line));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct state x;
	const char *text = (const char *) data, *end = text + n;

	make_top();
	memset(&x, 0, sizeof(x));
	fakeclock_init(&x.clock, 1000 * NS_PER_S, 0);
	for (int i = 0; i < MAX_LINES && text < end; i++) {
		const char *newline = memchr(text, '\n', (size_t) (end - text));
		size_t len = (size_t) ((newline ? newline : end) - text);

		do_line(&x, text, len);
		text += len + 1;
		if (!newline)
			break;
	}
	for (int i = 0; i < 15; i++)
		do_line(&x, "!", 1);
	if (x.sensor.n_domains > 0)
		x.sensor.ops->close(&x.sensor);
	host_finish(&x.host);
	return 0;
}
