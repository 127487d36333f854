// SPDX-License-Identifier: MIT
/* The end of a log, or all of it. The first byte says which, and of which form the log is. */
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include "sinks/jsontail.h"

static void check(const char *text, size_t n, bool whole, char bracket)
{
	char closing = bracket == '{' ? '}' : ']';
	struct jsontail found, again;
	char *repaired;
	int r = jsontail_find(text, n, whole, bracket, &found);

	if (r < 0) {
		MUST(r == -EBADMSG);
		return;
	}
	MUST(found.end <= n);
	MUST(memchr(found.key, '\0', sizeof(found.key)));
	MUST(found.any || (whole && found.key[0] == '\0'));
	/* Cut there and closed, it is a sound log with the same end. */
	repaired = malloc(found.end + 2);
	MUST(repaired);
	memcpy(repaired, text, found.end);
	repaired[found.end] = closing;
	repaired[found.end + 1] = '\n';
	MUST(jsontail_find(repaired, found.end + 2, whole, bracket, &again) == 0);
	MUST(again.sound && again.end == found.end && again.any == found.any);
	MUST(strcmp(again.key, found.key) == 0);
	free(repaired);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n > 0)
		check((const char *) data + 1, n - 1, data[0] & 1, data[0] & 2 ? '[' : '{');
	return 0;
}
