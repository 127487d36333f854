// SPDX-License-Identifier: MIT
/*
 * Energy that follows from the CPU time which processes really use. A load is a process and all
 * that it starts; each second on a CPU costs its watts, changed by what else its package does: turbo
 * and the sibling of an SMT pair. What the package uses by itself depends on how busy it is, and
 * drifts.
 *
 * A thread looks at the CPU time once in a step, by perf's task clocks, one for each load and CPU,
 * which are exact at any moment. Between two looks energy grows evenly: that is the truth by
 * definition, since no counter shows a later value than the last look.
 */
#ifndef RAPL_FS_LOADS_H
#define RAPL_FS_LOADS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PACKAGES_MAX 8
#define LOADS_MAX 64
#define NO_PACKAGE SIZE_MAX

enum load_part { LOAD_ALL, LOAD_DYNAMIC };

struct loads;

/* What one load has used up to a time. */
struct load_use {
	pid_t pid;
	uint64_t mw;
	uint64_t cpu_ns;
	uint64_t pj;
};

/* No package, no load, and nobody looks yet. Returns 0 or -ENOMEM. */
int loads_create(struct loads **ret);

/* Stops the thread. Takes NULL. */
void loads_destroy(struct loads *l);

/* Adds a package from its JSON. Returns 0; -EINVAL where that is wrong, with a sentence in error;
 * -ENOSPC. ret: its number. */
int loads_add_package(struct loads *l, const json_t *json, char *error, size_t n, size_t *ret);

/* Begins to look, from start_ns on. drift_phase is random. Returns 0 or -errno. */
int loads_start(struct loads *l, uint64_t start_ns, double drift_phase);

/* Watches a process, which must not have started threads or others yet. Returns 0, or -errno of
 * perf_event_open(); -EEXIST, -ENOSPC. */
int loads_add(struct loads *l, pid_t pid, uint64_t mw);

/* What a package has used since the start. Looks now where t_ns is later than the last look.
 * Returns 0, or -ENODATA where it is in the future or too long ago. */
int loads_energy_pj(
	struct loads *l, size_t package, enum load_part part, uint64_t t_ns, uint64_t *ret);

/* What each load has used up to t_ns; ret has room for LOADS_MAX. Returns how many there are, or
 * -ENODATA as above. */
int loads_use(struct loads *l, uint64_t t_ns, struct load_use *ret);

#endif
