// SPDX-License-Identifier: MIT
/*
 * What becomes of the books' figures: lines, totals, and the slices of the detailed record, handed
 * over as records.
 */
#ifndef PM_SESSION_SESSION_RECORDS_H
#define PM_SESSION_SESSION_RECORDS_H

#include "session/session_state.h"

/* The wall time of a monotonic one, as the clocks stood at the last snapshot. */
int64_t session_set_wall_ns(const struct session_set *ss, uint64_t t_ns);

/* Writes one line, of a process or (w is NULL) of a kind's devices, if the span since the mark is
 * whole. A span with a hole in it writes none, and the next begins behind the hole. Returns whether
 * the mark was used up. */
bool session_write_line(struct session_set *ss, const struct account_mark *mark,
	const struct watched *w, enum kind kind, uint64_t t_ns);

/* Writes that a session begins (RECORD_BEGIN) with one of its processes, or ends and with which
 * totals (RECORD_END). */
void session_write_report(struct session_set *ss, const struct session *s, const struct member *m,
	enum record_type type, uint64_t t_ns);

/* Writes that a process was not measured for the time that the event which asked for it had waited. name:
 * NULL where it has ended. */
void session_write_missed(
	struct session_set *ss, const struct request *request, pid_t pid, const char *name);

/* The books' listener for slices; ctx is the struct session_set. Writes one record for each part. */
void session_write_slice(void *ctx, const struct slice *slice);

/* What was used in its phases, after RECORD_END. */
void session_write_phases(struct session_set *ss, const struct session *s, const struct member *m,
	const struct phase_table *phases, uint64_t t_ns);

#endif
