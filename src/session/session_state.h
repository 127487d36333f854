// SPDX-License-Identifier: MIT
/*
 * What is kept of the sessions, for session/session*.c alone.
 *
 *   session.c          making and ending sessions
 *   session_start.c    whether a request can be done, and its beginning
 *   session_enter.c    what a snapshot begins and ends
 *   session_targets.c  the processes that are watched
 *   session_lines.c    when lines are written
 *   session_records.c  what is written
 *   session_phases.c   phases that the processes mark
 *   session_twins.c    whether sensors of the same thing tell the same
 */
#ifndef PM_SESSION_SESSION_STATE_H
#define PM_SESSION_SESSION_STATE_H

#include "session/lines.h"
#include "phases/phase_table.h"
#include "session/session.h"

/* So many phases that a thread has on are on in a session that begins meanwhile. */
#define SESSION_OPEN_PHASES 14

/* An ordinal that is not known yet: the edge is about to be ordered. No snapshot has it behind it. */
#define ORDINAL_PENDING UINT64_MAX

/* A process that at least one session wants. */
struct watched {
	uint32_t slot;
	pid_t pid;
	uint64_t start_ticks;
	char name[64];
	bool named_again;      /* since the session began; a program may be started after that */
	struct target *target; /* until it is handed to the sampling */
	uint64_t ordinal;      /* usages in snapshots before this one are an earlier target's */
	unsigned kept_threads; /* perf clocks that keep its last CPU time */
	unsigned n_members;    /* of sessions */
	bool ended;

	struct account_mark *line_mark; /* its line of CPU power; NULL: none is written */
	struct line_clock line;
};

struct member {
	struct watched *watched; /* NULL: it ended */
	struct account_mark *mark;
	struct phase_meter *phases; /* NULL: they are not asked for */
	struct phase_troubles troubles_before;
	/* It ends with the first snapshot that has this behind it; 0: no. */
	uint64_t stop_ordinal;
	enum session_ending stop_why;
	enum session_ending ending; /* set while the snapshot that ends it is worked on */
};

enum session_state { SESSION_SCHEDULED, SESSION_BEGINNING, SESSION_ACTIVE };

struct session {
	uint32_t id;
	enum session_state state;
	uint64_t sender; /* as in struct request */
	char create_ts[REQUEST_TS_MAX];
	uint32_t kinds;
	int64_t start_wall_ns;
	uint64_t duration_ns; /* 0: until stopped */
	uint64_t begin_ordinal;
	uint64_t start_ns;
	uint64_t end_ns; /* 0: not known */
	size_t n_members;
	struct member members[];
};

struct device_line {
	struct account_mark *mark; /* NULL: none is written */
	struct line_clock line;
};

struct session_set {
	struct session_options options;
	struct session_hooks hooks;
	struct account *account;
	struct session *list[SESSIONS_MAX];
	size_t n;
	struct watched **watched; /* by slot; NULL: free */
	uint32_t n_slots;
	size_t n_watched;
	unsigned kept_threads;
	bool told_inexact; /* that trees are counted from /proc */
	uint32_t next_id;
	uint32_t have;   /* kinds that a sensor tells */
	uint32_t wanted; /* as last told to the sampling */
	uint64_t last_edge;
	struct device_line devices[KIND_COUNT];
	struct account_mark *twins_mark; /* where the comparison of sensors begins; NULL: not yet */
	uint64_t twins_since_ns;
	bool twins_compared;
	uint64_t phases_since_ns; /* the channel is read since then; 0: it is not */
	struct watched *phase_owners[PHASES_MAX_THREADS]; /* whose a thread is; NULL: not known */
	struct open_phases {
		int32_t pid;
		uint32_t n;
		uint32_t names[SESSION_OPEN_PHASES];
	} open_phases[PHASES_MAX_THREADS]; /* of each thread, as far as markers were read */
	int64_t wall_offset_ns; /* wall time less monotonic time, for the snapshot being worked on */
};

/* Tells the user. */
__attribute__((format(printf, 3, 4))) void session_set_say(
	struct session_set *ss, enum session_severity severity, const char *format, ...);

static inline const struct domain *session_set_domain(const struct session_set *ss, size_t d)
{
	return ss->options.domains[d];
}

/* Asks the sampling for a snapshot now; it is the one with ss->last_edge behind it. */
void session_set_order_edge(struct session_set *ss);

/* Tells the sampling which kinds are needed, if that has changed. */
void session_set_update_wanted(struct session_set *ss);

/* Whether one of its processes is still to end. */
bool session_is_live(const struct session *s);

/* Takes ss->list[index] out and frees it, without a word. */
void session_set_remove(struct session_set *ss, size_t index);

#endif
