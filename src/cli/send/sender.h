// SPDX-License-Identifier: MIT
/*
 * Sending an event and hearing what becomes of it.
 */
#ifndef PM_CLI_SEND_SENDER_H
#define PM_CLI_SEND_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/clock.h"
#include "events/codec.h"

/* How long an answer is waited for. */
#define SENDER_REPLY_NS (5 * NS_PER_S)

/* Sends an event to a plugin that listens or to an engine's port, and waits for the answer.
 * Returns the exit status: CLI_DONE, or CLI_FAILED after saying why. */
int sender_send(const char *command, const char *to, const struct wire_event *event);

/* Binds the socket on which a plugin on this machine will tell of an event (daemon/waiter.h), and
 * makes the event's time stamp for it: one that somebody else waits for already is made a
 * microsecond later. Returns the descriptor or -errno. */
int sender_bind_waiter(char *ret_created, size_t n);

/* Receives one word of the plugin; false when that time has come (UINT64_MAX: never). */
bool sender_hear(int fd, uint64_t until_ns, char *ret, size_t n);

/* If the word begins like this, what follows; else NULL. */
const char *sender_word(const char *text, const char *head);

#endif
