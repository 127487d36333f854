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
void json_put_string(struct buf *b, const char *text, size_t n);

/* Appends value / 10^6 with a point and six decimals: microwatts as watts, microjoules as joules. */
void json_put_micro(struct buf *b, int64_t value);

/* A writer that knows when a comma is due. */
struct json {
	struct buf *out;
	bool comma;
};

#define JSON_INIT(b) ((struct json) { .out = (b) })

void json_open(struct json *j, char bracket);  /* '{' or '[' */
void json_close(struct json *j, char bracket); /* '}' or ']' */
void json_key(struct json *j, const char *key);
void json_string(struct json *j, const char *text); /* NULL writes null */
void json_u64(struct json *j, uint64_t value);
void json_i64(struct json *j, int64_t value);
void json_micro(struct json *j, int64_t value);
void json_bool(struct json *j, bool value);
void json_null(struct json *j);

/* Key and value in one. */
void json_kv_string(struct json *j, const char *key, const char *text);
void json_kv_u64(struct json *j, const char *key, uint64_t value);
void json_kv_i64(struct json *j, const char *key, int64_t value);
void json_kv_micro(struct json *j, const char *key, int64_t value);
void json_kv_real(struct json *j, const char *key, double value); /* null if not finite */
void json_kv_bool(struct json *j, const char *key, bool value);
void json_kv_null(struct json *j, const char *key);

#endif
