// SPDX-License-Identifier: MIT
#include "lib/handle.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static _Thread_local char reason[512];

int pm_fail(int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	return error;
}

const char *pm_error(void)
{
	return reason;
}

const char *pm_strerror(int error)
{
	switch (error < 0 ? -error : error) {
	case 0:
		return "no error";
	case E2BIG:
		return "too many, or a caller built for a later version of the library";
	case EAGAIN:
		return "no thread can be made";
	case EBUSY:
		return "not while windows are open or processes are added";
	case EEXIST:
		return "a window of that name is open already";
	case EINVAL:
		return "an argument makes no sense";
	case ENOENT:
		return "there is no such window, process or directory";
	case ENOMEM:
		return "out of memory";
	case ENOSYS:
		return HOST_NO_PROC;
	case ENOTDIR:
		return "the root is no directory";
	case EPERM:
		return "the handle belongs to another process";
	case ESRCH:
		return "there is no such process";
	default:
		return "an error of the system";
	}
}

const char *pm_version(void)
{
	return PM_VERSION;
}

int pm_enter(struct pm *pm)
{
	if (!pm)
		return pm_fail(-EINVAL, "the handle is NULL: pm_open() makes one");
	/* Before the lock: another thread of the parent may have held it during the fork. */
	if (pm->owner != getpid())
		return pm_fail(-EPERM,
			"the handle was opened by process %d, before a fork: call pm_open() anew "
			"in the child",
			(int) pm->owner);
	pthread_mutex_lock(&pm->lock);
	return 0;
}

void pm_leave(struct pm *pm)
{
	pthread_mutex_unlock(&pm->lock);
}

int pm_give(void *ret, const void *from, size_t size)
{
	size_t known = 0, both;

	if (ret)
		memcpy(&known, ret, sizeof(known));
	if (known <= sizeof(known) || known > PM_STRUCT_MAX || size <= sizeof(known))
		return pm_fail(-EINVAL,
			"the struct to be filled has no valid size: initialise it by its _INIT "
			"macro");
	/* Whoever was built against an older or a newer library gets what both know. */
	both = known < size ? known : size;
	memcpy((char *) ret + sizeof(known), (const char *) from + sizeof(known),
		both - sizeof(known));
	if (known > both)
		memset((char *) ret + both, 0, known - both);
	return 0;
}
