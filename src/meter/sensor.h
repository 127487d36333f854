// SPDX-License-Identifier: MIT
/*
 * What a sensor backend is. docs/add-a-sensor.md walks through writing one.
 */
#ifndef PM_METER_SENSOR_H
#define PM_METER_SENSOR_H

#include <errno.h>

#include "machine/host.h"
#include "meter/domain.h"

#define SENSOR_MAX_DOMAINS 64

/* Why a sensor cannot be used, and the exact command that would change that. */
struct sensor_why {
	char reason[256];
	char fix[256]; /* empty: nothing does */
	bool absent;   /* a device that was asked for by name or number is not there */
};

/* What the user said about sensors; borrowed for the sensor's life. */
struct sensor_options {
	const char *const *gpus; /* UUIDs or indexes; empty: all */
	size_t n_gpus;
	uint64_t
		idle_mw; /* watts of each CPU for the estimate; full_mw 0: from the model's table */
	uint64_t full_mw;
	const char *file; /* of "NAME:FILE", for a sensor with takes_file; NULL: none was named */
};

struct sensor {
	const struct sensor_ops *ops;
	const struct host *host;
	const struct sensor_options *options;
	void *state;           /* the backend's own, made by open(), freed by close() */
	struct sensor_why why; /* filled by probe() and open() when they fail */

	struct domain domains[SENSOR_MAX_DOMAINS];
	size_t n_domains;
	/* Where domains have tells_users, by domain: made by open(), freed by close(), and brought up to
	 * date by read(), once a second at most. Only polled sensors do that. */
	struct domain_users *users;
	uint64_t period_ns; /* a polled sensor's own period; set by open() */

	uint32_t told;  /* KIND_BITs of what other sensors tell already: a model's open() asks */
	uint32_t kinds; /* KIND_BITs that the next read() is asked for */
	uint64_t next_read_ns; /* a polled sensor's read() may say when it wants the next; else 0 */
};

enum sensor_role {
	SENSOR_HARDWARE,
	SENSOR_MODEL,     /* used where no hardware answers for the CPUs */
	SENSOR_SIMULATED, /* used only when it is named */
};

/* A backend: one static const table at the end of its file. What others must know of a sensor stands
 * here or in its domains: no file but its own knows its name. Mandatory is what comes before group. */
struct sensor_ops {
	const char *name;
	enum sensor_role role;

	/* What it measures where it can be used, for people: "CPU packages; memory where ...". */
	const char *gives;
	/* KIND_BITs of what it is for: where nothing is known of a kind, it is asked why; and those of
	 * them that it measures on every machine where it can be used. */
	uint32_t kinds;
	uint32_t sure_kinds;

	/* Its calls may block, or it tells power only: it is opened and read in a thread of its own
	 * (meter/poller.h), never in a tick. */
	bool polled;

	/* Cheap look whether open() could work. Returns 0, or -errno with s->why filled. */
	int (*probe)(struct sensor *s);

	/* Finds the domains and fills s->domains, s->n_domains and, if polled, s->period_ns.
	 * Returns 0, or -errno with s->why filled; close() is called in both cases. */
	int (*open)(struct sensor *s);

	/* Reads all domains of the kinds asked for into ret[0 .. n_domains): each with its own
	 * error, time and flags; the others get -EAGAIN. Never allocates or logs. Returns 0, or
	 * -errno where nothing at all could be read. */
	int (*read)(struct sensor *s, struct reading *ret);

	/* Gives everything back; takes a sensor whose open() failed half way. */
	void (*close)(struct sensor *s);

	/* Of the backends of one group, which are other ways to the same counters, one
	 * is used: the first that opens and whose counters are seen to move; none of them is
	 * polled. must_move: its counters can be there without counting, so that nothing is
	 * believed of one that stands still. */
	const char *group; /* NULL: of none */
	bool must_move;

	/* It may be named with a file, as NAME:FILE; that is options->file. */
	bool takes_file;

	/* The program known to readers of camera-traps' metadata as what reads these counters; NULL:
	 * the usual one of the kind. */
	const char *known_tool;
};

/* All backends in the order in which they are tried, ended by NULL. */
extern const struct sensor_ops *const sensor_list[];

/* The backend of that name, or NULL. */
const struct sensor_ops *sensor_find(const char *name);

/* Fills s->why from a format; fix may be NULL. Returns error, so that it can end a function. */
__attribute__((format(printf, 4, 5))) int sensor_refuse(
	struct sensor *s, int error, const char *fix, const char *format, ...);

/* Appends an empty domain with safe defaults and the sensor's name; NULL when there are too many. */
struct domain *sensor_add_domain(struct sensor *s);

/* Marks a domain as not asked for in this read. */
static inline bool sensor_skips(const struct sensor *s, size_t i, struct reading *ret)
{
	if (s->kinds & KIND_BIT(s->domains[i].kind))
		return false;
	ret->error = -EAGAIN;
	return true;
}

#endif
