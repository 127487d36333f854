// SPDX-License-Identifier: MIT
/*
 * The script: a JSON object, which a typing error makes invalid, for unknown keys are refused.
 *
 *   { "seed": 1,             all that is random follows from it
 *     "update_ms": 1,        how often counters are updated; 0: they move all the time
 *     "jitter_us": 0,        how far an update may be off
 *     "mode": "0400",        of energy_uj
 *     "files": { "/proc/cpuinfo": "..." },   in place of this machine's, or further ones
 *     "faults": [ "eio intel-rapl:0 at=1 for=2" ],         as in fault.h, times from mounting on
 *     "zones": [ { "name": "package-0",
 *                  "curve": [[1.0, 20], [0.5, 60]],        seconds and watts, repeated for ever
 *                  "loads": { "idle_w": 8 },               and what loads use: loads.h
 *                  "sum": { "intel-rapl:0": 1.25 },        and parts of zones before this one
 *                  "esu": 14, "bits": 32, "shown_nj": 61035,
 *                  "start": 4294000000,                    the count at mounting; else by chance
 *                  "limits": [ { "name": "long_term", "watts": 65, "max_watts": 65,
 *                                "window_s": 28 } ],
 *                  "parts": [ { "name": "core", ... } ] } ] }
 *
 * A zone has a curve, loads or a sum, or several of these; or "mirror": "intel-rapl:0" for one that
 * shows the register of a zone before it. It may have "update_ms", "jitter_us" and "mode" of its
 * own, and at the top "control": "intel-rapl-mmio". In "loads": idle_loaded_w, the idle power of a
 * busy package; turbo; smt; drift and drift_s; cpus; siblings, pairs of CPUs. A part of such a zone
 * may say "loads": "dynamic": what the loads used, without idle power.
 */
#ifndef RAPL_FS_SCRIPT_H
#define RAPL_FS_SCRIPT_H

#include "world.h"

struct script {
	json_t *json;   /* owned */
	json_t *files;  /* in it: path to text; NULL */
	json_t *faults; /* in it: array of lines; NULL */
};

/* Fills a zeroed world. Returns 0, or -EINVAL, -ENOMEM, with a sentence in error. */
int script_load(const char *path, struct world *w, struct script *ret, char *error, size_t n);

/* Adds the script's faults to a world that has begun. Returns 0, or -EINVAL with the reason in
 * w->refused. */
int script_add_faults(const struct script *s, struct world *w, uint64_t now_ns);

void script_finish(struct script *s);

#endif
