// SPDX-License-Identifier: MIT
/*
 * Processes as targets: real children that end in all ways, and what is known of their CPU time
 * then.
 */
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "machine/clock.h"
#include "target/target.h"
#include "target/taskclock.h"
#include "files.h"
#include "wait.h"

#define MS NS_PER_MS
#define BURN_NS (40 * MS)

/* Memory that the test and its children share. */
struct stage {
	_Atomic int step;        /* set by the test: how far the child may go */
	_Atomic int reached;     /* set by the child */
	_Atomic pid_t pid;       /* of a grandchild */
	_Atomic uint64_t cpu_ns; /* the child's own CPU time shortly before it ended */
};

static struct stage *stage;

static int set_up(void **state)
{
	(void) state;
	stage = mmap(
		NULL, sizeof(*stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return stage == MAP_FAILED ? -1 : 0;
}

static int tear_down(void **state)
{
	(void) state;
	munmap(stage, sizeof(*stage));
	return 0;
}

static bool has_reached(void *ctx)
{
	return stage->reached >= *(int *) ctx;
}

static void wait_reached(int step)
{
	assert_true(wait_until(has_reached, &step));
}

/* In a child: tells how far it is and waits to be let on. */
static void come_to(int step)
{
	stage->reached = step;
	while (stage->step < step)
		wait_a_little();
}

static struct usage read_target(struct target *t)
{
	struct usage usage;

	t->ops->read(t, wait_now_ns(), &usage);
	assert_int_equal(usage.slot, t->slot);
	return usage;
}

static struct usage read_last(struct target *t)
{
	struct usage usage;

	t->ops->read_last(t, wait_now_ns(), &usage);
	return usage;
}

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* ---- opening ---------------------------------------------------------------------------- */

static void test_open(void **state)
{
	struct target t = { 0 };
	size_t fds = dir_count("/proc/self/fd");
	pid_t pid;

	(void) state;
	assert_int_equal(target_open_process(&t, 0x7ffffff0), -ESRCH);
	target_close(&t);
	assert_int_equal(target_open_process(&t, -1), -ESRCH);
	prctl(PR_SET_NAME, "a) S (b");
	pid = child_start(child_sleep, NULL);
	prctl(PR_SET_NAME, "test_target");
	assert_int_equal(target_open_process(&t, pid), 0);
	assert_int_equal(t.pid, pid);
	assert_string_equal(t.name, "a) S (b");
	assert_string_equal(t.ops->name, "process");
	t.slot = 5;
	assert_int_equal(read_target(&t).flags, 0);
	target_close(&t);
	target_close(&t);
	/* Only a zombie is left: too late. */
	child_kill(pid);
	assert_int_equal(target_open_process(&t, pid), -ESRCH);
	child_reap(pid);
	assert_int_equal(target_open_process(&t, pid), -ESRCH);
	assert_int_equal(dir_count("/proc/self/fd"), fds);
}

static _Atomic pid_t thread_id;
static _Atomic bool thread_may_end;

static void *idle_thread(void *ctx)
{
	(void) ctx;
	thread_id = (pid_t) syscall(SYS_gettid);
	while (!thread_may_end)
		wait_a_little();
	return NULL;
}

/* The number of a thread is not that of a process. */
static void test_thread_is_no_process(void **state)
{
	struct target t;
	pthread_t thread;

	(void) state;
	assert_int_equal(pthread_create(&thread, NULL, idle_thread, NULL), 0);
	while (!thread_id)
		wait_a_little();
	assert_int_equal(target_open_process(&t, thread_id), -ESRCH);
	thread_may_end = true;
	pthread_join(thread, NULL);
}

/* ---- running ---------------------------------------------------------------------------- */

static void *burn_thread(void *ctx)
{
	(void) ctx;
	burn_cpu(BURN_NS);
	return NULL;
}

static void burn_in_threads(void *ctx)
{
	pthread_t threads[3];

	(void) ctx;
	come_to(1);
	for (size_t i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, burn_thread, NULL);
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	stage->cpu_ns = own_cpu_ns();
	come_to(2);
}

/* All threads count, those that have ended, too. */
static void test_threads(void **state)
{
	pid_t pid = child_start(burn_in_threads, NULL);
	struct target t;
	uint64_t before_ns;

	(void) state;
	wait_reached(1);
	assert_int_equal(target_open_process(&t, pid), 0);
	before_ns = read_target(&t).cpu_ns;
	stage->step = 1;
	wait_reached(2);
	assert_true(read_target(&t).cpu_ns >= stage->cpu_ns);
	assert_true(read_target(&t).cpu_ns - before_ns >= 3 * BURN_NS);
	assert_int_equal(read_target(&t).flags, 0);
	target_close(&t);
	child_end(pid);
}

static void leave_main_thread(void *ctx)
{
	pthread_t thread;

	(void) ctx;
	thread_may_end = false;
	pthread_create(&thread, NULL, idle_thread, NULL);
	stage->reached = 1;
	syscall(SYS_exit, 0); /* of this thread alone */
}

static char state_of(pid_t pid)
{
	char path[64], text[256];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
	f = fopen(path, "r");
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = '\0';
	return n && strrchr(text, ')') ? strrchr(text, ')')[2] : '-';
}

static bool looks_dead(void *ctx)
{
	return state_of(*(pid_t *) ctx) == 'Z';
}

/* A process whose first thread has ended looks like a zombie and is none. */
static void test_first_thread_gone(void **state)
{
	pid_t pid = child_start(leave_main_thread, NULL);
	struct target t;

	(void) state;
	assert_true(wait_until(looks_dead, &pid));
	assert_int_equal(target_open_process(&t, pid), 0);
	assert_int_equal(read_target(&t).flags, 0);
	/* Also on kernels without pidfd. */
	if (t.exit_fd >= 0)
		close(t.exit_fd);
	t.exit_fd = -1;
	assert_int_equal(read_target(&t).flags, 0);
	child_kill(pid);
	assert_int_equal(read_target(&t).flags, USAGE_ENDED);
	target_close(&t);
	child_reap(pid);
}

/* ---- ending ----------------------------------------------------------------------------- */

static void burn_and_end(void *ctx)
{
	(void) ctx;
	burn_cpu(BURN_NS);
	come_to(1);
	burn_cpu(BURN_NS);
	stage->cpu_ns = own_cpu_ns();
}

static bool has_ended(void *ctx)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t) * (pid_t *) ctx, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		info.si_pid != 0;
}

