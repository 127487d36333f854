// SPDX-License-Identifier: MIT
/*
 * Phases that a program marked, and the energy that was used while they were on: arithmetic alone.
 *
 * Readings of cumulative energy come every now and then, markers at any time. Between two readings
 * nobody knows when the energy was used; what is known is that it was not negative, and how much a
 * domain can use at most. So for each name
 *
 *   - what was used between two readings that the phase was on for wholly is the phase's;
 *   - of an interval that it was on for in part, everything from as much as the rest of the time
 *     cannot have used, up to as much as the phase's time can: these are the bounds;
 *   - the estimate goes by time; where the neighbouring intervals lie wholly within or without the
 *     phase, by the power in these.
 *
 * A reading's own time is known within t_err_ns: an interval reaches that far beyond its ends.
 *
 * A name's phases are one set of times: where several are on at once, in threads or nested, the time
 * and its energy count once. What is on within another name's phase counts for both.
 *
 * What was taken in is settled after PHASES_WAIT_NS, and then given up: memory does not grow with
 * time.
 */
#ifndef PM_PHASES_PHASES_H
#define PM_PHASES_PHASES_H

#include "meter/domain.h"

#define PHASES_MAX_NAMES 256
#define PHASES_MAX_THREADS 512
#define PHASES_NO_NAME UINT32_MAX

/* A marker may be seen so much later than its time says: whoever wrote it was kept from running
 * between taking the time and telling it. */
#define PHASES_WAIT_NS UINT64_C(200000000)

enum phase_mark {
	PHASE_BEGIN,
	PHASE_END,
	PHASE_GONE, /* the thread ended, or some of its markers are lost: what it has open ends */
};

struct phase_marker {
	enum phase_mark what;
	uint32_t thread; /* below PHASES_MAX_THREADS; free for another one after PHASE_GONE */
	uint32_t name;   /* below PHASES_MAX_NAMES */
	int32_t pid;     /* whose thread it is; 0: not known */
	uint64_t t_ns;
};

/* What is read of one cumulative energy, a track. */
struct phase_track {
	uint64_t max_power_mw; /* more cannot be; 0: not known */
	uint32_t scale_low_ppm;
	uint32_t scale_high_ppm;
};

struct phase_point {
	uint64_t t_ns;
	uint64_t t_err_ns; /* the value became true within this of t_ns */
	uint64_t uj;       /* cumulative */
	uint64_t doubt_uj; /* it may be off by this */
	unsigned flags;    /* FLAG_*, of the interval that ends here */
};

struct phase_energy {
	bool known; /* the track was read around a part of it */
	bool any;   /* of a sum: something was added */
	struct energy energy;
	/* The same bounds as if the sensor's scale were exact: what the times leave open. */
	uint64_t least_uj;
	uint64_t most_uj;
	unsigned flags;
};

struct phase_figures {
	uint32_t name;
	uint64_t count;
	uint64_t unfinished; /* of these: they lasted until their thread or the measuring ended */
	uint64_t stray_ends; /* without a beginning; not counted */
	uint64_t on_ns;      /* time that at least one was on */
	uint64_t sum_ns;     /* of each one's own time */
};

/* What went wrong with markers. */
struct phase_troubles {
	uint64_t lost;      /* were overwritten before they were read, or there was no room */
	uint64_t rubbish;   /* make no sense */
	uint64_t refused;   /* threads that found no ring */
	uint64_t cut;       /* names that were cut to 63 bytes */
	uint64_t unnamed;   /* markers of too many names */
	uint64_t late;      /* came too late and were moved to when they could still count */
	uint64_t misnested; /* ends of a phase while one that began later was on */
	uint64_t stray_ends;
	uint64_t unfinished;
};

struct phases;

/* The measuring begins at begin_ns: what is on already counts from then, and what was on before, for
 * whoever hands in its markers, does not. Returns 0 or -ENOMEM. */
int phases_create(
	struct phases **ret, const struct phase_track *tracks, size_t n_tracks, uint64_t begin_ns);
void phases_destroy(struct phases *p);

void phases_mark(struct phases *p, const struct phase_marker *m);

/* A new reading of a track; one that is not later than the last is none. */
void phases_point(struct phases *p, size_t track, const struct phase_point *point);

/* To be called now and then, when markers and readings up to now_ns are in. */
void phases_settle(struct phases *p, uint64_t now_ns);

/* The measuring ends: all is settled. Nothing may come after this. */
void phases_finish(struct phases *p, uint64_t end_ns);

/* After phases_finish(). Returns how many names there were, in ret[0 .. n) in the order of their
 * first marker. */
size_t phases_list(const struct phases *p, struct phase_figures ret[PHASES_MAX_NAMES]);
void phases_energy(const struct phases *p, uint32_t name, size_t track, struct phase_energy *ret);
void phases_troubles(const struct phases *p, struct phase_troubles *ret);

/* Adds what another track has of the same. */
void phase_energy_add(struct phase_energy *sum, const struct phase_energy *e);

/* Whether the times leave more open than the figure itself: then it is none. */
static inline bool phase_is_too_short(const struct phase_energy *e)
{
	uint64_t open_uj = e->most_uj - e->least_uj;

	return open_uj > e->energy.uj || open_uj > (e->least_uj + e->most_uj) / 2;
}

#endif
