// SPDX-License-Identifier: MIT
#include "jsoncheck.h"

#include <jansson.h>
#include <stdio.h>

static json_t *load(const char *text, size_t n, json_error_t *error)
{
	return json_loadb(
		text, n, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, error);
}

const char *json_wrong(const char *text, size_t n)
{
	static char why[JSON_ERROR_TEXT_LENGTH + 64];
	json_error_t error;
	json_t *value = load(text, n, &error);

	if (!value) {
		snprintf(why, sizeof(why), "byte %d: %s", error.position, error.text);
		return why;
	}
	json_decref(value);
	return NULL;
}

char *json_compact(const char *text, size_t n)
{
	json_error_t error;
	json_t *value = load(text, n, &error);
	char *ret = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	json_decref(value);
	return ret;
}

long json_count(const char *text, size_t n)
{
	json_error_t error;
	json_t *value = load(text, n, &error);
	long count = -1;

	if (value)
		count = (long) (json_is_array(value) ? json_array_size(value)
						     : json_object_size(value));
	json_decref(value);
	return count;
}
