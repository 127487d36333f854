// SPDX-License-Identifier: MIT
/* A message from the network, in both numberings of what to monitor. */
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include "meter/domain.h"
#include "events/event.h"

static void check(const uint8_t *data, size_t n, enum monitor_types numbering)
{
	static struct request event;
	char why[REQUEST_WHY_MAX] = "";
	int r;

	memset(&event, 0xee, sizeof(event));
	r = event_decode(data, n, numbering, &event, why, sizeof(why));
	if (r < 0) {
		MUST(r == -EBADMSG || r == -ENOMSG);
		MUST(why[0] != '\0' && memchr(why, '\0', sizeof(why)));
		/* It goes into a log: nothing but printable characters. */
		for (const char *c = why; *c; c++)
			MUST(*c >= 0x20 && *c < 0x7f);
		return;
	}
	MUST(memchr(event.create_ts, '\0', sizeof(event.create_ts)));
	switch (event.kind) {
	case REQUEST_START:
		MUST(event.kinds != 0 && (event.kinds & ~(uint32_t) KIND_ALL) == 0);
		MUST(event.n_pids > 0 && event.n_pids <= REQUEST_MAX_PIDS);
		break;
	case REQUEST_STOP:
		MUST(event.n_pids > 0 && event.n_pids <= REQUEST_MAX_PIDS);
		break;
	case REQUEST_TERMINATE:
		MUST(memchr(event.name, '\0', sizeof(event.name)));
		MUST(memchr(event.uuid, '\0', sizeof(event.uuid)));
		break;
	default:
		MUST(event.kind <= REQUEST_TERMINATE);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	check(data, n, MONITOR_TYPES_README);
	check(data, n, MONITOR_TYPES_EVENTS);
	return 0;
}
