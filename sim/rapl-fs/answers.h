// SPDX-License-Identifier: MIT
/* The texts of the files that tell about the simulated machine: the truth, and what faults do. Each
 * returns a string that the caller frees, or NULL with errno set. */
#ifndef RAPL_FS_ANSWERS_H
#define RAPL_FS_ANSWERS_H

#include "world.h"

/* truth/T: {"t_ns": T, "zones": {"intel-rapl:0": {"name": ..., "pj": N, "count": N}, ...},
 * "loads": [{"pid", "mw", "cpu_ns", "pj"}, ...]}. pj is what the zone has really used since time 0
 * (what depends on loads: since it was mounted), in integer picojoules; count is the register's
 * value, without stuck, jump and the like. */
char *answer_truth(struct world *w, uint64_t t_ns);

/* ctl/status: {"now_ns", "mounted_ns", "seed", "refused", "zones": {"intel-rapl:0": {"reads",
 * "generation"}}, "faults": [{"what", "zone", "state", "began_ns", "ended_ns"}, ...]} */
char *answer_status(struct world *w);

#endif
