// SPDX-License-Identifier: MIT
#include "target/cgroupfs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/dirscan.h"
#include "util/fdtext.h"
#include "util/parse.h"

#define LINE_BYTES 4608

/* Our groups' names: this and the pid of whoever made them. */
#define OWN_PREFIX "powermeasure-"

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += n)
		if ((at == list || at[-1] == ',') &&
			(at[n] == ',' || at[n] == '\0' || at[n] == '\n'))
			return true;
	return false;
}

/* As proc(5) tells it: "\040" for a blank. */
static void decode(char *text)
{
	char *to = text;

	for (const char *at = text; *at; at++) {
		if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' &&
			at[3] >= '0' && at[3] <= '7') {
			*to++ = (char) ((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0'));
			at += 3;
		} else {
			*to++ = *at;
		}
	}
	*to = '\0';
}

/* A line is "... ROOT POINT OPTIONS ... - TYPE SOURCE SUPEROPTIONS" (proc(5)). */
bool cgroup_parse_mount(const char *line, bool v2, struct cgroup_mount *ret)
{
	const char *tail = strstr(line, " - ");
	char type[32], super[512];

	if (!tail || sscanf(line, "%*s %*s %*s %4095s %4095s", ret->root, ret->point) != 2 ||
		sscanf(tail, " - %31s %*s %511s", type, super) != 2)
		return false;
	decode(ret->root);
	decode(ret->point);
	return v2 ? strcmp(type, "cgroup2") == 0
		  : strcmp(type, "cgroup") == 0 && has_word(super, "cpuacct");
}

bool cgroup_parse_own(const char *line, bool v2, char *ret, size_t n)
{
	const char *controllers = strchr(line, ':');
	const char *path = controllers ? strchr(controllers + 1, ':') : NULL;
	char list[512];

	if (!path)
		return false;
	controllers++;
	snprintf(list, sizeof(list), "%.*s", (int) (path - controllers), controllers);
	path++;
	snprintf(ret, n, "%.*s", (int) strcspn(path, "\n"), path);
	return v2 ? list[0] == '\0' : has_word(list, "cpuacct");
}

/* A container sees a part of the hierarchy, but may be told paths of the whole. */
void cgroup_directory(const struct cgroup_mount *mount, const char *group, char *ret, size_t n)
{
	size_t len = strcmp(mount->root, "/") == 0 ? 0 : strlen(mount->root);

	if (len > 0 && strncmp(group, mount->root, len) == 0 &&
		(group[len] == '/' || group[len] == '\0'))
		group += len;
	group += strspn(group, "/");
	snprintf(ret, n, "%s%s%s", mount->point, *group ? "/" : "", group);
}

/* Where a hierarchy is mounted: version 2, or version 1 with the cpuacct controller. */
static int find_mount(bool v2, struct cgroup_mount *ret)
{
	char line[LINE_BYTES];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	int r = -ENOENT;

	if (!f)
		return -errno;
	while (r < 0 && fgets(line, sizeof(line), f))
		if (cgroup_parse_mount(line, v2, ret))
			r = 0;
	fclose(f);
	return r;
}

/* This process's group in a hierarchy. */
static int find_own(bool v2, char *ret, size_t n)
{
	char line[LINE_BYTES];
	FILE *f = fopen("/proc/self/cgroup", "re");
	int r = -ENOENT;

	if (!f)
		return -errno;
	while (r < 0 && fgets(line, sizeof(line), f))
		if (cgroup_parse_own(line, v2, ret, n))
			r = 0;
	fclose(f);
	return r;
}

static int open_usage_in(const char *directory)
{
	static const char *const names[] = { "cpu.stat", "cpuacct.usage" };
	CLEANUP_FD int dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t ns;

	if (dir_fd < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		CLEANUP_FD int fd = openat(dir_fd, names[i], O_RDONLY | O_CLOEXEC);

		/* In version 1 there is a cpu.stat too, which tells something else. */
		if (fd >= 0 && cgroup_read_ns(fd, &ns) == 0)
			return take_fd(&fd);
	}
	return -EOPNOTSUPP;
}

int cgroup_open_usage(const char *group)
{
	struct cgroup_mount mount;
	char path[2 * CGROUP_PATH_MAX];
	int r = open_usage_in(group);

	if (r >= 0)
		return r;
	for (int v2 = 1; v2 >= 0; v2--) {
		int fd;

		if (find_mount(v2, &mount) < 0)
			continue;
		cgroup_directory(&mount, group, path, sizeof(path));
		fd = open_usage_in(path);
		if (fd >= 0)
			return fd;
		if (fd != -ENOENT)
			r = fd;
	}
	return r;
}

int cgroup_parse_ns(const char *text, uint64_t *ret_ns)
{
	const char *at = strstr(text, "usage_usec ");
	uint64_t us;

	if (!at)
		return parse_u64(text, ret_ns);
	if (sscanf(at, "usage_usec %" SCNu64, &us) != 1 ||
		__builtin_mul_overflow(us, UINT64_C(1000), &us))
		return -EINVAL;
	*ret_ns = us;
	return 0;
}

int cgroup_read_ns(int fd, uint64_t *ret_ns)
{
	char text[1024];
	int n = fdtext_read(fd, text, sizeof(text));

	return n < 0 ? n : cgroup_parse_ns(text, ret_ns);
}

static int remove_if_stale(const char *name, void *ctx)
{
	uint64_t pid;

	if (strncmp(name, OWN_PREFIX, strlen(OWN_PREFIX)) != 0 ||
		parse_u64(name + strlen(OWN_PREFIX), &pid) < 0 || pid == 0 || pid > INT32_MAX)
		return 0;
	/* One that somebody is in is not removed. */
	if ((pid_t) pid == getpid() || (kill((pid_t) pid, 0) < 0 && errno == ESRCH))
		unlinkat(*(const int *) ctx, name, AT_REMOVEDIR);
	return 0;
}

/* Groups beside ours whose makers were killed. */
static void remove_stale(const char *own)
{
	CLEANUP_FD int fd = -1;
	char above[CGROUP_PATH_MAX];

	snprintf(above, sizeof(above), "%.*s", (int) (strrchr(own, '/') - own), own);
	fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		dirscan(fd, remove_if_stale, &fd);
}

static int create_in(bool v2, struct cgroup_own *ret)
{
	char own[CGROUP_PATH_MAX], path[2 * CGROUP_PATH_MAX + 64];
	struct cgroup_mount mount;
	int r = find_mount(v2, &mount);
	size_t len;

	if (r == 0)
		r = find_own(v2, own, sizeof(own));
	if (r < 0)
		return r;
	cgroup_directory(&mount, own, path, 2 * CGROUP_PATH_MAX);
	len = strlen(path);
	snprintf(path + len, sizeof(path) - len, "/" OWN_PREFIX "%d", (int) getpid());
	if (strlen(path) + 16 >= sizeof(ret->path))
		return -ENAMETOOLONG;
	remove_stale(path);
	strcpy(ret->path, path);
	if (mkdir(path, 0755) < 0)
		return -errno;
	ret->usage_fd = open_usage_in(path);
	if (v2)
		ret->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	strcat(path, "/cgroup.procs");
	ret->procs_fd = open(path, O_RDWR | O_CLOEXEC);
	if (ret->usage_fd >= 0 && ret->procs_fd >= 0)
		return 0;
	r = ret->usage_fd < 0 ? ret->usage_fd : -errno;
	cgroup_own_remove(ret);
	return r;
}

int cgroup_own_create(struct cgroup_own *ret)
{
	int r;

	*ret = (struct cgroup_own) { .procs_fd = -1, .usage_fd = -1, .dir_fd = -1 };
	r = create_in(true, ret);
	return r < 0 ? create_in(false, ret) : r;
}

static int move_in(int procs_fd, pid_t pid)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", (int) pid);

	return pwrite(procs_fd, text, (size_t) n, 0) < 0 ? -errno : 0;
}

