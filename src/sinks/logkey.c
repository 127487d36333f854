// SPDX-License-Identifier: MIT
#include "sinks/logkey.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util/timestamp.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_US INT64_C(1000)
#define TOLERATED_NS (2 * NS_PER_S)

static int64_t floor_to(int64_t ns, int64_t unit)
{
	int64_t rest = ns % unit;

	return ns - (rest < 0 ? rest + unit : rest);
}

static int64_t to_local_ns(int64_t wall_ns)
{
	time_t seconds = (time_t) (floor_to(wall_ns, NS_PER_S) / NS_PER_S);
	struct tm tm;

	localtime_r(&seconds, &tm);
	return wall_ns + (int64_t) tm.tm_gmtoff * NS_PER_S;
}

void logkey_begin(struct logkey *k, const char *last_key)
{
	int64_t local_ns;

	*k = (struct logkey) { 0 };
	if (timestamp_parse(last_key, strlen(last_key), &local_ns) == 0)
		*k = (struct logkey) { .any = true, .local_ns = local_ns };
}

bool logkey_must_turn_over(const struct logkey *k, int64_t wall_ns)
{
	/* A key that somebody else wrote may lie at the very end of what a number holds. */
	return k->any && to_local_ns(wall_ns) + TOLERATED_NS < k->local_ns;
}

void logkey_next(struct logkey *k, int64_t wall_ns, char *ret, size_t n)
{
	int64_t local_ns = to_local_ns(wall_ns);
	int64_t key_ns = floor_to(local_ns, NS_PER_S);
	time_t seconds;
	struct tm tm;
	size_t len;
	long us;

	if (k->any && key_ns <= k->local_ns) {
		key_ns = floor_to(local_ns, NS_PER_US);
		if (key_ns <= k->local_ns)
			key_ns = floor_to(k->local_ns, NS_PER_US) + NS_PER_US;
	}
	*k = (struct logkey) { .any = true, .local_ns = key_ns };
	seconds = (time_t) (floor_to(key_ns, NS_PER_S) / NS_PER_S);
	us = (long) ((key_ns - (int64_t) seconds * NS_PER_S) / NS_PER_US);
	gmtime_r(&seconds, &tm);
	len = strftime(ret, n, "%Y-%m-%d %H:%M:%S", &tm);
	if (us > 0)
		snprintf(ret + len, n - len, ".%06ld", us);
}
