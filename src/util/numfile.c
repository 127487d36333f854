// SPDX-License-Identifier: MIT
#include "util/fdtext.h"
#include "util/numfile.h"

#include <errno.h>
#include <stddef.h>

#include "util/cleanup.h"
#include "util/parse.h"

#define RETRY_FIRST_NS UINT64_C(1000000000)
#define RETRY_LAST_NS (60 * RETRY_FIRST_NS)
/* A descriptor that answers with errors for so long is opened again. */
#define ERRORS_BEFORE_REOPEN 10

int numfile_read_fd(int fd, int64_t *ret)
{
	char text[32];
	int n = fdtext_read(fd, text, sizeof(text));

	return n < 0 ? n : n == 0 ? -ENODATA : parse_i64(text, ret);
}

static void wait_for_it(struct numfile *f, uint64_t now_ns)
{
	if (f->retry_after_ns == 0)
		f->retry_after_ns = RETRY_FIRST_NS;
	f->retry_at_ns = now_ns + f->retry_after_ns;
	if (f->retry_after_ns < RETRY_LAST_NS)
		f->retry_after_ns *= 2;
}

int numfile_read(
	struct numfile *f, uint64_t now_ns, int (*open)(void *ctx), void *ctx, int64_t *ret)
{
	int r;

	if (f->fd < 0) {
		if (now_ns < f->retry_at_ns)
			return -ENODEV;
		f->fd = open(ctx);
		if (f->fd < 0) {
			f->fd = -1;
			wait_for_it(f, now_ns);
			return -ENODEV;
		}
	}
	r = numfile_read_fd(f->fd, ret);
	if (r == 0) {
		f->errors = 0;
		f->retry_after_ns = 0;
		return 0;
	}
	if (r == -ENODEV || r == -ENOENT || ++f->errors >= ERRORS_BEFORE_REOPEN) {
		close_fd(&f->fd);
		f->errors = 0;
		wait_for_it(f, now_ns);
	}
	return r;
}

void numfile_close(struct numfile *f)
{
	close_fd(&f->fd);
}