int cgroup_own_enter(const struct cgroup_own *g)
{
	return move_in(g->procs_fd, 0);
}

int cgroup_own_list(const struct cgroup_own *g, pid_t *ret, size_t max)
{
	char path[CGROUP_PATH_MAX + 32], line[32];
	uint64_t pid;
	FILE *f;
	int n = 0;

	snprintf(path, sizeof(path), "%s/cgroup.procs", g->path);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (parse_u64(line, &pid) < 0)
			continue;
		if ((size_t) n < max)
			ret[n] = (pid_t) pid;
		n++;
	}
	fclose(f);
	return n;
}

/* The group above takes what is left, so that nothing of ours stays behind. */
static void move_out(const struct cgroup_own *g)
{
	char path[CGROUP_PATH_MAX + 32];
	CLEANUP_FD int above = -1;
	pid_t pids[1024];
	char *slash;
	int n;

	snprintf(path, sizeof(path), "%s", g->path);
	slash = strrchr(path, '/');
	strcpy(slash, "/cgroup.procs");
	above = open(path, O_WRONLY | O_CLOEXEC);
	/* They may fork while they are moved. */
	for (int attempt = 0; above >= 0 && attempt < 100; attempt++) {
		n = cgroup_own_list(g, pids, ARRAY_SIZE(pids));
		if (n <= 0)
			return;
		for (int i = 0; i < n && i < (int) ARRAY_SIZE(pids); i++)
			move_in(above, pids[i]);
	}
}

void cgroup_own_remove(struct cgroup_own *g)
{
	if (g->path[0] == '\0')
		return;
	move_out(g);
	rmdir(g->path);
	close_fd(&g->procs_fd);
	close_fd(&g->usage_fd);
	close_fd(&g->dir_fd);
	*g = (struct cgroup_own) { .procs_fd = -1, .usage_fd = -1, .dir_fd = -1 };
}

bool cgroup_has(int fd, pid_t pid)
{
	char link[64], path[CGROUP_PATH_MAX], line[32], *slash;
	bool found = false;
	ssize_t n;
	FILE *f;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - sizeof("cgroup.procs"));
	if (n <= 0)
		return false;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return false;
	strcpy(slash + 1, "cgroup.procs");
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f))
		found = strtol(line, NULL, 10) == pid;
	if (f)
		fclose(f);
	return found;
}
