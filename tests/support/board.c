// SPDX-License-Identifier: MIT
#include "board.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

void board_init(struct board *b)
{
	memset(b, 0, sizeof(*b));
	b->dir = tmpdir_make();
	fakeclock_init(&b->clock, 1000 * NS_PER_S, 0);
}

void board_finish(struct board *b)
{
	board_close(b);
	tmpdir_remove(&b->dir);
}

void board_put(struct board *b, const char *text, const char *path, ...)
{
	char name[PATH_SIZE], line[4096];
	va_list args;

	va_start(args, path);
	vsnprintf(name, sizeof(name), path, args);
	va_end(args);
	snprintf(line, sizeof(line), "%s\n", text);
	file_put(b->dir.path, name, line);
}

void board_put_all(struct board *b, const char *prefix, const char *const *files)
{
	for (; *files; files++) {
		const char *text = strchr(*files, '=');

		board_put(b, text + 1, "%s%.*s", prefix, (int) (text - *files), *files);
	}
}

void board_remove(struct board *b, const char *path)
{
	char full[PATH_SIZE];
	struct dirent *entry;
	DIR *dir = opendir(path_in(b->dir.path, path, full));

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char name[PATH_SIZE];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%.200s/%.200s", path, entry->d_name);
		if (entry->d_type == DT_DIR) {
			board_remove(b, name);
			continue;
		}
		file_put_bytes(b->dir.path, name, "", 0);
		file_remove(b->dir.path, name);
	}
	closedir(dir);
	assert_int_equal(rmdir(full), 0);
}

int board_try(struct board *b, const char *sensor)
{
	int r;

	board_close(b);
	assert_int_equal(host_init(&b->host, b->dir.path, &b->clock.clock), 0);
	b->sensor = calloc(1, sizeof(*b->sensor));
	assert_non_null(b->sensor);
	b->sensor->ops = sensor_find(sensor);
	assert_non_null(b->sensor->ops);
	b->sensor->host = &b->host;
	b->sensor->options = &b->options;
	b->sensor->kinds = KIND_ALL;
	r = b->sensor->ops->probe(b->sensor);
	return r < 0 ? r : b->sensor->ops->open(b->sensor);
}

void board_open(struct board *b, const char *sensor)
{
	if (board_try(b, sensor) != 0)
		fail_msg("%s", b->sensor->why.reason);
}

void board_close(struct board *b)
{
	if (!b->sensor)
		return;
	b->sensor->ops->close(b->sensor);
	free(b->sensor);
	b->sensor = NULL;
	host_finish(&b->host);
}

void board_read(struct board *b, uint64_t after_ns)
{
	fakeclock_advance(&b->clock, after_ns);
	memset(b->readings, 0xff, sizeof(b->readings));
	assert_int_equal(b->sensor->ops->read(b->sensor, b->readings), 0);
}

size_t board_index(const struct board *b, const char *name)
{
	for (size_t i = 0; i < b->sensor->n_domains; i++)
		if (strcmp(b->sensor->domains[i].name, name) == 0)
			return i;
	fail_msg("there is no domain %s", name);
	return 0;
}

const struct domain *board_domain(const struct board *b, const char *name)
{
	return &b->sensor->domains[board_index(b, name)];
}

const struct reading *board_reading(const struct board *b, const char *name)
{
	return &b->readings[board_index(b, name)];
}

void board_expect(const struct board *b, const char *expected)
{
	char found[16384] = "";

	for (size_t i = 0; i < b->sensor->n_domains; i++) {
		const struct domain *d = &b->sensor->domains[i];
		size_t n = strlen(found);

		assert_true(d->parent < (int) b->sensor->n_domains);
		snprintf(found + n, sizeof(found) - n, "%s %s %s %s: %s\n", d->name,
			kind_name(d->kind),
			d->parent < 0 ? "-" : b->sensor->domains[d->parent].name,
			d->counted ? "counted" : "shown", d->scope);
	}
	assert_string_equal(found, expected);
}

void board_expect_refusal(
	struct board *b, const char *sensor, int error, const char *reason, const char *fix)
{
	int r = board_try(b, sensor);

	if (r != error || !strstr(b->sensor->why.reason, reason) ||
		(fix ? !strstr(b->sensor->why.fix, fix) : b->sensor->why.fix[0] != '\0'))
		fail_msg("%d, \"%s\", \"%s\"", r, b->sensor->why.reason, b->sensor->why.fix);
}
