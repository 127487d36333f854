// SPDX-License-Identifier: MIT
#include "util/self.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void self_path(char *ret, size_t n)
{
	ssize_t len = readlink("/proc/self/exe", ret, n - 1);

	if (len < 0)
		snprintf(ret, n, "powermeasure");
	else
		ret[len] = '\0';
}

bool self_in_container(void)
{
	return access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0 ||
		getenv("KUBERNETES_SERVICE_HOST") || getenv("container");
}
