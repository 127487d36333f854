// SPDX-License-Identifier: MIT
#include "meter/sensorlist.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "meter/sensor.h"
#include "util/nearest.h"

/* The sensor of that name, or NULL with the reason in words. */
static const struct sensor_ops *find(const char *name, char *ret_why, size_t why_size)
{
	struct nearest near = { .word = name };
	const struct sensor_ops *ops = sensor_find(name);

	if (ops)
		return ops;
	for (size_t i = 0; sensor_list[i]; i++)
		nearest_try(&near, sensor_list[i]->name);
	snprintf(ret_why, why_size,
		"unknown sensor: '%s'; %s%s%s`powermeasure list` shows them all", name,
		near.best ? "did you mean '" : "", near.best ? near.best : "",
		near.best ? "'? " : "");
	return NULL;
}

/* One name of the list, n bytes, perhaps with ":FILE" behind it. */
static int parse_one(
	const char *at, size_t n, struct sensorlist *list, char *ret_why, size_t why_size)
{
	const char *colon = memchr(at, ':', n);
	size_t name_n = colon ? (size_t) (colon - at) : n;
	size_t len = strlen(list->names);
	const struct sensor_ops *ops;
	char name[64];

	if (name_n == 0 || len + name_n + 2 > sizeof(list->names)) {
		snprintf(ret_why, why_size, "not a list of names: '%s'", at);
		return -EINVAL;
	}
	snprintf(name, sizeof(name), "%.*s", (int) name_n, at);
	ops = find(name, ret_why, why_size);
	if (!ops)
		return -EINVAL;
	if (colon && !ops->takes_file) {
		snprintf(ret_why, why_size, "this sensor takes no file: '%.*s'", (int) n, at);
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
