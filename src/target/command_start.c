// SPDX-License-Identifier: MIT
/*
 * The command's process: made, held back until it is measured, and given nothing but its own rights.
 */
#include "target/command_state.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "machine/clock.h"
#include "util/cleanup.h"
#include "target/filesize.h"
#include "target/proctree.h"
#include "util/timer.h"

/* Of Linux 5.7 and 5.3: headers may be older than the kernel. */
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP UINT64_C(0x200000000)
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif

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

	/* A process with its file's capabilities is not shown by a /proc that hides others' (hidepid=2),
	 * not even to its parent. Who has less than its capabilities still cannot look into it. */
	prctl(PR_SET_DUMPABLE, 1);
	if (c->has_group && enter)
		r = cgroup_own_enter(&c->group);
	tell(error_fd, r);
	do
		n = read(go_fd, &go, sizeof(go));
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(125);
	r = redirect(o);
	if (o->environment)
		environ = o->environment;
	if (r == 0)
		r = user ? become(user) : 0;
	if (r == 0)
		r = command_drop_rights();
	if (r == 0) {
		signal(SIGCHLD, o->old_sigchld);
		filesize_restore();
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
	return pid_list_add(ctx, pid);
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
	c->before_ns = timespec_to_ns(&ts);
	c->live_before_ns = c->live.last_cpu_ns;
	do
		n = write(c->go_fd, "g", 1);
	while (n < 0 && errno == EINTR);
	/* The descriptor closes itself when the command is executed. */
	return read_errno(c->error_fd, &error) == 0 && error ? -error : 0;
}
