// SPDX-License-Identifier: MIT
/*
 * What is asked of the sessions: begin to measure, stop, end the program. Sources make requests of
 * events; the sessions know no source.
 */
#ifndef PM_SESSION_REQUEST_H
#define PM_SESSION_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUEST_MAX_PIDS 1024
#define REQUEST_TS_MAX 64    /* longest time stamp that is kept, with its NUL */
#define REQUEST_NAME_MAX 128 /* longest plugin name or uuid that is kept, with its NUL */
#define REQUEST_WHY_MAX 160  /* room for the reason of a refusal */

enum request_kind { REQUEST_START, REQUEST_STOP, REQUEST_TERMINATE };

/* One request, already checked for form. */
struct request {
	enum request_kind kind;
	char create_ts[REQUEST_TS_MAX]; /* the sender's own; "" if it was too long or not there */

	int32_t pids
		[REQUEST_MAX_PIDS]; /* REQUEST_START, REQUEST_STOP: as sent, perhaps senseless */
	size_t n_pids;

	uint32_t kinds;        /* REQUEST_START: KIND_BITs asked for */
	bool start_now;        /* else at start_wall_ns */
	int64_t start_wall_ns; /* nanoseconds since 1970 UTC */
	uint32_t seconds;      /* 0: until stopped */

	char name[REQUEST_NAME_MAX]; /* REQUEST_TERMINATE: whom it is for */
	char uuid[REQUEST_NAME_MAX];
};

#endif
