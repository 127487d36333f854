// SPDX-License-Identifier: MIT
/* What the daemon consists of, made while descriptors run out: each failure has its error and reason. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "daemon/listener.h"
#include "meter/rig.h"
#include "util/cleanup.h"

/* More than the parts need in all. */
#define MOST 40

static struct host host;
static struct rig *rig;
static struct rlimit before;

static int source_open(struct source *s, char *ret_why, size_t n)
{
	s->fd = eventfd(0, EFD_CLOEXEC);
	if (s->fd >= 0)
		return 0;
	snprintf(ret_why, n, "no socket: %s", strerror(errno));
	return -errno;
}

static void source_close(struct source *s)
{
	close_fd(&s->fd);
}

static const struct source_ops source = {
	.name = "none", .open = source_open, .close = source_close
};

static const struct plugin_config config = { .source = &source };

static int set_up(void **state)
{
	struct sensor_options sensor = { 0 };
	struct rig_options options = { .sensors = "sim", .sensor = &sensor };
	const char *bad_name;

	(void) state;
	if (getrlimit(RLIMIT_NOFILE, &before) < 0 || host_init(&host, NULL, &clock_system) < 0)
		return -1;
	return rig_open(&rig, &host, &options, &bad_name);
}

static int tear_down(void **state)
{
	(void) state;
	rig_close(rig, NS_PER_S);
	host_finish(&host);
	return 0;
}

/* From now on n descriptors can be opened: those below the limit that are free. */
static void leave(int n)
{
	struct rlimit limit = before;
	int last = -1;

	for (int fd = 0; n > 0; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			n--;
		last = fd;
	}
	limit.rlim_cur = (rlim_t) (last + 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void leave_all(void)
{
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static struct sampler *make_sampler(int *ret_error)
{
	struct sampler_options options = { .host = &host, .rig = rig };
	struct sampler *s = NULL;

	for (int k = 0; k < KIND_COUNT; k++)
		options.period_ns[k] = NS_PER_S;
	*ret_error = sampler_create(&s, &options);
	return s;
}

static void test_a_sampler_names_its_error(void **state)
{
	bool works = false;

	(void) state;
	for (int n = 1; n < MOST && !works; n++) {
		struct sampler *s;
		int r;

		leave(n);
		s = make_sampler(&r);
		leave_all();
		works = r == 0;
		if (!works && r != -EMFILE)
			fail_msg("%d descriptors: %s", n, strerror(-r));
		assert_true(sampler_destroy(s, 5 * NS_PER_S));
	}
	assert_true(works);
}

static void test_a_listener_gives_its_reason(void **state)
{
	bool works = false;
	sigset_t none;
	int signal_fd, lock_fd = -1, r;
	struct sampler *sampler = make_sampler(&r);

	(void) state;
	assert_int_equal(r, 0);
	sigemptyset(&none);
	signal_fd = signalfd(-1, &none, SFD_CLOEXEC | SFD_NONBLOCK);
	assert_true(signal_fd >= 0);
	for (int n = 1; n < MOST && !works; n++) {
		struct listener_options options = { .config = &config,
			.clock = &clock_system,
			.domains = rig_domains(rig),
			.n_domains = rig_n_domains(rig),
			.tick_ns = host.tick_ns,
			.sampler = sampler,
			.lock_fd = &lock_fd,
			.signal_fd = signal_fd };
		struct listener *l = NULL;
		char why[200] = "";

		leave(n);
		r = listener_create(&l, &options, why, sizeof(why));
		leave_all();
		works = r == 0;
		if (!works && (r != -EMFILE || !strstr(why, "Too many open files")))
			fail_msg("%d descriptors: %s: \"%s\"", n, strerror(-r), why);
		listener_destroy(l);
	}
	assert_true(works);
	assert_true(sampler_destroy(sampler, 5 * NS_PER_S));
	close(signal_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_sampler_names_its_error),
		cmocka_unit_test(test_a_listener_gives_its_reason),
	};

	return cmocka_run_group_tests_name("starting", tests, set_up, tear_down);
}
