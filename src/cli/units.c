// SPDX-License-Identifier: MIT
#include "cli/units.h"

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdlib.h>
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

int units_fd(const struct units *u)
{
	return u->read_fd;
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

		if (u->regex.re_nsub == 0)
			u->sum += 1;
		else if (group && end > group)
			u->sum += number;
		if (match[0].rm_eo == 0)
			break;
		at += match[0].rm_eo;
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
static bool write_all(const char *text, size_t n)
{
	while (n > 0) {
		ssize_t done = write(STDOUT_FILENO, text, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return false;
		text += done;
		n -= (size_t) done;
	}
	return true;
}

bool units_copy(struct units *u)
{
	char text[65536];
	ssize_t n = read(u->read_fd, text, sizeof(text));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0 || !write_all(text, (size_t) n)) {
		close_fd(&u->read_fd);
		return false;
	}
	take_text(u, text, (size_t) n);
	return true;
}

double units_finish(struct units *u)
{

	while (u->read_fd >= 0) {
		char text[65536];
		ssize_t n = read(u->read_fd, text, sizeof(text));

		if (n <= 0 || !write_all(text, (size_t) n))
			break;
		take_text(u, text, (size_t) n);
	}
	close_fd(&u->read_fd);
	if (u->line.len > 0)
		look_at_line(u);
	return u->sum;
}
