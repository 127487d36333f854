// SPDX-License-Identifier: MIT
/*
 * Who is connected to a listening socket, and a limit on how many may be: each connection takes a file
 * descriptor, which measured processes need, too. The one that was idle longest makes room for a new one;
 * an honest sender's ZeroMQ connects again by itself.
 */
#ifndef PM_EVENTS_CALLERS_H
#define PM_EVENTS_CALLERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* At most this many connections at a time; fewer where the process may open few files. */
#define CALLERS_MAX 1024

struct caller {
	bool connected;
	uint64_t id;       /* never given again; 0 is nobody's */
	uint64_t heard_ns; /* when it connected, or its last message came */
};

struct callers {
	struct caller *by_fd;
	size_t n_fds;
	size_t n; /* connected */
	size_t max;
	uint64_t last_id;
	uint64_t n_closed; /* to make room */
};

/* Sets the limit from CALLERS_MAX and the number of files that the process may open. */
void callers_init(struct callers *c);

/* A connection was made or has closed, as ZeroMQ's monitor reports it. */
void callers_add(struct callers *c, int fd, uint64_t now_ns);
void callers_remove(struct callers *c, int fd);

/* A message came over that connection. Returns the caller's id; 0 where it is not known. */
uint64_t callers_heard(struct callers *c, int fd, uint64_t now_ns);

/* While there are more than the limit: closes those that were idle longest. Returns how many. To be called
 * when all that the monitor has to report was taken, since a descriptor's number is soon used again. */
size_t callers_make_room(struct callers *c);

void callers_finish(struct callers *c);

#endif
