// SPDX-License-Identifier: MIT
/*
 * How a sender on the same machine learns what became of its event, which the event bus has no
 * message for: it binds a socket whose name is made of the event's time stamp, and whoever works
 * on the event sends a few words there. Nobody listening costs one failed system call.
 *
 * Abstract UNIX datagrams, "powermeasure/" and the time stamp; one message each:
 *   "accepted N"   N processes are measured: as many endings will follow
 *   "refused WHY"  nothing is measured
 *   "ended TEXT"   one process's totals
 */
#ifndef PM_DAEMON_WAITER_H
#define PM_DAEMON_WAITER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#define WAITER_ACCEPTED "accepted "
#define WAITER_REFUSED "refused "
#define WAITER_ENDED "ended "

/* Makes the address; false for a time stamp that is empty or too long. */
bool waiter_address(const char *create_ts, struct sockaddr_un *ret, socklen_t *ret_n);

/* Sends words to whoever waits, if anybody. fd is an unbound datagram socket. */
__attribute__((format(printf, 4, 5))) void waiter_tell(
	int fd, const char *create_ts, const char *what, const char *format, ...);

#endif
