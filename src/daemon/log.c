// SPDX-License-Identifier: MIT
#include "daemon/log.h"
#include "util/printable.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A pipe takes this much at once or nothing (PIPE_BUF). */
#define LINE_MAX_BYTES 2048

#define FREE_IN_A_ROW 5
#define PAUSE_FIRST_NS UINT64_C(1000000000)
#define PAUSE_LAST_NS UINT64_C(300000000000)

static enum log_level level_shown = LOG_LEVEL_INFO;
static unsigned dropped;

static const char *const level_names[] = { "ERROR", "WARN", "INFO", "DEBUG" };
static const int priorities[] = { 3, 4, 6, 7 }; /* sd-daemon(3) */

int log_level_parse(const char *name, enum log_level *ret)
{
	for (int i = 0; i < 4; i++) {
		if (strcasecmp(name, level_names[i]) == 0) {
			*ret = (enum log_level) i;
			return 0;
		}
	}
	if (strcasecmp(name, "WARNING") != 0)
		return -EINVAL;
	*ret = LOG_LEVEL_WARN;
	return 0;
}

void log_set_level(enum log_level level)
{
	level_shown = level;
}

/* systemd tells which stream its journal reads; a program that is started with its standard error
 * elsewhere inherits the variable all the same. */
static bool goes_to_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat st;

	return stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
		fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static int put_head(char *line, size_t n, enum log_level level)
{
	struct timespec now;
	struct tm tm;
	char text[24];

	if (goes_to_journal())
		return snprintf(line, n, "<%d>", priorities[level]);
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	return snprintf(line, n, "%s,%03ld %s: ", text, now.tv_nsec / 1000000, level_names[level]);
}

static void emit(const char *line, size_t n)
{
	struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (poll(&fd, 1, 0) != 1 || !(fd.revents & POLLOUT) || write(STDERR_FILENO, line, n) < 0)
		dropped++;
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	size_t len;
	va_list args;
	int n;

	if (level > level_shown)
		return;
	len = (size_t) put_head(line, sizeof(line), level);
	va_start(args, format);
	n = vsnprintf(line + len, sizeof(line) - len - 1, format, args);
	va_end(args);
	len += n > 0 ? (size_t) n : 0;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len] = '\0';
	printable(line);
	line[len++] = '\n';
	if (dropped > 0) {
		char note[96];

		n = snprintf(note, sizeof(note), "%u lines of the log are missing here\n", dropped);
		dropped = 0;
		emit(note, (size_t) n);
	}
	emit(line, len);
}

bool log_limited(struct log_limit *limit, uint64_t now_ns, uint64_t *ret_kept_back)
{
	if (limit->next_ns && now_ns > limit->next_ns + PAUSE_LAST_NS)
		*limit = (struct log_limit) { .kept_back = limit->kept_back };
	if (limit->in_a_row >= FREE_IN_A_ROW && now_ns < limit->next_ns) {
		limit->kept_back++;
		return false;
	}
	if (++limit->in_a_row >= FREE_IN_A_ROW) {
		limit->pause_ns = limit->pause_ns ? limit->pause_ns * 2 : PAUSE_FIRST_NS;
		if (limit->pause_ns > PAUSE_LAST_NS)
			limit->pause_ns = PAUSE_LAST_NS;
		limit->next_ns = now_ns + limit->pause_ns;
	}
	*ret_kept_back = limit->kept_back;
	limit->kept_back = 0;
	return true;
}