/* A zombie's clock can still be read: nothing is lost. */
static void check_zombie(bool with_exit_fd)
{
	pid_t pid = child_start(burn_and_end, NULL);
	struct usage last;
	struct target t;
	uint64_t cpu_ns;

	wait_reached(1);
	assert_int_equal(target_open_process(&t, pid), 0);
	if (!with_exit_fd && t.exit_fd >= 0) {
		close(t.exit_fd);
		t.exit_fd = -1;
	}
	cpu_ns = read_target(&t).cpu_ns;
	assert_true(cpu_ns >= BURN_NS);
	if (t.exit_fd >= 0)
		assert_false(is_readable(t.exit_fd));
	stage->step = 1;
	assert_true(wait_until(has_ended, &pid));
	if (t.exit_fd >= 0) {
		assert_true(is_readable(t.exit_fd));
		last = read_last(&t);
	} else {
		last = read_target(&t);
	}
	assert_int_equal(last.flags, USAGE_ENDED);
	assert_int_equal(last.tail_ns, 0);
	assert_true(last.cpu_ns >= stage->cpu_ns);
	assert_true(last.cpu_ns - cpu_ns >= BURN_NS);
	/* That stays so, also when it is reaped and gone. */
	child_reap(pid);
	assert_int_equal(read_target(&t).cpu_ns, last.cpu_ns);
	assert_int_equal(read_target(&t).flags, USAGE_ENDED);
	assert_int_equal(read_last(&t).flags, USAGE_ENDED);
	target_close(&t);
}

static void test_zombie(void **state)
{
	(void) state;
	check_zombie(true);
	*stage = (struct stage) { 0 };
	check_zombie(false);
}

