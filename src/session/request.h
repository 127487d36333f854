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

/* An event on its way takes milliseconds: a shorter wait is not worth a word. A longer one than the second
 * is taken for a clock that is set wrong. */
#define REQUEST_WAITED_MIN_NS UINT64_C(100000000)
#define REQUEST_WAITED_MAX_NS UINT64_C(3600000000000)

enum request_kind { REQUEST_START, REQUEST_STOP, REQUEST_TERMINATE };

/* One request, already checked for form. */
struct request {
	enum request_kind kind;
	char create_ts[REQUEST_TS_MAX]; /* the sender's own; "" if it was too long or not there */
	uint64_t sender;                /* one connection's; 0: not known */
	/* REQUEST_START: how long ago measuring was meant to begin, by the sender's clock; 0: not known */
	uint64_t waited_ns;

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
