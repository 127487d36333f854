// SPDX-License-Identifier: MIT
/*
 * What camera-traps' summary adds up: sessions of a process may overlap, and so may the processes of
 * a plugin, but each moment counts once.
 */
#ifndef PM_SINKS_CAMERA_TRAPS_SUMS_H
#define PM_SINKS_CAMERA_TRAPS_SUMS_H

#include "session/record.h"

/* A process that has gone is listed as long as there is room. */
#define SUMS_MAX_PROCESSES 4096

/* Names that are no plugin's come from whoever is measured. */
#define SUMS_MAX_PLUGINS 128

struct stretch {
	uint64_t from_ns;
	uint64_t to_ns;
	struct energy energy;
};

/* Energy over stretches of time. They must be added in the order in which they end; one that holds
 * earlier ones takes their place, and of one that overlaps another the part beyond it counts. */
struct cover {
	struct stretch *list;
	size_t n;
	size_t cap;
	/* What no later stretch can overlap. */
	uint64_t settled_ns;
	struct energy settled;
	unsigned flags; /* of all that was added */
};

int cover_add(struct cover *c, const struct stretch *s, unsigned flags);
void cover_settle(struct cover *c);
uint64_t cover_total(const struct cover *c, struct energy *ret); /* returns the time */
void cover_finish(struct cover *c);

/* What one kind of device amounted to. */
struct kind_sum {
	struct cover whole; /* CPU: of the process; else of the device */
	struct cover own;   /* else: of the process, where that is known */
};

/* All processes of one name. */
struct plugin_sum {
	char name[64];
	bool known; /* one of the names that the readers know */
	char *command_line;
	uint32_t kinds;
	size_t n_open; /* sessions */
	/* Times, and for devices their energy; what processes used is added up from them. */
	struct cover cover[KIND_COUNT];
	/* Of processes that are not listed any more. */
	struct energy forgotten[KIND_COUNT];
	struct energy forgotten_own[KIND_COUNT];
	size_t n_forgotten;
	uint64_t forgotten_samples;
};

/* All sessions of one process. */
struct process_sum {
	pid_t pid;
	uint64_t start_ticks;
	bool pid_again; /* an earlier process of the same plugin had this pid */
	size_t plugin;  /* its index */
	uint32_t kinds;
	int64_t start_wall_ns;
	int64_t end_wall_ns; /* 0: still under way */
	size_t n_open;
	uint64_t samples;
	struct kind_sum sums[KIND_COUNT];
};

struct sums {
	struct process_sum *processes;
	size_t n;
	size_t cap;
	struct plugin_sum *plugins;
	size_t n_plugins;
	size_t cap_plugins;
};

/* The process of that report; made if it is not there yet, which ret_new tells. NULL: no memory. */
struct process_sum *sums_process(
	struct sums *s, const struct session_report *report, bool *ret_new);

/* Gives a new process its name. Takes the command line. Returns 0 or -ENOMEM. */
int sums_name(
	struct sums *s, struct process_sum *p, const char *name, bool known, char *command_line);

void sums_begin(struct sums *s, struct process_sum *p, const struct session_report *report);
/* t_ns: the session's end. Returns 0 or -ENOMEM. */
int sums_end(
	struct sums *s, struct process_sum *p, const struct session_report *report, uint64_t t_ns);

/* A line of the process with that pid was written. */
void sums_sample(struct sums *s, pid_t pid);

/* What one kind amounted to for a process, or for a whole plugin. */
struct amount {
	bool known;
	uint64_t ns;
	struct energy energy; /* CPU: its own; else the device's */
	bool own_known;
	struct energy own;
	unsigned flags;
};

void sums_of_process(const struct process_sum *p, enum kind kind, struct amount *ret);
void sums_of_plugin(const struct sums *s, size_t plugin, enum kind kind, struct amount *ret);

void sums_finish(struct sums *s);

#endif