/* A child whose own child ends, and who reaps it at once. */
static void reap_at_once(void *ctx)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		((void (*)(void *))(uintptr_t) ctx)(NULL);
		_exit(0);
	}
	stage->pid = pid;
	waitpid(pid, NULL, 0);
	child_sleep(NULL);
}

static bool is_gone(void *ctx)
{
	return kill(*(pid_t *) ctx, 0) < 0 && errno == ESRCH;
}

/* Opens the grandchild, lets it work and end, and reads it when it is gone. */
static struct usage follow_reaped(void (*work)(void *), unsigned max_kept, bool *ret_kept)
{
	struct taskclock clock = { 0 };
	pid_t parent, pid;
	struct usage last;
	struct target t;

	*stage = (struct stage) { 0 };
	parent = child_start(reap_at_once, (void *) (uintptr_t) work);
	wait_reached(1);
	pid = stage->pid;
	assert_int_equal(target_open_process(&t, pid), 0);
	if (max_kept > 0 && taskclock_init(&clock, pid, max_kept) == 0)
		target_keep(&t, clock);
	*ret_kept = t.kept.n > 0;
	assert_true(read_target(&t).cpu_ns > 0);
	stage->step = 2;
	assert_true(wait_until(is_gone, &pid));
	last = read_target(&t);
	assert_true(last.flags & USAGE_ENDED);
	/* The answer stays what it was. */
	assert_int_equal(read_last(&t).cpu_ns, last.cpu_ns);
	assert_int_equal(read_target(&t).flags, last.flags);
	assert_int_equal(read_target(&t).tail_ns, last.tail_ns);
	target_close(&t);
	child_end(parent);
	return last;
}

/* Gone with its last CPU time: that is said, with how much it may have been at most. */
static void test_reaped_at_once(void **state)
{
	struct usage last;
	bool kept;

	(void) state;
	last = follow_reaped(burn_and_end, 0, &kept);
	assert_false(kept);
	assert_int_equal(last.flags, USAGE_ENDED | USAGE_TAIL);
	assert_true(last.cpu_ns <= stage->cpu_ns);
	assert_true(last.cpu_ns + last.tail_ns >= stage->cpu_ns);
}

/* The kernel kept the count: nothing is lost. */
static void test_kept(void **state)
{
	struct usage last;
	bool kept;

	(void) state;
	last = follow_reaped(burn_and_end, 8, &kept);
	if (!kept) {
		print_message("no right to watch threads here\n");
		skip();
	}
	assert_int_equal(last.flags, USAGE_ENDED);
	assert_int_equal(last.tail_ns, 0);
	/* Two clocks were read one after the other when it was opened: within a few percent. */
	assert_in_range(last.cpu_ns, stage->cpu_ns - BURN_NS / 20, stage->cpu_ns + BURN_NS);
}

static void burn_in_new_thread(void *ctx)
{
	pthread_t thread;

	(void) ctx;
	burn_cpu(BURN_NS);
	come_to(1);
	pthread_create(&thread, NULL, burn_thread, NULL);
	pthread_join(thread, NULL);
	stage->cpu_ns = own_cpu_ns();
}

/* Threads that were made later are counted with their maker. */
static void test_kept_new_threads(void **state)
{
	struct usage last;
	bool kept;

	(void) state;
	last = follow_reaped(burn_in_new_thread, 8, &kept);
	if (!kept) {
		print_message("no right to watch threads here\n");
		skip();
	}
	assert_int_equal(last.flags, USAGE_ENDED);
	assert_in_range(last.cpu_ns, stage->cpu_ns - BURN_NS / 20, stage->cpu_ns + BURN_NS);
}

