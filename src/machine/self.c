// SPDX-License-Identifier: MIT
#include "machine/self.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

bool self_has_machine_pids(void)
{
	char text[64];
	ssize_t n = readlink("/proc/self/ns/pid", text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	/* The kernel's number for the first namespace: PROC_PID_INIT_INO. */
	return strcmp(text, "pid:[4026531836]") == 0;
}
