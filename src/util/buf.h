// SPDX-License-Identifier: MIT
/*
 * A byte buffer that grows. Appending never reports an error by itself: the first failed
 * allocation is remembered in `failed`, later appends do nothing, and whoever wants to use the
 * text asks once at the end.
 */
#ifndef PM_UTIL_BUF_H
#define PM_UTIL_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data; /* len bytes and a terminating NUL; NULL while nothing was appended */
	size_t len;
	size_t cap;
	bool failed;
};

#define BUF_INIT ((struct buf) { 0 })

void buf_append(struct buf *b, const void *bytes, size_t n);
void buf_str(struct buf *b, const char *text);
void buf_char(struct buf *b, char c);
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *b, const char *format, ...);

/* Drops the first n bytes. */
void buf_consume(struct buf *b, size_t n);

/* Empties the buffer and keeps its memory. */
void buf_reset(struct buf *b);

/* Gives the memory back; usable again afterwards. */
void buf_finish(struct buf *b);

/* The text, never NULL. */
const char *buf_text(const struct buf *b);

#endif
