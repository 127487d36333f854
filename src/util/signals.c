// SPDX-License-Identifier: MIT
#include "util/signals.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "util/cleanup.h"

static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

bool signal_ends(int signal)
{
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
		if (ending[i] == signal)
			return true;
	return false;
}

void signals_that_end(sigset_t *ret)
{
	sigemptyset(ret);
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++) {
		struct sigaction old;

		sigaction(ending[i], NULL, &old);
		if (old.sa_handler != SIG_IGN)
			sigaddset(ret, ending[i]);
	}
}

int signals_open(const sigset_t *set, sigset_t *ret_before)
{
	sigset_t before;
	int r = -pthread_sigmask(SIG_BLOCK, set, &before), fd;

	if (r < 0)
		return r;
	fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0) {
		r = -errno;
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		return r;
	}
	if (ret_before)
		*ret_before = before;
	return fd;
}

bool signals_next(int fd, struct signalfd_siginfo *ret)
{
	return read(fd, ret, sizeof(*ret)) == (ssize_t) sizeof(*ret);
}