static void burn_in_child(void *ctx)
{
	pid_t pid;

	(void) ctx;
	burn_cpu(BURN_NS);
	come_to(1);
	pid = fork();
	if (pid == 0) {
		burn_cpu(4 * BURN_NS);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	stage->cpu_ns = own_cpu_ns();
}

/* Children are processes of their own. */
static void test_kept_children(void **state)
{
	struct usage last;
	bool kept;

	(void) state;
	last = follow_reaped(burn_in_child, 8, &kept);
	if (!kept) {
		print_message("no right to watch threads here\n");
		skip();
	}
	assert_int_equal(last.flags, USAGE_ENDED);
	assert_in_range(last.cpu_ns, stage->cpu_ns - BURN_NS / 20, stage->cpu_ns + BURN_NS);
}

/* A pid that is used again is another process. */
static void test_pid_reused(void **state)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
		uint64_t set_tid, set_tid_size;
	} args = { .exit_signal = SIGCHLD, .set_tid_size = 1 };
	pid_t pid = child_start(burn_and_end, NULL), again;
	struct target old, new;
	struct usage usage;
	uint64_t cpu_ns;

	(void) state;
	wait_reached(1);
	assert_int_equal(target_open_process(&old, pid), 0);
	cpu_ns = read_target(&old).cpu_ns;
	child_end(pid);
	/* Start times are counted in hundredths of a second. */
	for (uint64_t until_ns = wait_now_ns() + 30 * MS; wait_now_ns() < until_ns;)
		wait_a_little();
	args.set_tid = (uint64_t) (uintptr_t) &pid;
	again = (pid_t) syscall(SYS_clone3, &args, sizeof(args));
	if (again == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		stage->reached = 5;
		child_sleep(NULL);
	}
	if (again < 0) {
		target_close(&old);
		print_message("a pid cannot be chosen here: %s\n", strerror(errno));
		skip();
	}
	assert_int_equal(again, pid);
	wait_reached(5);
	assert_int_equal(target_open_process(&new, pid), 0);
	assert_true(new.start_ticks != old.start_ticks);
	usage = read_target(&old);
	assert_int_equal(usage.flags, USAGE_ENDED | USAGE_TAIL);
	assert_int_equal(usage.cpu_ns, cpu_ns);
	assert_int_equal(read_target(&new).flags, 0);
	target_close(&old);
	target_close(&new);
	child_end(pid);
}

/* ---- the kept clock by itself ----------------------------------------------------------- */

static void wait_with_threads(void *ctx)
{
	pthread_t threads[4];

	(void) ctx;
	thread_may_end = false;
	for (size_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, idle_thread, NULL);
	stage->reached = 1;
	child_sleep(NULL);
}

static void test_taskclock_limits(void **state)
{
	size_t fds = dir_count("/proc/self/fd");
	struct taskclock clock = { 0 };
	uint64_t ns = 0;
	char path[64];
	unsigned n;
	pid_t pid;
	int r;

	(void) state;
	assert_int_equal(taskclock_init(&clock, 0x7ffffff0, 8), -ESRCH);
	pid = child_start(wait_with_threads, NULL);
	wait_reached(1);
	snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
	n = (unsigned) dir_count(path); /* a sanitizer may have one of its own, too */
	assert_true(n >= 5);
	assert_int_equal(taskclock_init(&clock, pid, n - 1), -E2BIG);
	assert_int_equal(clock.n, 0);
	assert_int_equal(dir_count("/proc/self/fd"), fds);
	r = taskclock_init(&clock, pid, n);
	if (r == -EACCES || r == -EPERM || r == -ENOSYS) {
		child_end(pid);
		print_message("no right to watch threads here\n");
		skip();
	}
	assert_int_equal(r, 0);
	assert_int_equal(clock.n, n);
	assert_int_equal(taskclock_read(&clock, &ns), 0);
	child_end(pid);
	assert_int_equal(taskclock_read(&clock, &ns), 0);
	taskclock_finish(&clock);
	taskclock_finish(&clock);
	assert_int_equal(dir_count("/proc/self/fd"), fds);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_open),
		TEST(test_thread_is_no_process),
		TEST(test_threads),
		TEST(test_first_thread_gone),
		TEST(test_zombie),
		TEST(test_reaped_at_once),
		TEST(test_kept),
		TEST(test_kept_new_threads),
		TEST(test_kept_children),
		TEST(test_pid_reused),
		TEST(test_taskclock_limits),
	};

	return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}
