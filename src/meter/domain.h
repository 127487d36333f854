// SPDX-License-Identifier: MIT
/*
 * What is metered: kind, domain, reading, and how sure a figure is.
 *
 * Units: raw counts are the domain's own; everything above a sensor is cumulative energy in
 * microjoules. Times are CLOCK_MONOTONIC nanoseconds.
 */
#ifndef PM_METER_DOMAIN_H
#define PM_METER_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kind {
	KIND_CPU,
	KIND_DRAM,
	KIND_GPU,
	KIND_PLATFORM, /* the whole machine or board */
	KIND_COUNT,
};

#define KIND_BIT(kind) (1u << (unsigned) (kind))
#define KIND_ALL (KIND_BIT(KIND_COUNT) - 1)

/* "cpu", "dram", "gpu", "platform". */
const char *kind_name(enum kind kind);
/* "CPU", "DRAM", "GPU", "platform": as people write it. */
const char *kind_title(enum kind kind);

/* Whether energy of this kind is shared out by CPU time: CPUs' and memory's is. Of other kinds the
 * CPUs' clocks say nothing, and it is shared out only where a sensor reports who used it. */
bool kind_goes_by_cpu_time(enum kind kind);

/* Why a figure is to be believed, or what is wrong with it: each flag's name and bit. The library's
 * PM_ flags have the same bits (lib/open.c), and so has the Python package (a test compares them).
 *
 *   MEASURED    a hardware counter said so
 *   INTEGRATED  added up from power samples
 *   ESTIMATED   a model said so
 *   GAP         an earlier read failed: the interval is longer than asked
 *   RESET       the counter fell: no energy is known for some of the time
 *   LATE        ticks were missed
 *   TAIL        a process was gone before its last CPU time could be read
 *   DISPUTED    the hardware shows it in two ways that disagree */
#define READING_FLAGS(X) \
	X(MEASURED, 0)   \
	X(INTEGRATED, 1) \
	X(ESTIMATED, 2)  \
	X(GAP, 3)        \
	X(RESET, 4)      \
	X(LATE, 5)       \
	X(TAIL, 6)       \
	X(DISPUTED, 7)

enum reading_flag {
#define FLAG_BIT(name, bit) FLAG_##name = 1 << (bit),
	READING_FLAGS(FLAG_BIT)
#undef FLAG_BIT
};

#define FLAG_QUALITY (FLAG_MEASURED | FLAG_INTEGRATED | FLAG_ESTIMATED)
#define FLAG_COUNT 8

/* The name of one flag: "MEASURED"; index is its bit number, below FLAG_COUNT. */
const char *flag_name(unsigned index);

/* Energy in microjoules: an estimate, and how sure it is. */
struct energy {
	uint64_t uj;
	uint64_t low_uj; /* hard bounds: the truth is in them whatever happened */
	uint64_t high_uj;
	uint64_t sd_uj; /* the standard deviation of what is random in it (energy_interval()) */
};

/* Adds one energy to another: bounds add up, what is random as squares. */
void energy_add(struct energy *sum, struct energy e);

/* In 95 of 100 cases the truth is between these: two standard deviations, within the bounds. */
void energy_interval(struct energy e, uint64_t *ret_low_uj, uint64_t *ret_high_uj);

/* One metered thing. Filled by its sensor's open(), constant from then on. */
struct domain {
	char name[64];  /* "package-0"; unique within its sensor */
	char scope[64]; /* what it covers, for people: "package", "whole board" */
	char id[96];    /* what the hardware calls itself: a GPU's UUID and name; else empty */
	/* From this byte on the id may leave the machine in a copy. What stands before may tell this
	 * device from all others, as a serial number does; unless open() says otherwise, all of it. */
	uint8_t id_public_at;
	char model[96]; /* the model behind an estimate and its bounds; else empty */
	const char *sensor;
	enum kind kind;
	int parent; /* the domain of the same sensor that contains this one, by index; -1: none */
	bool counted; /* part of its kind's sum; false where another domain tells the same (meter/rig.h) */
	bool twin; /* not counted, since another sensor tells of the same */
	/* KIND_BITs: what sensors tell of these kinds is measured in it, too. */
	uint32_t covers;
	bool tells_users;  /* its sensor tells who used it (struct domain_users) */
	bool power_only;   /* the sensor tells power; energy is added up from it */
	uint64_t modulus;  /* raw counts start again at 0 when they reach this; 0: they do not */
	uint64_t unit_num; /* microjoules in one raw count: unit_num / unit_den */
	uint64_t unit_den;
	uint64_t step_uj;   /* the hardware's steps where they are larger than a count; else 0 */
	uint64_t update_ns; /* how often the hardware updates the value; 0: not known */
	bool learns_pace;   /* how old a value can be is learned (meter/pulse.h), not stated */
	uint64_t late_ns;   /* ... and was seen to be at most this at the opening; 0: it was not */
	uint32_t scale_low_ppm;  /* the value may be too high by this part of itself ... */
	uint32_t scale_high_ppm; /* ... or too low by this; 0 where nobody states it */
	uint64_t max_power_mw;   /* more than this cannot be; 0: not known */
	uint64_t
		burst_mw; /* what it may draw for some milliseconds by its own limits; 0: not known */
	unsigned quality; /* FLAG_MEASURED, FLAG_INTEGRATED or FLAG_ESTIMATED */
};

/* Whether the domain is a term of its kind's sum. */
static inline bool domain_adds_to(const struct domain *d, enum kind kind)
{
	return d->counted && d->kind == kind;
}

/* The smallest change that the domain can show, in microjoules and rounded up. */
uint64_t domain_step_uj(const struct domain *d);

/* One instant of one domain. A sensor's read() fills the first part; energy_uj and since_ns are
 * made from it (meter/unwrap.h). */
struct reading {
	int error; /* 0, or -errno (reading_error()): then nothing below counts. -EAGAIN: not read yet */
	unsigned flags;
	uint64_t raw;
	uint64_t power_mw; /* power at t_ns; 0: the sensor does not tell */
	uint64_t t_ns;     /* when the value became true */
	uint64_t t_err_ns; /* it did so within this much of t_ns ... */
	uint64_t stale_ns; /* ... or up to this much before */

	/* When it was looked who uses the domain, and how busy it was from the look before until
	 * then; 0: that is not known. */
	uint64_t looked_ns;
	uint32_t busy_ppm;

	uint64_t energy_uj; /* since since_ns */
	uint64_t since_ns;  /* when counting began; a difference is valid between equal ones only */
};

/* Why a reading failed, in words: of -ESTALE and -EBADMSG what they mean here. */
const char *reading_error(int error);

/* Who used a domain between its sensor's last two looks; others are not known to have. */
#define DOMAIN_MAX_USERS 64

struct domain_users {
	uint64_t looked_ns;
	size_t n;
	struct domain_user {
		int32_t pid;
		uint32_t
			ppm; /* the part of the domain that it kept busy, all the time or now and then */
	} list[DOMAIN_MAX_USERS];
};

/* So many domains at most, of all sensors together, have tells_users. */
#define METER_MAX_USED 16

#endif
