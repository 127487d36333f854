// SPDX-License-Identifier: MIT
#include "target/pidlist.h"

#include <errno.h>

#include "util/grow.h"

int pid_list_add(struct pid_list *pids, pid_t pid)
{
	pid_t *list = grow_list(pids->list, pids->n, &pids->cap, sizeof(*list));

	if (!list)
		return -ENOMEM;
	pids->list = list;
	pids->list[pids->n++] = pid;
	return 0;
}
