// SPDX-License-Identifier: MIT
/* What the benches share: a machine of files, and the median. What fails ends the program. */
#ifndef PM_BENCH_H
#define PM_BENCH_H

#include <stddef.h>

/* A directory with a tree of four RAPL zones; the kernel's own files take about as long again to
 * read. Removed with bench_tree_remove(). */
const char *bench_tree_make(void);
void bench_tree_remove(void);

double bench_median(double *values, size_t n);

#endif
