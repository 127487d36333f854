// SPDX-License-Identifier: MIT
/* What a tree needs for the ways to RAPL other than powercap: CPUs, PMUs, registers. */
#ifndef PM_TEST_RAPL_TREE_H
#define PM_TEST_RAPL_TREE_H

#include "powercap_tree.h"

/* Another processor than those of tree_cpu(). */
void tree_model(struct tree *t, const char *vendor, unsigned family, unsigned model);

/* CPUs of a package and die; the list is of the kernel's form, as all lists here. Each CPU is a
 * core of its own. */
void tree_package(struct tree *t, const char *cpus, unsigned package, unsigned die);
void tree_online(struct tree *t, const char *cpus);
/* Two CPUs are threads of a core. */
void tree_siblings(struct tree *t, int cpu, int sibling);

/* A PMU, an event of it in 2^-32 J, and its count on a CPU. */
void tree_pmu(struct tree *t, const char *pmu, const char *cpumask);
void tree_event(struct tree *t, const char *pmu, const char *event, unsigned code);
void tree_count(struct tree *t, const char *pmu, int cpu, const char *event, uint64_t count);

/* The "power" PMU with these events, separated by blanks. */
void tree_power(struct tree *t, const char *cpumask, const char *events);

/* A register of a CPU; those that were put before stay. */
void tree_msr(struct tree *t, int cpu, uint32_t msr, uint64_t value);

/* The names of the open sensor's domains in their order, with blanks between. */
void tree_expect_names(struct tree *t, const char *names);

/* The sensor must refuse with that error and these words; fix NULL: there is none. */
void tree_expect_refusal(struct tree *t, int error, const char *reason, const char *fix);

const struct domain *tree_domain(struct tree *t, const char *name);

#endif
