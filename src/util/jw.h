// SPDX-License-Identifier: MIT
/*
 * JSON text written piece by piece into a buffer, without a tree: a log line must cost
 * microseconds. Commas are the writer's business: each function that begins a value or a key
 * puts the comma that is needed.
 */
#ifndef PM_UTIL_JW_H
#define PM_UTIL_JW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

/* Appends text as a JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD, one for
 * each maximal broken part, so that the result is always valid JSON. */
void jw_put_string(struct buf *b, const char *text, size_t n);

/* Appends value / 10^6 with a point and six decimals: microwatts as watts, microjoules as joules. */
void jw_put_micro(struct buf *b, int64_t value);

/* A writer that knows when a comma is due. */
struct jw {
	struct buf *out;
	bool comma;
};

#define JW_INIT(b) ((struct jw) { .out = (b) })

void jw_open(struct jw *j, char bracket);  /* '{' or '[' */
void jw_close(struct jw *j, char bracket); /* '}' or ']' */
void jw_key(struct jw *j, const char *key);
void jw_string(struct jw *j, const char *text); /* NULL writes null */
void jw_u64(struct jw *j, uint64_t value);
void jw_i64(struct jw *j, int64_t value);
void jw_micro(struct jw *j, int64_t value);
void jw_bool(struct jw *j, bool value);
void jw_null(struct jw *j);

/* Key and value in one. */
void jw_kv_string(struct jw *j, const char *key, const char *text);
void jw_kv_u64(struct jw *j, const char *key, uint64_t value);
void jw_kv_i64(struct jw *j, const char *key, int64_t value);
void jw_kv_micro(struct jw *j, const char *key, int64_t value);
void jw_kv_real(struct jw *j, const char *key, double value); /* null if not finite */
void jw_kv_bool(struct jw *j, const char *key, bool value);
void jw_kv_null(struct jw *j, const char *key);

#endif
