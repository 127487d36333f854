// SPDX-License-Identifier: MIT
/*
 * From a message to a request: the form is checked by the codec, the sense here.
 */
#ifndef PM_EVENTS_EVENT_H
#define PM_EVENTS_EVENT_H

#include "events/codec.h"
#include "events/source.h"

/* The kinds that a monitor type stands for, as KIND_BITs; 0 for a number that nobody knows. */
uint32_t monitor_type_kinds(int type, enum monitor_types numbering);

/* The number to send for "all", "cpu", "gpu", "dram" or a number as it stands: up to three, since
 * one of the numberings has no number for all. Returns how many, or -EINVAL. */
int monitor_type_parse(const char *name, enum monitor_types numbering, int8_t ret[3]);

/* Decodes a message as it came, of any alignment. Returns 0; -EBADMSG with the reason if it is no
 * event or makes no sense; -ENOMSG, also with a reason, if it is a good event of no interest.
 * ret->create_ts is set in any case: "" if the message did not get as far. */
int event_decode(const void *message, size_t n, enum monitor_types numbering, struct request *ret,
	char *ret_why, size_t why_size);

/* Decodes a message from an engine, which is told nothing of what becomes of it, and hands the event
 * to the source's owner; those for other plugins are not worth a word. `room` is the source's own.
 * Returns whether it tells this plugin to end. */
bool event_take(struct source *s, struct request *room, const void *message, size_t n);

#define EVENT_ABOUT_SELF_MAX 1024

/* Makes the event in which a plugin says that it has begun or is about to end. Returns the message's
 * length or -EMSGSIZE. */
int event_about_self(const struct source_options *self, enum wire_type type, void *ret, size_t max);

/* Whether a terminate event is for the plugin of that name and uuid. */
bool event_is_for(const struct request *event, const char *name, const char *uuid);

#endif
