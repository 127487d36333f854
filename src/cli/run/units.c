// SPDX-License-Identifier: MIT
#include "cli/run/units.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <regex.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/cleanup.h"

/* A line is looked at up to here. */
#define LINE_MAX_BYTES 65536

struct units {
	regex_t regex;
	int read_fd;
	int write_fd;
	struct buf line; /* the beginning of a line whose end has not come yet */
	double sum;
	size_t limit; /* what is read yet, of a command that has ended */
	size_t at;    /* text[at .. n) is to be written */
	size_t n;
	char text[65536];
};

int units_create(struct units **ret, const char *pattern, char *ret_why, unsigned n_why)
{
	struct units *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return -ENOMEM;
	u->read_fd = u->write_fd = -1;
	r = regcomp(&u->regex, pattern, REG_EXTENDED);
	if (r != 0) {
		regerror(r, &u->regex, ret_why, n_why);
		free(u);
		return -EINVAL;
	}
	*ret = u;
	return 0;
}

void units_destroy(struct units *u)
{
	if (!u)
		return;
	close_fd(&u->read_fd);
	close_fd(&u->write_fd);
	regfree(&u->regex);
	buf_finish(&u->line);
	free(u);
}

int units_prepare(struct units *u)
{
	int fds[2];

	close_fd(&u->read_fd);
	close_fd(&u->write_fd);
	buf_reset(&u->line);
	u->sum = 0;
	u->limit = SIZE_MAX;
	u->at = u->n = 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	u->read_fd = fds[0];
	u->write_fd = fds[1];
	fcntl(u->read_fd, F_SETFL, O_NONBLOCK);
	return 0;
}

int units_write_fd(const struct units *u)
{
	return u->write_fd;
}

void units_begin(struct units *u)
{
	close_fd(&u->write_fd);
}

static void look_at_line(struct units *u)
{
	const char *at = buf_text(&u->line);
	regmatch_t match[2];
	int flags = 0;

	while (regexec(&u->regex, at, ARRAY_SIZE(match), match, flags) == 0) {
		const char *group = u->regex.re_nsub > 0 && match[1].rm_so >= 0
			? at + match[1].rm_so
			: NULL;
		char *end;
		double number = group ? strtod(group, &end) : 1;

		if (u->regex.re_nsub == 0 || (group && end > group && isfinite(number)))
			u->sum += number;
		at += match[0].rm_eo;
		/* After a match of nothing, as of "$", the next one is looked for a character on. */
		if (match[0].rm_eo == match[0].rm_so && *at++ == '\0')
			break;
		flags = REG_NOTBOL;
	}
	buf_reset(&u->line);
}

static void take_text(struct units *u, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\n')
			look_at_line(u);
		else if (text[i] != '\0' && u->line.len < LINE_MAX_BYTES)
			buf_char(&u->line, text[i]);
	}
}

/* If nobody reads our output any more, the command learns of it as it would without us. */
static void stop(struct units *u)
{
	close_fd(&u->read_fd);
	u->at = u->n = 0;
}

/* A pipe that can be written to takes as much as this at once, without making us wait. */
static size_t chunk(size_t n)
{
	struct stat st;

	if (n <= PIPE_BUF || (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode)))
		return n;
	return PIPE_BUF;
}

static void write_part(struct units *u)
{
	ssize_t n = write(STDOUT_FILENO, u->text + u->at, chunk(u->n - u->at));

	if (n >= 0)
		u->at += (size_t) n;
	else if (errno != EINTR && errno != EAGAIN)
		stop(u);
}

static void read_part(struct units *u)
{
	ssize_t n = read(
		u->read_fd, u->text, u->limit < sizeof(u->text) ? u->limit : sizeof(u->text));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		stop(u);
		return;
	}
	u->at = 0;
	u->n = (size_t) n;
	u->limit -= (size_t) n;
	take_text(u, u->text, u->n);
}

struct pollfd units_want(const struct units *u)
{
	if (u->at < u->n)
		return (struct pollfd) { .fd = STDOUT_FILENO, .events = POLLOUT };
	return (struct pollfd) { .fd = u->read_fd, .events = POLLIN };
}

void units_step(struct units *u)
{
	if (u->at < u->n)
		write_part(u);
	else if (u->read_fd >= 0)
		read_part(u);
}

void units_end(struct units *u)
{
	int n = 0;

	if (u->read_fd >= 0)
		ioctl(u->read_fd, FIONREAD, &n);
	u->limit = n > 0 ? (size_t) n : 0;
}

bool units_has_more(const struct units *u)
{
	return u->at < u->n || (u->read_fd >= 0 && u->limit > 0);
}

double units_finish(struct units *u)
{
	stop(u);
	if (u->line.len > 0)
		look_at_line(u);
	return u->sum;
}
