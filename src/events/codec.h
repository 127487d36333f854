// SPDX-License-Identifier: MIT
/*
 * The wire format: two prefix bytes and a FlatBuffers buffer (docs/protocol.md). The C face of the
 * one C++ file, which wraps the generated reader and its verifier.
 */
#ifndef PM_EVENTS_CODEC_H
#define PM_EVENTS_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "events/source.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Values of the union, which is what tells an event; the prefix only routes it. */
enum wire_type {
	WIRE_NEW_IMAGE = 1,
	WIRE_IMAGE_RECEIVED,
	WIRE_IMAGE_SCORED,
	WIRE_IMAGE_STORED,
	WIRE_IMAGE_DELETED,
	WIRE_PLUGIN_STARTED,
	WIRE_PLUGIN_TERMINATING,
	WIRE_PLUGIN_TERMINATE,
	WIRE_MONITOR_START,
	WIRE_MONITOR_STOP,
	WIRE_TYPE_COUNT,
};

/* A string of the message; not terminated, valid as long as the message. */
struct wire_text {
	const char *at;
	size_t n;
};

/* The fields of the events of interest, still unchecked as to their sense. */
struct wire_event {
	enum wire_type type;
	struct wire_text create_ts;
	struct wire_text start_ts;
	struct wire_text name;
	struct wire_text uuid;
	const int32_t *pids; /* in the byte order of the machine */
	size_t n_pids;
	const int8_t *types;
	size_t n_types;
	uint32_t seconds;
};

/* Verifies and reads a message. `aligned` is the message copied so that its third byte, where the
 * FlatBuffers buffer begins, is aligned to 8; n counts the two prefix bytes. Returns 0, or -EBADMSG
 * with the reason. */
int codec_decode(
	const void *aligned, size_t n, struct wire_event *ret, char *ret_why, size_t why_size);

/* Encodes an event of one of the four types that are sent: PLUGIN_STARTED, PLUGIN_TERMINATING,
 * PLUGIN_TERMINATE, MONITOR_START, MONITOR_STOP. Returns the message's length, at most max, or
 * -EMSGSIZE. */
int codec_encode(const struct wire_event *event, void *ret, size_t max);

/* The first of the two bytes by which the bus routes events of that type; the second is 0. */
unsigned char codec_prefix(enum wire_type type);

/* "MonitorPowerStartEvent". */
const char *codec_type_name(enum wire_type type);

#ifdef __cplusplus
}
#endif

#endif
