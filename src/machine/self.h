// SPDX-License-Identifier: MIT
/* This program itself, for messages that tell what to type. */
#ifndef PM_MACHINE_SELF_H
#define PM_MACHINE_SELF_H

#include <stddef.h>

/* The path of the running program's file; "powermeasure" where the kernel does not tell. */
void self_path(char *ret, size_t n);

/* Whether this looks like the inside of a container (Docker, Podman, Kubernetes, LXC). */
_Bool self_in_container(void);

/* Whether pids are the machine's own here, and not a PID namespace's. */
_Bool self_has_machine_pids(void);

#endif
