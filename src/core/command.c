// SPDX-License-Identifier: MIT
#include "core/command.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "util/cgroupfs.h"
#include "util/cleanup.h"
#include "util/procstat.h"
#include "util/proctree.h"

/* Of Linux 5.7 and 5.3: headers may be older than the kernel. */
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP UINT64_C(0x200000000)
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif

#define MAX_LEFT 32768

/* Processes that were below this one before, for the command's are told by that alone. */
struct pid_list {
	pid_t *list;
	size_t n;
	size_t cap;
};

struct command {
	pid_t pid;
	int go_fd;    /* a byte in it lets the process go on */
	int error_fd; /* the errno of an exec that failed comes out of it */
	struct cgroup_own group;
	bool has_group;
	struct pid_list strangers; /* children that this process had before */
	bool was_subreaper;
	struct target live; /* the tree, as far as it is known before processes are waited for */
	bool exact;         /* by perf events */
	uint64_t reaped_ns; /* of processes that were waited for, with theirs */
	uint64_t
		before_ns; /* what the process used before it was the command, in its own clock ... */
	uint64_t live_before_ns; /* ... and as far as the live target knew of it */
	bool ended;
	int status;
};

/* ---- starting --------------------------------------------------------------------------- */

/* The passwd entry as far as it is needed, looked up before fork. */
struct user {
	uid_t uid;
	gid_t gid;
	char name[64];
	char home[256];
	char shell[256];
};

static int find_user(const char *name, struct user *ret)
{
	const struct passwd *entry = getpwnam(name);

	if (!entry)
		return -ENOENT;
	ret->uid = entry->pw_uid;
	ret->gid = entry->pw_gid;
	snprintf(ret->name, sizeof(ret->name), "%s", entry->pw_name);
	snprintf(ret->home, sizeof(ret->home), "%s", entry->pw_dir);
	snprintf(ret->shell, sizeof(ret->shell), "%s", entry->pw_shell);
	/* The caller's own right counts, not that of a set-user-id file. */
	if (ret->uid != getuid() && getuid() != 0)
		return -EPERM;
	return 0;
}

static int become(const struct user *user)
{
	if (user->uid == getuid())
		return 0;
	if (initgroups(user->name, user->gid) < 0 ||
		setresgid(user->gid, user->gid, user->gid) < 0 ||
		setresuid(user->uid, user->uid, user->uid) < 0)
		return -errno;
	setenv("HOME", user->home, 1);
	setenv("USER", user->name, 1);
	setenv("LOGNAME", user->name, 1);
	setenv("SHELL", user->shell, 1);
	return 0;
}

int command_drop_rights(void)
{
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* since Linux 4.3 */
	if (getegid() != getgid() && setresgid(getgid(), getgid(), getgid()) < 0)
		return -errno;
	if (geteuid() != getuid() && setresuid(getuid(), getuid(), getuid()) < 0)
		return -errno;
	return 0;
}

static int redirect(const struct command_options *o)
{
	if (o->no_stdin) {
		int fd = open("/dev/null", O_RDONLY);

		if (fd < 0 || (fd != 0 && dup2(fd, 0) < 0))
			return -errno;
		if (fd > 0)
			close(fd);
	}
	if (o->stdout_fd >= 0 && dup2(o->stdout_fd, 1) < 0)
		return -errno;
	return 0;
}

static void tell(int fd, int error)
{
	ssize_t n;

	do
		n = write(fd, &error, sizeof(error));
	while (n < 0 && errno == EINTR);
}

/* The new process: waits until it is let go, and becomes the command. */
__attribute__((noreturn)) static void be_command(const struct command *c,
	const struct command_options *o, const struct user *user, bool enter, int go_fd,
	int error_fd)
{
	ssize_t n;
	char go;
	int r = 0;

	if (c->has_group && enter)
		r = cgroup_own_enter(&c->group);
	tell(error_fd, r);
	do
		n = read(go_fd, &go, sizeof(go));
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(125);
	r = redirect(o);
	if (r == 0)
		r = user ? become(user) : 0;
	if (r == 0)
		r = command_drop_rights();
	if (r == 0) {
		signal(SIGCHLD, o->old_sigchld);
		sigprocmask(SIG_SETMASK, o->mask, NULL);
		execvp(o->argv[0], o->argv);
		r = -errno;
	}
	tell(error_fd, -r);
	_exit(r == -ENOENT ? 127 : 126);
}

static int read_errno(int fd, int *ret)
{
	ssize_t n;

	do
		n = read(fd, ret, sizeof(*ret));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t) sizeof(*ret) ? 0 : -EPIPE;
}

/* A fork that is born in the group, where the kernel can do that (Linux 5.7). The C library does not
 * know of it: the child must not allocate. */
static pid_t fork_into(const struct cgroup_own *group)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
		uint64_t set_tid, set_tid_size, cgroup;
	} args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	long pid;

	if (group->path[0] == '\0' || group->dir_fd < 0)
		return -ENOSYS;
	args.cgroup = (uint64_t) group->dir_fd;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	return pid < 0 ? -errno : (pid_t) pid;
}

