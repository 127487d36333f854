// SPDX-License-Identifier: MIT
#include "util/timestamp.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

/* Splits into whole seconds, rounded down also before 1970, and the nanoseconds above them. */
static time_t split(int64_t wall_ns, long *ret_ns)
{
	int64_t seconds = wall_ns / NS_PER_S;
	int64_t ns = wall_ns % NS_PER_S;

	if (ns < 0) {
		ns += NS_PER_S;
		seconds--;
	}
	*ret_ns = (long) ns;
	return (time_t) seconds;
}

static struct tm local_time(int64_t wall_ns, long *ret_ns)
{
	time_t seconds = split(wall_ns, ret_ns);
	struct tm tm;

	localtime_r(&seconds, &tm);
	return tm;
}

void timestamp_local_second(int64_t wall_ns, char *ret, size_t n)
{
	long ns;
	struct tm tm = local_time(wall_ns, &ns);

	strftime(ret, n, "%Y-%m-%d %H:%M:%S", &tm);
}

void timestamp_local_micro(int64_t wall_ns, char *ret, size_t n)
{
	long ns;
	struct tm tm = local_time(wall_ns, &ns);
	size_t len = strftime(ret, n, "%Y-%m-%d %H:%M:%S", &tm);

	snprintf(ret + len, n - len, ".%06ld", ns / 1000);
}

void timestamp_rfc3339(int64_t wall_ns, char *ret, size_t n)
{
	long ns, offset;
	struct tm tm = local_time(wall_ns, &ns);
	size_t len = strftime(ret, n, "%Y-%m-%dT%H:%M:%S", &tm);

	offset = labs(tm.tm_gmtoff) / 60;
	snprintf(ret + len, n - len, ".%06ld%c%02ld:%02ld", ns / 1000, tm.tm_gmtoff < 0 ? '-' : '+',
		offset / 60, offset % 60);
}

void timestamp_utc_naive(int64_t wall_ns, char *ret, size_t n)
{
	struct tm tm;
	long ns;
	time_t seconds = split(wall_ns, &ns);
	size_t len;

	gmtime_r(&seconds, &tm);
	len = strftime(ret, n, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret + len, n - len, ".%06ld", ns / 1000);
}

struct cursor {
	const char *at;
	const char *end;
};

/* Exactly `width` digits, with a value from lowest to highest. */
static bool number(struct cursor *c, int width, int lowest, int highest, int *ret)
{
	int value = 0;

	for (int i = 0; i < width; i++) {
		if (c->at == c->end || *c->at < '0' || *c->at > '9')
			return false;
		value = value * 10 + (*c->at++ - '0');
	}
	*ret = value;
	return value >= lowest && value <= highest;
}

static bool one_of(struct cursor *c, const char *set, char *ret)
{
	if (c->at == c->end)
		return false;
	for (; *set; set++) {
		if (*c->at == *set) {
			if (ret)
				*ret = *set;
			c->at++;
			return true;
		}
	}
	return false;
}

/* The fraction after a point; digits beyond the ninth are read and dropped. */
static bool fraction(struct cursor *c, long *ret_ns)
{
	long ns = 0, scale = NS_PER_S / 10;
	bool any = false;

	while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
		ns += (*c->at++ - '0') * scale;
		scale /= 10;
		any = true;
	}
	*ret_ns = ns;
	return any;
}

/* Z, +HH:MM, -HH:MM or nothing; the result is in seconds east of UTC. */
static bool offset_east(struct cursor *c, int *ret)
{
	int hours, minutes;
	char sign;

	*ret = 0;
	if (c->at == c->end || one_of(c, "Zz", NULL))
		return true;
	if (!one_of(c, "+-", &sign) || !number(c, 2, 0, 23, &hours) || !one_of(c, ":", NULL) ||
		!number(c, 2, 0, 59, &minutes))
		return false;
	*ret = (hours * 60 + minutes) * 60 * (sign == '-' ? -1 : 1);
	return true;
}

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int timestamp_parse(const char *text, size_t n, int64_t *ret_wall_ns)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	struct cursor c = { text, text + n };
	struct tm tm = { 0 };
	long ns = 0;
	int east;
	int64_t wall;

	if (!number(&c, 4, 0, 9999, &tm.tm_year) || !one_of(&c, "-", NULL) ||
		!number(&c, 2, 1, 12, &tm.tm_mon) || !one_of(&c, "-", NULL) ||
		!number(&c, 2, 1, 31, &tm.tm_mday) || !one_of(&c, "Tt ", NULL) ||
		!number(&c, 2, 0, 23, &tm.tm_hour) || !one_of(&c, ":", NULL) ||
		!number(&c, 2, 0, 59, &tm.tm_min) || !one_of(&c, ":", NULL) ||
		!number(&c, 2, 0, 60, &tm.tm_sec)) /* 60: a leap second */
		return -EINVAL;
	if (one_of(&c, ".", NULL) && !fraction(&c, &ns))
		return -EINVAL;
	if (!offset_east(&c, &east) || c.at != c.end)
		return -EINVAL;
	if (tm.tm_mday > days[tm.tm_mon - 1] + (tm.tm_mon == 2 && is_leap(tm.tm_year)))
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	if (__builtin_mul_overflow((int64_t) timegm(&tm) - east, NS_PER_S, &wall) ||
		__builtin_add_overflow(wall, ns, &wall))
		wall = tm.tm_year > 70 ? INT64_MAX : INT64_MIN;
	*ret_wall_ns = wall;
	return 0;
}
