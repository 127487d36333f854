// SPDX-License-Identifier: MIT
#include "util/asuser.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* CAP_PERFMON, of Linux 5.8: headers may be older than the kernel. */
#define CAPABILITY_PERFMON 38

/* Of this thread; the C library has no call for it. */
static int set_effective(const struct __user_cap_data_struct *data)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

static int open_file(const char *path, int flags, mode_t mode)
{
	int fd = open(path, flags | O_CLOEXEC, mode);

	return fd < 0 ? -errno : fd;
}

int asuser_open(const char *path, int flags, mode_t mode)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct had[2], none[2];
	uid_t euid = geteuid();
	int r;

	/* Root's rights are its own. */
	if (getuid() == 0)
		return open_file(path, flags, mode);
	if (syscall(SYS_capget, &head, had) < 0)
		return -errno;
	memcpy(none, had, sizeof(none));
	none[0].effective = none[1].effective = 0;
	if (euid != getuid() && seteuid(getuid()) < 0)
		return -errno;
	r = set_effective(none);
	if (r == 0)
		r = open_file(path, flags, mode);
	/* What was given up for a moment may be taken back. */
	if (euid != getuid() && seteuid(euid) < 0 && r >= 0) {
		close(r);
		r = -EPERM;
	}
	set_effective(had);
	return r;
}

void asuser_raise_sensor_rights(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) < 0)
		return;
	data[0].effective |= data[0].permitted & 1u << CAP_DAC_READ_SEARCH;
	data[1].effective |= data[1].permitted & 1u << (CAPABILITY_PERFMON - 32);
	set_effective(data);
}
