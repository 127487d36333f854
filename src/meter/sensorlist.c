// SPDX-License-Identifier: MIT
#include "meter/sensorlist.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int sensorlist_parse(const char *text, struct sensorlist *ret, char *ret_why, size_t why_size)
{
	const char *at = text;
	size_t len = 0;

	*ret = (struct sensorlist) { 0 };
	while (*at) {
		size_t n = strcspn(at, ",");
		const char *colon = memchr(at, ':', n);
		size_t name_n = colon ? (size_t) (colon - at) : n;

		if (colon && strncmp(at, "sim", 3) != 0) {
			snprintf(ret_why, why_size, "only sim takes a file: %.*s", (int) n, at);
			return -EINVAL;
		}
		if (name_n == 0 || len + name_n + 2 > sizeof(ret->names)) {
			snprintf(ret_why, why_size, "not a list of names: %s", text);
			return -EINVAL;
		}
		if (colon && n - name_n > sizeof(ret->sim_script)) {
			snprintf(ret_why, why_size, "the file's name is too long: %.*s", (int) n,
				at);
			return -EINVAL;
		}
		if (colon)
			snprintf(ret->sim_script, sizeof(ret->sim_script), "%.*s",
				(int) (n - name_n - 1), colon + 1);
		len += (size_t) snprintf(ret->names + len, sizeof(ret->names) - len, "%s%.*s",
			len ? "," : "", (int) name_n, at);
		at += n + (at[n] == ',');
	}
	if (len == 0) {
		snprintf(ret_why, why_size, "the list is empty");
		return -EINVAL;
	}
	return 0;
}
