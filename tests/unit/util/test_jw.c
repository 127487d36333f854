// SPDX-License-Identifier: MIT
/* UTF-8, the growing buffer, and JSON text made with them. */
#include "test.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "jsoncheck.h"
#include "random.h"
#include "util/buf.h"
#include "util/jw.h"
#include "util/utf8.h"

/* ---- UTF-8 ------------------------------------------------------------------------------ */

static void test_utf8_table(void **state)
{
	static const struct {
		const char *bytes;
		size_t whole;  /* what utf8_sequence() says */
		size_t broken; /* what utf8_broken() says where that is 0 */
	} cases[] = {
		{ "a", 1, 0 },
		{ "\x7f", 1, 0 },
		{ "\xc3\xa9", 2, 0 },
		{ "\xdf\xbf", 2, 0 },
		{ "\xe0\xa0\x80", 3, 0 },
		{ "\xe2\x82\xac", 3, 0 },
		{ "\xed\x9f\xbf", 3, 0 },
		{ "\xef\xbf\xbf", 3, 0 },
		{ "\xf0\x90\x80\x80", 4, 0 },
		{ "\xf4\x8f\xbf\xbf", 4, 0 },
		/* bytes that begin nothing */
		{ "\x80", 0, 1 },
		{ "\xbf\x80", 0, 1 },
		{ "\xc0\x80", 0, 1 }, /* overlong */
		{ "\xc1\xbf", 0, 1 },
		{ "\xf5\x80\x80\x80", 0, 1 },
		{ "\xff", 0, 1 },
		/* a second byte outside of the range that the first one leaves */
		{ "\xe0\x9f\xbf", 0, 1 }, /* overlong */
		{ "\xed\xa0\x80", 0, 1 }, /* a surrogate */
		{ "\xf0\x8f\xbf\xbf", 0, 1 },
		{ "\xf4\x90\x80\x80", 0, 1 }, /* above U+10FFFF */
		/* starts that are cut or go on wrongly: as long as they were right */
		{ "\xc3", 0, 1 },
		{ "\xc3(", 0, 1 },
		{ "\xe2\x82", 0, 2 },
		{ "\xe2\x82(", 0, 2 },
		{ "\xf0\x90\x80", 0, 3 },
		{ "\xf0\x90\xc3\xa9", 0, 2 },
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const unsigned char *s = (const unsigned char *) cases[i].bytes;
		size_t n = strlen(cases[i].bytes);

		if (utf8_sequence(s, n) != cases[i].whole ||
			(cases[i].whole == 0 && utf8_broken(s, n) != cases[i].broken))
			fail_msg("case %zu: %zu, %zu", i, utf8_sequence(s, n), utf8_broken(s, n));
	}
	assert_int_equal(utf8_sequence((const unsigned char *) "", 0), 0);
}

/* Every scalar value is taken whole, and no cut of it is. */
static void test_utf8_all(void **state)
{
	(void) state;
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		unsigned char s[4];
		size_t n;

		if (c < 0x80) {
			s[0] = (unsigned char) c;
			n = 1;
		} else if (c < 0x800) {
			s[0] = (unsigned char) (0xc0 | c >> 6);
			n = 2;
		} else if (c < 0x10000) {
			s[0] = (unsigned char) (0xe0 | c >> 12);
			n = 3;
		} else {
			s[0] = (unsigned char) (0xf0 | c >> 18);
			n = 4;
		}
		for (size_t i = 1; i < n; i++)
			s[i] = (unsigned char) (0x80 | (c >> 6 * (n - 1 - i) & 0x3f));
		if (utf8_sequence(s, n) != (c >= 0xd800 && c <= 0xdfff ? 0 : n))
			fail_msg("U+%04X", c);
		if (n > 1 && utf8_sequence(s, n - 1) != 0)
			fail_msg("U+%04X, cut", c);
	}
}

/* ---- the buffer ------------------------------------------------------------------------- */

static void test_buf(void **state)
{
	struct buf b = BUF_INIT;
	char expected[4000];

	(void) state;
	assert_string_equal(buf_text(&b), "");
	buf_consume(&b, 3); /* nothing is there, not even memory */
	assert_string_equal(buf_text(&b), "");
	buf_append(&b, NULL, 0);
	assert_int_equal(b.len, 0);
	for (int i = 0; i < 1000; i++) {
		buf_printf(&b, "%03d", i);
		buf_char(&b, ' ');
		snprintf(expected + i * 4, 5 - (i == 999), "%03d ", i);
	}
	expected[3999] = ' ';
	assert_int_equal(b.len, 4000);
	assert_memory_equal(b.data, expected, 4000);
	assert_int_equal(b.data[4000], '\0');
	buf_consume(&b, 3997);
	assert_string_equal(buf_text(&b), "99 ");
	buf_consume(&b, 100);
	assert_string_equal(buf_text(&b), "");
	buf_str(&b, "again");
	assert_string_equal(buf_text(&b), "again");
	assert_false(b.failed);
	buf_finish(&b);
	assert_string_equal(buf_text(&b), "");
	buf_finish(&b);
}

/* A request that cannot be met is remembered, and the text so far stays whole. */
static void test_buf_too_large(void **state)
{
	struct buf b = BUF_INIT;

	(void) state;
	buf_str(&b, "kept");
	buf_append(&b, "x", SIZE_MAX - 2);
	assert_true(b.failed);
	buf_str(&b, "not this");
	assert_string_equal(buf_text(&b), "kept");
	buf_reset(&b);
	assert_false(b.failed);
	buf_finish(&b);
}

