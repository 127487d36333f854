// SPDX-License-Identifier: MIT
/* Which children a process has. */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "files.h"
#include "target/proctree.h"

#define MAX 8

struct found {
	pid_t pids[MAX];
	size_t n;
	size_t stop_at; /* 0: never */
};

static int add(pid_t pid, void *ctx)
{
	struct found *f = ctx;

	assert_true(f->n < MAX);
	f->pids[f->n++] = pid;
	return f->n == f->stop_at ? -E2BIG : 0;
}

static bool has(const struct found *f, pid_t pid)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->pids[i] == pid)
			return true;
	return false;
}

static void test_children(void **state)
{
	size_t fds = dir_count("/proc/self/fd");
	struct found f = { 0 };
	pid_t pids[3];

	(void) state;
	assert_int_equal(proctree_children(getpid(), add, &f), 0);
	assert_int_equal(f.n, 0);
	for (size_t i = 0; i < 3; i++)
		pids[i] = child_start(child_sleep, NULL);
	assert_int_equal(proctree_children(getpid(), add, &f), 0);
	assert_int_equal(f.n, 3);
	for (size_t i = 0; i < 3; i++)
		assert_true(has(&f, pids[i]));
	/* Whoever is told may have enough. */
	f = (struct found) { .stop_at = 2 };
	assert_int_equal(proctree_children(getpid(), add, &f), -E2BIG);
	assert_int_equal(f.n, 2);
	/* A child of its own has none. */
	f = (struct found) { 0 };
	assert_int_equal(proctree_children(pids[0], add, &f), 0);
	assert_int_equal(f.n, 0);
	for (size_t i = 0; i < 3; i++)
		child_end(pids[i]);
	assert_int_equal(proctree_children(getpid(), add, &f), 0);
	assert_int_equal(f.n, 0);
	assert_int_equal(proctree_children(0x7ffffff0, add, &f), -ESRCH);
	assert_int_equal(dir_count("/proc/self/fd"), fds);
}

static _Atomic pid_t made;
static _Atomic bool may_end;

static void *make_child(void *ctx)
{
	(void) ctx;
	made = child_start(child_sleep, NULL);
	while (!may_end)
		usleep(1000);
	return NULL;
}

/* Those of all its threads. */
static void test_child_of_a_thread(void **state)
{
	struct found f = { 0 };
	pthread_t thread;

	(void) state;
	assert_int_equal(pthread_create(&thread, NULL, make_child, NULL), 0);
	while (!made)
		usleep(1000);
	assert_int_equal(proctree_children(getpid(), add, &f), 0);
	assert_int_equal(f.n, 1);
	assert_int_equal(f.pids[0], made);
	may_end = true;
	pthread_join(thread, NULL);
	child_end(made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_children),
		cmocka_unit_test(test_child_of_a_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
