// SPDX-License-Identifier: MIT
/*
 * Where requests come from. A source yields events; nothing behind this header knows sockets or
 * FlatBuffers.
 */
#ifndef PM_EVENTS_SOURCE_H
#define PM_EVENTS_SOURCE_H

#include "session/request.h"

#define EVENT_MAX_TYPES 64

/* The largest message that is looked at; events for this program are below 10 KiB. */
#define EVENT_MAX_BYTES (1024 * 1024)

/* Two numberings of what to monitor are in use, and the wire does not tell which. */
enum monitor_types {
	MONITOR_TYPES_README, /* 0 CPU and GPU, 1 CPU, 2 GPU, 3 and 4 DRAM */
	MONITOR_TYPES_EVENTS, /* 0 CPU and GPU, 1 all, 2 CPU, 3 GPU, 4 DRAM */
};

/* What a source asks of its owner. */
struct source_owner {
	/* Whether the event can be done. Returns 0, or -errno with the reason in ret_why. A
	 * terminate event comes only if it is for this plugin; nothing comes after it. */
	int (*take)(void *ctx, const struct request *event, char *ret_why, size_t n);
	/* A message was refused before it became an event. create_ts: by which its sender may know
	 * it, as in struct request; "" where the message did not get as far. */
	void (*refused)(void *ctx, const char *create_ts, const char *why);
	/* Something that the user should know, once: not connected, connected again. */
	void (*say)(void *ctx, bool bad, const char *text);
	void *ctx;
};

struct source_options {
	const char *address; /* "tcp://HOST:PORT" */
	const char *publish; /* where an engine takes what plugins publish; NULL: not known */
	enum monitor_types monitor_types;
	const char *plugin_name; /* who this plugin is on the bus */
	const char *plugin_uuid;
};

struct source {
	const struct source_ops *ops;
	struct source_options options;
	struct source_owner owner;
	void *state;

	int fd; /* readable when there is something to do; the same from open() to close() */
};

/* Every member is mandatory. */
struct source_ops {
	const char *name;
	/* Returns 0, or -errno with the reason. Fills s->fd. */
	int (*open)(struct source *s, char *ret_why, size_t n);
	/* Something is readable: takes all that is there and answers it. */
	void (*work)(struct source *s);
	/* Says goodbye, in the source's way, within timeout_ms. */
	void (*leave)(struct source *s, int timeout_ms);
	/* The program cannot start, and open() was not called or has failed: tells whoever waits for this
	 * plugin, within timeout_ms. Reads s->options alone. */
	void (*excuse)(const struct source_options *options, int timeout_ms);
	void (*close)(struct source *s);
};

extern const struct source_ops source_listen;
extern const struct source_ops source_engine;
extern const struct source_ops source_pubsub;

#endif
