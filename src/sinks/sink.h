// SPDX-License-Identifier: MIT
/*
 * Where records go.
 */
#ifndef PM_SINKS_SINK_H
#define PM_SINKS_SINK_H

#include "session/record.h"

#define SINK_WHY_MAX 256

/* Where a kind's figures come from. */
struct sink_source {
	/* In words: "rapl-powercap", or "estimate, ESTIMATED: " with the model and its bounds; NULL:
	 * there is no sensor for it. */
	const char *text;
	bool simulated;
	const char *known_tool; /* see struct sensor_ops */
};

struct sink_options {
	const char
		*path; /* the directory, or the file of a sink that writes one; "-" is a stream on
			       standard output for the detailed record */
	uint64_t max_bytes; /* a file is turned over when it is longer; 0: never */
	struct sink_source sources[KIND_COUNT];
	/* camera-traps' summary: the GPU's power is the part that the process itself used. */
	bool own_gpu;
};

/* How records are doing: shown in the log. */
struct sink_health {
	int error;        /* of the last flush; 0: all is written */
	uint64_t waiting; /* lines that wait for room */
	uint64_t lost;    /* lines given up */
	bool gone;        /* a stream's reader went away: nothing is written any more */
};

struct sink {
	const struct sink_ops *ops;
	struct sink_options options;
	struct sink_health health;
	bool unused;            /* the program failed to begin: nothing is to look like a result */
	uint32_t types;         /* bits of enum record_type that it wants; set by open() */
	uint64_t wake_every_ns; /* flush() is due this often even without records; 0: it is not */
	void *state;
};

/* Every member is mandatory. */
struct sink_ops {
	const char *name;
	/* Returns 0, or -errno with the reason in words. */
	int (*open)(struct sink *s, char *ret_why, size_t n);
	/* Takes a record, which is borrowed. Must not block. */
	void (*write)(struct sink *s, const struct record *r);
	/* Brings everything into the files; with sync, onto the disk. May block. Returns 0 or
	 * -errno; what could not be written is kept for the next time, up to a limit. */
	int (*flush)(struct sink *s, bool sync);
	/* Turns to new files where the old ones were moved away. */
	int (*reopen)(struct sink *s);
	void (*close)(struct sink *s);
};

extern const struct sink_ops sink_readme;
/* What readers of camera-traps take for its result. */
#define CAMERA_TRAPS_SUMMARY "power_summary_report.json"

extern const struct sink_ops sink_camera_traps;
extern const struct sink_ops sink_camera_traps_report;
extern const struct sink_ops sink_system_csv;
extern const struct sink_ops sink_jsonl;
extern const struct sink_ops sink_phases_json;

#endif
