// SPDX-License-Identifier: MIT
/*
 * The plugin: takes events from a bus or from direct callers, measures, logs.
 */
#ifndef PM_DAEMON_PLUGIN_H
#define PM_DAEMON_PLUGIN_H

#include "books/share.h"
#include "events/source.h"
#include "meter/sensor.h"

enum log_format { LOG_FORMAT_README, LOG_FORMAT_CAMERA_TRAPS };

struct plugin_config {
	const struct source_ops *source; /* where events come from */
	const char *address;             /* "tcp://HOST:PORT" */
	const char *publish;             /* see struct source_options */
	const char *name;                /* who this plugin is on the bus */
	const char *uuid;
	enum monitor_types monitor_types;

	const char *log_dir;
	enum log_format log_format;
	bool own_gpu;           /* see struct sink_options */
	uint64_t log_max_bytes; /* 0: never turned over */
	uint64_t sync_ns;       /* how often the logs are brought onto the disk */
	const char *record;     /* NULL: no detailed record */
	const char *phases;     /* the file through which phases are marked; NULL: they are not */

	uint64_t period_ns[KIND_COUNT]; /* between lines */
	enum idle_policy idle;
	bool trees;          /* a pid stands for all its descendants, too */
	const char *root;    /* NULL: this machine */
	const char *sensors; /* NULL: all that fit */
	struct sensor_options sensor_options;

	bool self_test; /* measure this program's own power for 10 s, at once */
};

/* Runs until a signal or a terminate event ends it. Returns the process's exit status: 0 done, 1
 * failed (said in the log). Must be called while the process has one thread. */
int plugin_run(const struct plugin_config *config);

#endif