/* ---- JSON ------------------------------------------------------------------------------- */

static void test_micro(void **state)
{
	static const struct {
		int64_t value;
		const char *text;
	} cases[] = {
		{ 0, "0.000000" },
		{ 1, "0.000001" },
		{ -1, "-0.000001" },
		{ 999999, "0.999999" },
		{ 1000000, "1.000000" },
		{ 8369286, "8.369286" },
		{ -392000000, "-392.000000" },
		{ INT64_MAX, "9223372036854.775807" },
		{ INT64_MIN, "-9223372036854.775808" },
	};
	struct buf b = BUF_INIT;

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_reset(&b);
		jw_put_micro(&b, cases[i].value);
		assert_string_equal(buf_text(&b), cases[i].text);
	}
	buf_finish(&b);
}

static void test_string(void **state)
{
	static const struct {
		const char *in;
		const char *out;
	} cases[] = {
		{ "", "\"\"" },
		{ "python", "\"python\"" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "line\nand\ttab", "\"line\\nand\\ttab\"" },
		{ "\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\"" },
		{ "caf\xc3\xa9", "\"caf\xc3\xa9\"" },
		{ "\xff"
		  "ab",
			"\"\xef\xbf\xbd"
			"ab\"" },
		{ "x\xe2\x82y", "\"x\xef\xbf\xbdy\"" }, /* one mark for two bytes */
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xe2\x82", "\"\xef\xbf\xbd\"" },
	};
	struct buf b = BUF_INIT;

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_reset(&b);
		jw_put_string(&b, cases[i].in, strlen(cases[i].in));
		assert_string_equal(buf_text(&b), cases[i].out);
	}
	buf_reset(&b);
	jw_put_string(&b, "a\0b", 3);
	assert_string_equal(buf_text(&b), "\"a\\u0000b\"");
	buf_finish(&b);
}

/* Whatever the bytes are, another program's parser must take the string. */
static void test_string_random(void **state)
{
	uint64_t seed = rng_seed();
	struct buf b = BUF_INIT;

	(void) state;
	for (uint64_t i = 0; i < 20000; i++) {
		struct rng r = rng_make(seed, i);
		char bytes[24];
		size_t n = rng_below(&r, sizeof(bytes) + 1);
		const char *wrong;

		rng_bytes(&r, bytes, n);
		if (rng_one_in(&r, 2)) /* mostly bytes that characters are made of */
			for (size_t k = 0; k < n; k++)
				bytes[k] =
					(char) "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xed\xa0 \\\"\n"
						[rng_below(&r, 15)];
		buf_reset(&b);
		jw_put_string(&b, bytes, n);
		wrong = json_wrong(b.data, b.len);
		if (wrong)
			fail_msg("seed %llu, case %llu: %s: %s", (unsigned long long) seed,
				(unsigned long long) i, wrong, b.data);
	}
	buf_finish(&b);
}

static void test_writer(void **state)
{
	struct buf b = BUF_INIT;
	struct jw j = JW_INIT(&b);

	(void) state;
	jw_open(&j, '{');
	jw_key(&j, "a");
	jw_open(&j, '[');
	jw_close(&j, ']');
	jw_key(&j, "b");
	jw_open(&j, '[');
	jw_u64(&j, UINT64_MAX);
	jw_i64(&j, INT64_MIN);
	jw_open(&j, '{');
	jw_close(&j, '}');
	jw_null(&j);
	jw_bool(&j, true);
	jw_string(&j, NULL);
	jw_string(&j, "s");
	jw_micro(&j, 1500000);
	jw_close(&j, ']');
	jw_kv_string(&j, "c\"", "d");
	jw_kv_u64(&j, "e", 1);
	jw_kv_i64(&j, "f", -1);
	jw_kv_micro(&j, "g", 2);
	jw_kv_bool(&j, "h", false);
	jw_kv_null(&j, "i");
	jw_close(&j, '}');
	assert_string_equal(buf_text(&b),
		"{\"a\": [], \"b\": [18446744073709551615, -9223372036854775808, {}, null, true, "
		"null, \"s\", 1.500000], \"c\\\"\": \"d\", \"e\": 1, \"f\": -1, \"g\": 0.000002, "
		"\"h\": false, \"i\": null}");
	buf_finish(&b);
}

/* The JSON library's own names must be found in the library, not in the program that uses it. */
static void test_names_stay_inside(void **state)
{
	static const char *const names[] = { "json_null", "json_string" };

	(void) state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		void *found = dlsym(RTLD_DEFAULT, names[i]);
		Dl_info info;

		if (found && dladdr(found, &info) && !strstr(info.dli_fname, "jansson"))
			fail_msg("%s is found in %s", names[i], info.dli_fname);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8_table),
		cmocka_unit_test(test_utf8_all),
		cmocka_unit_test(test_buf),
		cmocka_unit_test(test_buf_too_large),
		cmocka_unit_test(test_micro),
		cmocka_unit_test(test_string),
		cmocka_unit_test(test_string_random),
		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_names_stay_inside),
	};

	return cmocka_run_group_tests_name("json_out", tests, NULL, NULL);
}
