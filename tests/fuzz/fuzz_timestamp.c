// SPDX-License-Identifier: MIT
/* A time as text, from an event or as the last key of a log. */
#include "fuzz.h"

#include <string.h>

#include "sinks/logkey.h"
#include "util/timestamp.h"

static void check_written(int64_t wall_ns)
{
	char text[TIMESTAMP_MAX];
	int64_t again_ns;

	timestamp_rfc3339(wall_ns, text, sizeof(text));
	MUST(timestamp_parse(text, strlen(text), &again_ns) == 0);
	/* Written to the microsecond, rounded down; the least number of all has none below it. */
	MUST(again_ns <= wall_ns || again_ns == INT64_MIN);
	MUST((uint64_t) wall_ns - (uint64_t) again_ns < 1000);
	timestamp_utc_naive(wall_ns, text, sizeof(text));
	MUST(timestamp_parse(text, strlen(text), &again_ns) == 0);
	timestamp_local_second(wall_ns, text, sizeof(text));
	MUST(strlen(text) == 19);
	timestamp_local_micro(wall_ns, text, sizeof(text));
	MUST(strlen(text) == 26);
}

/* A log that ends with this key is gone on with now. */
static void check_key(const char *last)
{
	const int64_t now_ns = INT64_C(1692935459500000000);
	struct logkey k;
	char key[64], next[64];

	logkey_begin(&k, last);
	if (logkey_must_turn_over(&k, now_ns))
		logkey_begin(&k, "");
	logkey_next(&k, now_ns, key, sizeof(key));
	logkey_next(&k, now_ns, next, sizeof(next));
	MUST(strcmp(key, next) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char text[256];
	int64_t wall_ns;

	if (timestamp_parse((const char *) data, n, &wall_ns) == 0)
		check_written(wall_ns);
	if (n >= sizeof(text))
		n = sizeof(text) - 1;
	if (n > 0)
		memcpy(text, data, n);
	text[n] = '\0';
	check_key(text);
	return 0;
}
