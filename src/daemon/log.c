// SPDX-License-Identifier: MIT
#include "daemon/log.h"
#include "util/printable.h"
#include "util/timer.h"

#include <errno.h>
#include <inttypes.h>
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

/* Of each level: this many lines at once, and then this many a second. An event may name a thousand
 * processes; start and stop events in a loop would be a megabyte a second. */
#define BURST_LINES 1024
#define LINES_PER_S 20

/* Lines that were left out are counted, and the count is told this often at most. */
#define TELL_EVERY_NS UINT64_C(1000000000)

static struct log_bucket buckets[] = {
	[LOG_LEVEL_ERROR] = { .left = BURST_LINES },
	[LOG_LEVEL_WARN] = { .left = BURST_LINES },
	[LOG_LEVEL_INFO] = { .left = BURST_LINES },
	[LOG_LEVEL_DEBUG] = { .left = BURST_LINES },
};

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

bool log_bucket_take(struct log_bucket *b, uint64_t now_ns, uint64_t *ret_left_out)
{
	const uint64_t every_ns = UINT64_C(1000000000) / LINES_PER_S;
	uint64_t n;

	*ret_left_out = 0;
	if (b->filled_ns == 0)
		b->filled_ns = now_ns;
	n = (now_ns - b->filled_ns) / every_ns;
	b->filled_ns += n * every_ns;
	b->left = n > BURST_LINES - b->left ? BURST_LINES : b->left + (unsigned) n;
	if (b->left == 0) {
		b->left_out++;
		return false;
	}
	b->left--;
	if (b->left_out > 0 && now_ns >= b->told_ns + TELL_EVERY_NS) {
		*ret_left_out = b->left_out;
		b->left_out = 0;
		b->told_ns = now_ns;
	}
	return true;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return timespec_to_ns(&now);
}

static void emit_left_out(enum log_level level, uint64_t n)
{
	char line[160];
	size_t len = (size_t) put_head(line, sizeof(line), level);
	int more = snprintf(line + len, sizeof(line) - len,
		"left out %" PRIu64 " %s lines: more than %d a second\n", n, level_names[level],
		LINES_PER_S);

	emit(line, len + (size_t) more);
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	uint64_t left_out;
	size_t len;
	va_list args;
	int n;

	if (level > level_shown || !log_bucket_take(&buckets[level], now_ns(), &left_out))
		return;
	if (left_out > 0)
		emit_left_out(level, left_out);
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
