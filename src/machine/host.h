// SPDX-License-Identifier: MIT
/*
 * The machine, as seen through one root directory and one clock.
 *
 * Everything that describes the hardware (/sys, /proc/cpuinfo, /dev) is opened below the root, so
 * that a captured tree or a container's view of its host can take the machine's place. Processes
 * and CPU time always are the live machine's.
 */
#ifndef PM_MACHINE_HOST_H
#define PM_MACHINE_HOST_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/clock.h"
#include "machine/cpuinfo.h"
#include "machine/usage.h"

/* Somebody who wants to know what sensors ask for, so that just that can be copied or explained. The
 * calls come from any thread, also while something is read. */
struct host_watch {
	/* A path was opened or looked for; r is 0 or -errno. */
	void (*asked)(void *ctx, const char *path, int r);
	/* Something was read that stands in no plain file, and this is how a copy of the machine shows
	 * it: the text of the file at this path, or if there is a key, the line that begins with it. */
	void (*told)(void *ctx, const char *path, const char *key, const char *text);
	void *ctx;
};

struct host {
	const struct clock *clock;
	char root[256]; /* "/" or the directory given, without a slash at its end */
	bool live;      /* the root is "/" */
	int root_fd;
	const struct host_watch *watch; /* borrowed; NULL: nobody watches */
	struct captured *captured;      /* the root is a copy of two readings; else NULL */
	struct cpuinfo cpu;             /* of the root's /proc/cpuinfo */
	uint64_t tick_ns;    /* period of the kernel's own tick: how stale a CPU clock may be */
	uint64_t user_hz_ns; /* length of one unit of /proc/stat */
	struct usage_reader usage_reader;
	struct host_usage usage; /* as of the last host_usage_update() */
};

/* What is wrong where host_init() returns -ENOSYS, and with what to do about it. */
#define HOST_NO_PROC "/proc is not mounted"
#define HOST_NO_PROC_FIX HOST_NO_PROC "; fix: sudo mount -t proc proc /proc"

/* Opens the root (NULL or "/": this machine) and reads the usage once. clock is borrowed.
 * Returns 0 or -errno: -ENOENT or -ENOTDIR where the root is no directory, -ENOSYS where /proc is
 * not mounted. */
int host_init(struct host *h, const char *root, const struct clock *clock);

/* Takes a half-made or zeroed host too. */
void host_finish(struct host *h);

static inline uint64_t host_now_ns(const struct host *h)
{
	return clock_mono_ns(h->clock);
}

/* Opens an absolute path below the root for reading. Returns a descriptor or -errno. */
int host_open_file(const struct host *h, const char *path);

/* Tells the watch, if there is one, what was read from elsewhere than a plain file. */
__attribute__((format(printf, 4, 5))) void host_tell(
	const struct host *h, const char *path, const char *key, const char *format, ...);

/* In a captured machine files show the first reading, or from here on the later one, also those that
 * are open. Does nothing elsewhere. */
void host_turn(const struct host *h, bool later);

/* Opens a directory below the root; NULL with errno set if that fails. */
DIR *host_open_dir(const struct host *h, const char *path);

/* Whether something is there below the root. */
bool host_has(const struct host *h, const char *path);

/* Reads a small text file whole, without the newline at its end. Returns its length, or -errno;
 * -E2BIG where it does not fit into n bytes with its NUL. */
int host_read_text(const struct host *h, const char *path, char *ret, size_t n);

/* Reads /proc/stat again into h->usage. Returns 0 or -errno; on error the old usage stays. */
int host_usage_update(struct host *h);

/* Whether energy and CPU time are of different scopes: what is said of figures then, as one sentence.
 * A root may be another machine's tree, and /proc/stat a container's view. */
bool host_scope_note(const struct host *h, char *ret, size_t n);

/* Counts the CPUs that are online into h->usage.n_cpu, for a fraction of the cost of the above. */
void host_count_cpus(struct host *h);

#endif
