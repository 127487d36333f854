// SPDX-License-Identifier: MIT
#include "meter/sensorlist.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "meter/sensor.h"

static bool takes_file(const char *at, size_t n)
{
	for (const struct sensor_ops *const *ops = sensor_list; *ops; ops++)
		if (strlen((*ops)->name) == n && memcmp((*ops)->name, at, n) == 0)
			return (*ops)->takes_file;
	return false;
}

/* One name of the list, n bytes, perhaps with ":FILE" behind it. */
static int parse_one(
	const char *at, size_t n, struct sensorlist *list, char *ret_why, size_t why_size)
{
	const char *colon = memchr(at, ':', n);
	size_t name_n = colon ? (size_t) (colon - at) : n;
	size_t len = strlen(list->names);

	if (colon && !takes_file(at, name_n)) {
		snprintf(ret_why, why_size, "this sensor takes no file: '%.*s'", (int) n, at);
		return -EINVAL;
	}
	if (name_n == 0 || len + name_n + 2 > sizeof(list->names)) {
		snprintf(ret_why, why_size, "not a list of names: '%s'", at);
		return -EINVAL;
	}
	if (colon && n - name_n > sizeof(list->file)) {
		snprintf(ret_why, why_size, "the file's name is too long: '%.*s'", (int) n, at);
		return -EINVAL;
	}
	if (colon)
		snprintf(list->file, sizeof(list->file), "%.*s", (int) (n - name_n - 1), colon + 1);
	snprintf(list->names + len, sizeof(list->names) - len, "%s%.*s", len ? "," : "",
		(int) name_n, at);
	return 0;
}

int sensorlist_parse(const char *text, struct sensorlist *ret, char *ret_why, size_t why_size)
{
	*ret = (struct sensorlist) { 0 };
	for (const char *at = text; *at;) {
		size_t n = strcspn(at, ",");
		int r = parse_one(at, n, ret, ret_why, why_size);

		if (r < 0)
			return r;
		at += n + (at[n] == ',');
	}
	if (ret->names[0] == '\0') {
		snprintf(ret_why, why_size, "the list is empty");
		return -EINVAL;
	}
	return 0;
}
