// SPDX-License-Identifier: MIT
#include "util/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct buf *b, size_t n)
{
	size_t want, cap = b->cap ? b->cap : 256;
	char *data;

	if (b->failed)
		return false;
	if (__builtin_add_overflow(b->len, n, &want) || __builtin_add_overflow(want, 1, &want))
		goto fail;
	if (want <= b->cap)
		return true;
	while (cap < want)
		if (__builtin_mul_overflow(cap, 2, &cap))
			goto fail;
	data = realloc(b->data, cap);
	if (!data)
		goto fail;
	b->data = data;
	b->cap = cap;
	return true;
fail:
	b->failed = true;
	return false;
}

void buf_append(struct buf *b, const void *bytes, size_t n)
{
	if (n == 0 || !reserve(b, n))
		return;
	memcpy(b->data + b->len, bytes, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void buf_str(struct buf *b, const char *text)
{
	buf_append(b, text, strlen(text));
}

void buf_char(struct buf *b, char c)
{
	buf_append(b, &c, 1);
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0) {
		b->failed = true;
		return;
	}
	if (!reserve(b, (size_t) n))
		return;
	va_start(args, format);
	vsnprintf(b->data + b->len, (size_t) n + 1, format, args);
	va_end(args);
	b->len += (size_t) n;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n >= b->len) {
		buf_reset(b);
		return;
	}
	memmove(b->data, b->data + n, b->len - n + 1);
	b->len -= n;
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

void buf_finish(struct buf *b)
{
	free(b->data);
	*b = BUF_INIT;
}

const char *buf_text(const struct buf *b)
{
	return b->data ? b->data : "";
}