/* Without a group of its own, whoever loses its parent becomes ours, to be waited for. */
static void do_without_group(struct command *c)
{
	if (c->has_group)
		cgroup_own_remove(&c->group);
	c->has_group = false;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static int start(struct command *c, const struct command_options *o, const struct user *user)
{
	int go[2], error[2], entered, r;
	bool in_group;

	if (pipe2(go, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(error, O_CLOEXEC) < 0) {
		r = -errno;
		close(go[0]);
		close(go[1]);
		return r;
	}
	c->pid = o->user ? -ENOSYS : fork_into(&c->group);
	in_group = c->pid >= 0;
	if (c->pid < 0)
		c->pid = fork();
	if (c->pid == 0) {
		close(go[1]);
		close(error[0]);
		be_command(c, o, user, !in_group, go[0], error[1]);
	}
	close(go[0]);
	close(error[1]);
	c->go_fd = go[1];
	c->error_fd = error[0];
	if (c->pid < 0)
		return -errno;
	r = read_errno(c->error_fd, &entered);
	/* A group may be made and yet be closed to it, as one with a real-time process is. */
	if (r == 0 && entered != 0)
		do_without_group(c);
	return r;
}

static int add_pid(pid_t pid, void *ctx)
{
	struct pid_list *pids = ctx;

	if (pids->n == pids->cap) {
		size_t cap = pids->cap ? pids->cap * 2 : 16;
		pid_t *list = realloc(pids->list, cap * sizeof(*list));

		if (!list)
			return -ENOMEM;
		pids->list = list;
		pids->cap = cap;
	}
	pids->list[pids->n++] = pid;
	return 0;
}

static bool is_stranger(const struct command *c, pid_t pid)
{
	for (size_t i = 0; i < c->strangers.n; i++)
		if (c->strangers.list[i] == pid)
			return true;
	return false;
}

/* Once it was waited for, its number may become one of the command's. */
static bool forget_stranger(struct command *c, pid_t pid)
{
	for (size_t i = 0; i < c->strangers.n; i++) {
		if (c->strangers.list[i] != pid)
			continue;
		c->strangers.list[i] = c->strangers.list[--c->strangers.n];
		return true;
	}
	return false;
}

int command_create(struct command **ret, const struct command_options *o, const char **ret_what)
{
	struct command *c = calloc(1, sizeof(*c));
	struct user user;
	int r = 0, subreaper = 0;

	*ret_what = "memory";
	if (!c)
		return -ENOMEM;
	c->go_fd = c->error_fd = -1;
	c->live.exit_fd = -1;
	if (o->user) {
		*ret_what = "the user";
		r = find_user(o->user, &user);
	}
	if (r == 0 && !o->no_cgroup)
		c->has_group = cgroup_own_create(&c->group) == 0;
	prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
	c->was_subreaper = subreaper;
	if (r == 0 && !c->has_group)
		do_without_group(c);
	/* If they cannot be told, as below a /proc of others, it runs all the same. */
	if (r == 0 && proctree_children(getpid(), add_pid, &c->strangers) == -ENOMEM)
		r = -ENOMEM;
	if (r == 0) {
		*ret_what = "a process";
		r = start(c, o, o->user ? &user : NULL);
	}
	if (r == 0) {
		*ret_what = "its clocks";
		r = c->has_group ? target_open_cgroup(&c->live, c->group.path)
				 : target_open_tree(&c->live, c->pid, &c->exact);
	}
	if (r < 0) {
		command_destroy(c);
		return r;
	}
	*ret = c;
	return 0;
}

void command_destroy(struct command *c)
{
	if (!c)
		return;
	if (c->pid > 0 && !c->ended) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
	}
	target_close(&c->live);
	close_fd(&c->go_fd);
	close_fd(&c->error_fd);
	if (c->has_group)
		cgroup_own_remove(&c->group);
	else
		prctl(PR_SET_CHILD_SUBREAPER, c->was_subreaper);
	free(c->strangers.list);
	free(c);
}

pid_t command_pid(const struct command *c)
{
	return c->pid;
}

int command_release(struct command *c)
{
	struct timespec ts = { 0 };
	clockid_t clock;
	ssize_t n;
	int error;

	if (clock_getcpuclockid(c->pid, &clock) == 0)
		clock_gettime(clock, &ts);
	c->before_ns = (uint64_t) ts.tv_sec * NS_PER_S + (uint64_t) ts.tv_nsec;
	c->live_before_ns = c->live.last_cpu_ns;
	do
		n = write(c->go_fd, "g", 1);
	while (n < 0 && errno == EINTR);
	/* The descriptor closes itself when the command is executed. */
	return read_errno(c->error_fd, &error) == 0 && error ? -error : 0;
}

/* ---- following -------------------------------------------------------------------------- */

static uint64_t time_ns(const struct rusage *usage)
{
	return ((uint64_t) usage->ru_utime.tv_sec + (uint64_t) usage->ru_stime.tv_sec) * NS_PER_S +
		((uint64_t) usage->ru_utime.tv_usec + (uint64_t) usage->ru_stime.tv_usec) * 1000;
}

bool command_reap(struct command *c)
{
	struct rusage usage;
	int status;
	pid_t pid;

	while ((pid = wait4(c->has_group ? c->pid : -1, &status, WNOHANG, &usage)) > 0) {
		if (forget_stranger(c, pid))
			continue;
		c->reaped_ns += time_ns(&usage);
		if (pid == c->pid) {
			c->ended = true;
			c->status = status;
		}
		if (c->has_group)
			break;
	}
	return c->ended;
}

int command_status(const struct command *c)
{
	return c->status;
}

struct leftovers {
	const struct command *command;
	pid_t pids[MAX_LEFT];
	size_t n;
};

static int add_left(pid_t pid, void *ctx)
{
	struct leftovers *left = ctx;

	if (is_stranger(left->command, pid))
		return 0;
	if (left->n == MAX_LEFT)
		return -E2BIG;
	left->pids[left->n++] = pid;
	return 0;
}

/* All that runs below this process, or in the group. */
static void find_left(const struct command *c, struct leftovers *left)
{
	int n;

	left->command = c;
	left->n = 0;
	if (c->has_group) {
		n = cgroup_own_list(&c->group, left->pids, MAX_LEFT);
		left->n = n < 0 ? 0 : (size_t) n < MAX_LEFT ? (size_t) n : MAX_LEFT;
		return;
	}
	proctree_children(getpid(), add_left, left);
	for (size_t i = 0; i < left->n; i++)
		proctree_children(left->pids[i], add_left, left);
}

size_t command_left(const struct command *c, struct command_left *ret, size_t n)
{
	static struct leftovers left;
	size_t kept = 0;

	find_left(c, &left);
	for (size_t i = 0; i < left.n; i++) {
		struct procstat stat;

		if (procstat_read(left.pids[i], &stat) < 0 || stat.state == 'Z')
			continue;
		if (kept < n) {
			ret[kept].pid = left.pids[i];
			snprintf(ret[kept].name, sizeof(ret[kept].name), "%s", stat.comm);
		}
		kept++;
	}
	return kept;
}

/* What runs on has not been waited for: its own clocks tell. */
static uint64_t left_ns(const struct command *c)
{
	static struct leftovers left;
	uint64_t sum = 0, unit_ns = NS_PER_S / (uint64_t) sysconf(_SC_CLK_TCK);

	find_left(c, &left);
	for (size_t i = 0; i < left.n; i++) {
		struct procstat stat;
		struct timespec ts;
		clockid_t clock;

		if (clock_getcpuclockid(left.pids[i], &clock) != 0 ||
			clock_gettime(clock, &ts) < 0 || procstat_read(left.pids[i], &stat) < 0)
			continue;
		sum += (uint64_t) ts.tv_sec * NS_PER_S + (uint64_t) ts.tv_nsec +
			stat.children_ticks * unit_ns;
	}
	return sum;
}

const char *command_method(const struct command *c)
{
	return c->has_group ? "control group"
		: c->exact  ? "wait and perf events"
			    : "wait and /proc";
}

/* ---- the target ------------------------------------------------------------------------- */

static void command_read(struct target *t, uint64_t now_ns, struct usage *ret)
{
	struct command *c = t->state;
	uint64_t cpu_ns;

	if (t->ended) {
		*ret = t->last;
		return;
	}
	c->live.ops->read(&c->live, now_ns, ret);
	cpu_ns = ret->cpu_ns;
	if (c->ended) {
		uint64_t waited_ns = c->reaped_ns + (c->has_group ? 0 : left_ns(c));

		waited_ns -= waited_ns < c->before_ns ? waited_ns : c->before_ns;
		if (c->live_before_ns + waited_ns > cpu_ns)
			cpu_ns = c->live_before_ns + waited_ns;
		t->ended = true;
	}
	if (cpu_ns > t->last_cpu_ns)
		t->last_cpu_ns = cpu_ns;
	t->last = (struct usage) {
		.slot = t->slot, .flags = t->ended ? USAGE_ENDED : 0, .cpu_ns = t->last_cpu_ns
	};
	*ret = t->last;
}

static bool command_has(const struct target *t, pid_t pid)
{
	const struct command *c = t->state;

	return pid == c->pid || c->live.ops->has(&c->live, pid);
}

static void command_close(struct target *t)
{
	t->state = NULL;
}

static const struct target_ops command_ops = {
	.name = "command",
	.read = command_read,
	.read_last = command_read,
	.has = command_has,
	.close = command_close,
};

int command_target(struct command *c, struct target *ret)
{
	*ret = (struct target) { .ops = &command_ops, .pid = c->pid, .exit_fd = -1, .state = c };
	snprintf(ret->name, sizeof(ret->name), "%s", c->live.name);
	return 0;
}
