// SPDX-License-Identifier: MIT
/*
 * The sensors that were chosen and opened on a host, their domains in one row, and the state that
 * turns their readings into energy. One thread uses a rig.
 */
#ifndef PM_METER_RIG_H
#define PM_METER_RIG_H

#include "machine/host.h"
#include "meter/domain.h"
#include "meter/sensor.h"

#define RIG_MAX_SENSORS 16
#define RIG_MAX_DOMAINS 128

/* What became of one backend: rig_open() keeps these for "list" and for messages. */
struct rig_verdict {
	const struct sensor_ops *ops;
	int error;  /* 0: usable; -ECANCELED: not tried, because it was not asked for; -EAGAIN: not
		      tried, because no thread was allowed for it */
	bool used;  /* opened, its domains are in the rig */
	bool spare; /* another one that measures the same is used */
	size_t n_domains;
	struct sensor_why why; /* where it is not usable or not used, or some of it is not */
};

struct rig_options {
	const char *sensors; /* names with commas, in the order to try; NULL: all that fit */
	const struct sensor_options *sensor; /* borrowed */
	uint64_t open_timeout_ns;            /* for drivers that may hang; 0: ten seconds */
	bool no_threads;                     /* polled sensors are not opened */
};

struct rig;

/* Probes and opens sensors. Without a list every backend that is not simulated is tried, and the
 * model only where no hardware tells the CPUs' energy. Of a group (sensor.h) one is used; of several
 * sensors that tell of the CPUs, the memory or the whole machine, the domains of the first count. h and o->sensor must live as long as the
 * rig. Always gives a rig, perhaps without domains, so that the verdicts can be shown.
 * Returns 0, -ENOMEM, or -EINVAL for a name that is no backend's (*ret_bad_name is then set). */
int rig_open(
	struct rig **ret, struct host *h, const struct rig_options *o, const char **ret_bad_name);

/* The machine that it was opened on. */
const struct host *rig_host(const struct rig *rig);

size_t rig_n_domains(const struct rig *rig);
const struct domain *rig_domain(const struct rig *rig, size_t i);
const struct domain *const *rig_domains(const struct rig *rig); /* all of them, in one row */

/* Where the domain's sensor's domains begin: domain.parent counts from there. */
int rig_parent(const struct rig *rig, size_t i);

/* "measured", "integrated" from power, "estimated" or "simulated". */
const char *rig_quality_name(const struct domain *d);

/* Whether what a domain measures is part of what another one does. */
bool rig_contains(const struct rig *rig, size_t outer, size_t inner);

/* Whether a domain is a term of the machine's sum: it counts and is known, and is in no other one that
 * is known. known[0 .. rig_n_domains). */
bool rig_is_outermost(const struct rig *rig, const bool *known, size_t i);

size_t rig_n_verdicts(const struct rig *rig);
const struct rig_verdict *rig_verdict(const struct rig *rig, size_t i);

/* Why a device that was asked for is not there, like a GPU of that number; NULL: all are. */
const char *rig_absent(const struct rig *rig);

/* Whether the backend of that name makes its figures up. */
bool rig_is_simulated(const char *sensor);

/* Whether anything is measured, and not only estimated. */
bool rig_measures(const struct rig *rig);

/* The kinds that at least one counted domain has, as KIND_BITs. */
uint32_t rig_kinds(const struct rig *rig);

/* Says which kinds will be read. Counting begins anew for a kind that was not wanted before, and
 * polled sensors run while one of their kinds is wanted. */
void rig_want(struct rig *rig, uint32_t kinds);

/* Reads the domains of the given kinds into ret[0 .. rig_n_domains), the others get -EAGAIN. No
 * allocation. host_usage must be up to date, for the model lives on it. */
void rig_read(struct rig *rig, uint32_t kinds, struct reading *ret);

/* Who used a domain that has tells_users, as of its reading's looked_ns or later. */
void rig_users(struct rig *rig, size_t i, struct domain_users *ret);

/* Closes everything; false where a driver call hangs and its thread was left behind after
 * timeout_ns. The host must then stay until the process ends. Takes NULL. */
bool rig_close(struct rig *rig, uint64_t timeout_ns);

#endif
