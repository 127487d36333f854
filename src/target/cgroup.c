// SPDX-License-Identifier: MIT
/* A control group as a target: the kernel counts the CPU time of all that ever ran in it. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include "machine/clock.h"
#include "target/target.h"
#include "target/cgroupfs.h"
#include "util/cleanup.h"

static void group_read(struct target *t, uint64_t now_ns, struct usage *ret)
{
	uint64_t cpu_ns;

	if (t->ended) {
		*ret = t->last;
		return;
	}
	if (cgroup_read_ns(t->usage_fd, &cpu_ns) == 0) {
		if (cpu_ns > t->last_cpu_ns)
			t->last_cpu_ns = cpu_ns;
		t->last = (struct usage) { .slot = t->slot, .cpu_ns = t->last_cpu_ns };
		t->last_read_ns = now_ns;
	} else {
		/* It was removed. */
		t->ended = true;
		t->last = (struct usage) { .slot = t->slot,
			.flags = USAGE_ENDED | USAGE_TAIL,
			.cpu_ns = t->last_cpu_ns,
			.tail_ns = now_ns - t->last_read_ns };
	}
	*ret = t->last;
}

static bool group_has(const struct target *t, pid_t pid)
{
	return cgroup_has(t->usage_fd, pid);
}

static void group_close(struct target *t)
{
	close_fd(&t->usage_fd);
}

static const struct target_ops group_ops = {
	.name = "cgroup",
	.read = group_read,
	.read_last = group_read,
	.has = group_has,
	.close = group_close,
};

int target_open_cgroup(struct target *t, const char *group)
{
	int fd = cgroup_open_usage(group);
	int r = 0;

	if (fd < 0)
		return fd;
	*t = (struct target) { .ops = &group_ops, .exit_fd = -1, .usage_fd = fd };
	snprintf(t->name, sizeof(t->name), "%s", group);
	r = cgroup_read_ns(fd, &t->last_cpu_ns);
	if (r < 0)
		target_close(t);
	t->last_read_ns = clock_mono_ns(&clock_system);
	return r;
}
