// SPDX-License-Identifier: MIT
/*
 * One finished line of result.
 */
#ifndef PM_SESSION_RECORD_H
#define PM_SESSION_RECORD_H

#include <sys/types.h>

#include "meter/domain.h"

enum record_type {
	RECORD_LINE,   /* a kind's energy of one process or of the device, at the rate asked for */
	RECORD_DETAIL, /* one domain's energy of one target, between two readings */
	RECORD_BEGIN,  /* a process's session begins: `session` is set */
	RECORD_END,    /* it ends, with its totals */
	RECORD_PHASES, /* it ended, and what was used in its phases: `phases` is set, too */
	RECORD_MISSED, /* what an event asked for and can no longer be measured, for interval_ns */
};

enum record_who {
	WHO_PROCESS,
	WHO_DEVICE, /* the whole of it */
	WHO_IDLE,
	WHO_OTHER,
	WHO_REST, /* idle and other together */
};

struct phase_table;
struct session_report;

struct record {
	enum record_type type;
	enum record_who who;
	int64_t wall_ns; /* the interval's end, since 1970 UTC */
	uint64_t t_ns;   /* the same, monotonic */
	uint64_t interval_ns;
	enum kind kind;
	const struct domain *domain; /* RECORD_DETAIL */
	pid_t pid;                   /* WHO_PROCESS */
	const char *name;            /* WHO_PROCESS; RECORD_MISSED: NULL if it has ended */
	struct energy energy;
	uint64_t power_uw;
	unsigned flags; /* FLAG_* */
	const char
		*attribution; /* by which rule the energy was given; NULL: it was not shared out */
	const struct session_report *session;
	const struct phase_table *phases;
};

/* Why a process's session ends. */
enum session_ending {
	ENDING_NONE, /* it goes on */
	ENDING_TIME_UP,
	ENDING_STOPPED,     /* by an event that names the process */
	ENDING_PROCESS,     /* the process ended */
	ENDING_TERMINATED,  /* by an event, with everything else */
	ENDING_INTERRUPTED, /* by SIGINT, likewise */
	ENDING_TOLD,        /* by SIGTERM */
};

/* "time is up", "stopped", "the process ended" ... */
const char *session_ending_text(enum session_ending ending);

/* What one kind amounted to in a session. */
struct session_total {
	bool asked;
	bool known; /* measured or estimated; else there was no sensor, or not two readings */
	struct energy energy; /* of the process; of the whole device for GPU and DRAM */
	unsigned flags;
	bool own_known; /* GPU, DRAM: what the process itself used is known, too */
	struct energy own;
};

/* One process in one session. */
struct session_report {
	uint32_t session_id;
	const char *create_ts; /* of the event that asked for it; "" if none did */
	pid_t pid;
	uint64_t start_ticks; /* when it began, since boot: a pid may be given again */
	const char *name;
	uint32_t kinds; /* asked for */
	int64_t start_wall_ns;
	int64_t end_wall_ns;        /* RECORD_END */
	uint64_t measured_ns;       /* RECORD_END: how long it was measured */
	uint64_t cpu_ns;            /* RECORD_END: CPU time that the process used */
	enum session_ending ending; /* RECORD_END */
	struct session_total totals[KIND_COUNT];
};

#endif
