// SPDX-License-Identifier: MIT
#include "util/jw.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "util/utf8.h"

void jw_put_string(struct buf *b, const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *) text;
	size_t done = 0;

	buf_char(b, '"');
	for (size_t i = 0; i < n;) {
		unsigned char c = s[i];
		size_t width;

		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
			i++;
			continue;
		}
		buf_append(b, text + done, i - done);
		width = utf8_sequence(s + i, n - i);
		if (c == '"' || c == '\\') {
			buf_char(b, '\\');
			buf_char(b, (char) c);
		} else if (c == '\n') {
			buf_str(b, "\\n");
		} else if (c == '\t') {
			buf_str(b, "\\t");
		} else if (c < 0x20 || c == 0x7f) {
			buf_printf(b, "\\u%04x", c);
		} else if (width > 0) {
			buf_append(b, text + i, width);
		} else {
			buf_str(b, "\xef\xbf\xbd");
			width = utf8_broken(s + i, n - i);
		}
		i += width ? width : 1;
		done = i;
	}
	buf_append(b, text + done, n - done);
	buf_char(b, '"');
}

void jw_put_micro(struct buf *b, int64_t value)
{
	uint64_t abs = value < 0 ? -(uint64_t) value : (uint64_t) value;

	buf_printf(
		b, "%s%" PRIu64 ".%06" PRIu64, value < 0 ? "-" : "", abs / 1000000, abs % 1000000);
}

static void before_value(struct jw *j)
{
	if (j->comma)
		buf_str(j->out, ", ");
	j->comma = true;
}

void jw_open(struct jw *j, char bracket)
{
	before_value(j);
	buf_char(j->out, bracket);
	j->comma = false;
}

void jw_close(struct jw *j, char bracket)
{
	buf_char(j->out, bracket);
	j->comma = true;
}

void jw_key(struct jw *j, const char *key)
{
	before_value(j);
	jw_put_string(j->out, key, strlen(key));
	buf_str(j->out, ": ");
	j->comma = false;
}

void jw_string(struct jw *j, const char *text)
{
	if (!text) {
		jw_null(j);
		return;
	}
	before_value(j);
	jw_put_string(j->out, text, strlen(text));
}

void jw_u64(struct jw *j, uint64_t value)
{
	before_value(j);
	buf_printf(j->out, "%" PRIu64, value);
}

void jw_i64(struct jw *j, int64_t value)
{
	before_value(j);
	buf_printf(j->out, "%" PRId64, value);
}

void jw_micro(struct jw *j, int64_t value)
{
	before_value(j);
	jw_put_micro(j->out, value);
}

void jw_bool(struct jw *j, bool value)
{
	before_value(j);
	buf_str(j->out, value ? "true" : "false");
}

void jw_null(struct jw *j)
{
	before_value(j);
	buf_str(j->out, "null");
}

void jw_kv_string(struct jw *j, const char *key, const char *text)
{
	jw_key(j, key);
	jw_string(j, text);
}

void jw_kv_u64(struct jw *j, const char *key, uint64_t value)
{
	jw_key(j, key);
	jw_u64(j, value);
}

void jw_kv_i64(struct jw *j, const char *key, int64_t value)
{
	jw_key(j, key);
	jw_i64(j, value);
}

void jw_kv_micro(struct jw *j, const char *key, int64_t value)
{
	jw_key(j, key);
	jw_micro(j, value);
}

void jw_kv_real(struct jw *j, const char *key, double value)
{
	jw_key(j, key);
	before_value(j);
	if (isfinite(value))
		buf_printf(j->out, "%.12g", value);
	else
		buf_str(j->out, "null");
}

void jw_kv_bool(struct jw *j, const char *key, bool value)
{
	jw_key(j, key);
	jw_bool(j, value);
}

void jw_kv_null(struct jw *j, const char *key)
{
	jw_key(j, key);
	jw_null(j);
}
