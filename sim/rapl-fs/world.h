// SPDX-License-Identifier: MIT
/*
 * The simulated machine: its zones, what each has used up to a time, and what its counter shows
 * then. Everything follows from CLOCK_MONOTONIC and a seed; only loads bring in what processes did.
 */
#ifndef RAPL_FS_WORLD_H
#define RAPL_FS_WORLD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "curve.h"
#include "loads.h"

#define ZONES_MAX 64
#define TERMS_MAX 16
#define LIMITS_MAX 3
#define FAULTS_MAX 256
#define NO_ZONE SIZE_MAX

/* A part of another zone's energy that is in this one's, as psys contains the packages. */
struct term {
	size_t zone;
	uint64_t ppm;
};

struct limit {
	char name[24];
	uint64_t power_uw, max_uw, window_us;
};

/* How a zone's energy becomes a number in its file. */
struct counter {
	unsigned esu;       /* a count is 2^-esu J */
	unsigned bits;      /* of the register, which starts again at 2^bits */
	uint64_t shown_nj;  /* what the driver takes for a count */
	uint64_t update_ns; /* 0: it moves all the time */
	uint64_t jitter_ns; /* an update comes so much early or late at most */
	uint64_t phase_ns;
	uint64_t start;  /* the count when the file system was mounted */
	uint64_t offset; /* added by jumps */
};

struct zone {
	char control[24]; /* "intel-rapl" */
	char dir[48];     /* "intel-rapl:0:1" */
	char name[32];    /* "dram" */
	size_t parent;    /* NO_ZONE at the top */
	size_t mirror;    /* the zone whose register this one shows, too; NO_ZONE: it has its own */
	unsigned mode;    /* of energy_uj */

	struct curve curve;
	size_t package; /* of the loads; NO_PACKAGE: its energy does not depend on them */
	enum load_part load_part;
	struct term terms[TERMS_MAX];
	size_t n_terms;
	struct limit limits[LIMITS_MAX];
	size_t n_limits;

	struct counter counter;
	uint64_t reads;      /* of energy_uj, with those that failed */
	unsigned generation; /* raised when the zone vanishes: descriptors of before stay dead */
};

enum fault_kind { FAULT_EIO, FAULT_STUCK, FAULT_VANISH, FAULT_JUMP, FAULT_SLOW, FAULT_KINDS };

/* PENDING until its time or its read; ACTIVE until its time or its reads are over; then OVER. */
enum fault_state { FAULT_PENDING, FAULT_ACTIVE, FAULT_OVER };

struct fault {
	enum fault_kind kind;
	enum fault_state state;
	size_t zone;
	uint64_t at_ns;     /* when it begins; UINT64_MAX: at a read */
	uint64_t at_read;   /* the zone's count of reads at which it begins; 0: at a time */
	uint64_t for_ns;    /* UINT64_MAX: for ever */
	uint64_t for_reads; /* 0: by time */

	int error;        /* eio */
	uint64_t slow_ns; /* slow */
	int late;         /* slow: the value is of the read's end 1, its begin 0, by chance -1 */
	bool relative;    /* jump: by, not to */
	uint64_t counts;  /* jump: the new count, or what is added, modulo the register */
	uint64_t frozen;  /* stuck: the count that is shown */

	uint64_t began_ns, began_read, ended_ns;
};

struct world {
	pthread_mutex_t lock; /* of faults and what they change in zones */
	uint64_t seed;
	uint64_t mounted_ns;
	struct zone zones[ZONES_MAX];
	size_t n_zones;
	struct fault faults[FAULTS_MAX];
	size_t n_faults;
	struct loads *loads; /* owned; NULL: no zone depends on loads */
	char refused[160];   /* why the last line in ctl/ was refused; empty: none was */
};

/* Sets the parts that the script does not. Call once all zones are known. */
void world_begin(struct world *w, uint64_t now_ns);

void world_finish(struct world *w);

/* CLOCK_MONOTONIC. */
uint64_t world_now_ns(void);

/* 64 random bits that follow from the seed, a stream and a number. */
uint64_t world_random(const struct world *w, uint64_t stream, uint64_t n);

/* The zone whose directory has this name; NO_ZONE if none has. */
size_t world_find_zone(const struct world *w, const char *dir);

/* What a zone has used from time 0 to t_ns; what depends on loads, since they are watched. Returns
 * 0, or -ENODATA where that is not known, or not any more. */
int world_energy_pj(struct world *w, size_t zone, uint64_t t_ns, u128 *ret);

/* The register at t_ns: as of the last update, without faults. Returns 0 or -ENODATA. */
int world_count(struct world *w, size_t zone, uint64_t t_ns, uint64_t *ret);

/* What the driver shows for a count. */
uint64_t counter_shown_uj(const struct counter *c, uint64_t count);

/* The register's bits. */
static inline uint64_t counter_mask(const struct counter *c)
{
	return c->bits >= 64 ? UINT64_MAX : (UINT64_C(1) << c->bits) - 1;
}

#endif
