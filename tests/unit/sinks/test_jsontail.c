// SPDX-License-Identifier: MIT
#include "test.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jsoncheck.h"
#include "random.h"
#include "util/buf.h"
#include "util/jw.h"
#include "sinks/jsontail.h"

/* A '^' in the text stands where the last whole entry ends, and is not part of it. */
static void expect(const char *text, bool whole, char bracket, bool sound, const char *key)
{
	struct jsontail found;
	size_t end = strcspn(text, "^"), n = strlen(text) - 1;
	char *exact = malloc(n); /* a sanitizer sees any read behind it */
	int r;

	memcpy(exact, text, end);
	memcpy(exact + end, text + end + 1, n - end);
	r = jsontail_find(exact, n, whole, bracket, &found);
	free(exact);
	if (r != 0 || found.sound != sound || found.end != end || strcmp(found.key, key) != 0 ||
		found.any != (*key != '\0'))
		fail_msg("%s: %d, sound %d, end %zu, key \"%s\"", text, r, found.sound, found.end,
			found.key);
}

static void expect_none(const char *text, bool whole, char bracket)
{
	struct jsontail found;

	if (jsontail_find(text, strlen(text), whole, bracket, &found) != -EBADMSG)
		fail_msg("%s is taken for a log, up to %zu", text, found.end);
}

#define K1 "2023-08-25 05:50:59"
#define K2 "2023-08-25 05:51:00.500000"

static void test_whole(void **state)
{
	(void) state;
	expect("{^}", true, '{', true, "");
	expect("{^}\n", true, '{', true, "");
	expect(" {^ } ", true, '{', true, "");
	expect("[^]\n", true, '[', true, "");
	expect("{\"" K1 "\": 48.5^}\n", true, '{', true, K1);
	expect("{\"" K1 "\": 48.5, \"" K2 "\": [8.3, \"337263\", \"python\"]^}\n", true, '{', true,
		K2);
	expect("[{\"" K1 "\": [[1.5, \"12\"], [2.5, \"13\"]]},\n{\"" K2 "\": []}^]\n", true, '[',
		true, K2);
	/* A log of any keys is a log as long as all of it is seen. */
	expect("{\"a\": {\"b\": [1, {}]}, \"c\": null^}", true, '{', true, "c");
}

static void test_torn(void **state)
{
	(void) state;
	expect("{^", true, '{', false, "");
	expect("{^\"" K1, true, '{', false, "");
	expect("{^\"" K1 "\"", true, '{', false, "");
	expect("{^\"" K1 "\": ", true, '{', false, "");
	/* The number may go on: it is not taken. */
	expect("{^\"" K1 "\": 48.5", true, '{', false, "");
	expect("{\"" K1 "\": 48.5^, ", true, '{', false, K1);
	expect("{\"" K1 "\": 48.5^, \"" K2 "\": [8.3, \"1", true, '{', false, K1);
	expect("{\"" K1 "\": 48.5^}}", true, '{', false, K1);
	expect("{\"" K1 "\": 48.5^} {\"", true, '{', false, K1);
	expect("{\"" K1 "\": 48.5^]", true, '{', false, K1);
	expect("[^{\"" K1 "\": [[1.5, \"1", true, '[', false, "");
	expect("[{\"" K1 "\": []}^, {\"" K2 "\": [[", true, '[', false, K1);
}

/* Blocks of zeros, as a power cut leaves them. */
static void test_zeros(void **state)
{
	char text[64] = "{\"" K1 "\": 48.5, ";
	struct jsontail found;

	(void) state;
	assert_int_equal(jsontail_find(text, sizeof(text), true, '{', &found), 0);
	assert_false(found.sound);
	assert_int_equal(found.end, strlen(text) - 2);
	assert_string_equal(found.key, K1);
	memset(text, 0, sizeof(text));
	assert_int_equal(jsontail_find(text, sizeof(text), true, '{', &found), -EBADMSG);
	assert_int_equal(jsontail_find(text, sizeof(text), false, '{', &found), -EBADMSG);
}

static void test_foreign(void **state)
{
	(void) state;
	expect_none("", true, '{');
	expect_none("\n", true, '{');
	expect_none("[]", true, '{');
	expect_none("{}", true, '[');
	expect_none("hello", true, '{');
	expect_none("3", true, '{');
	/* The end of a file of which the beginning is not seen. */
	expect_none("", false, '{');
	expect_none("8.3, \"337263\", \"python\"]}\n", false, '{');
	expect_none("\"" K1, false, '{');
	expect_none("{\"" K1 "\": [", false, '[');
}

static void test_rear(void **state)
{
	(void) state;
	expect("63\", \"py\"], \"" K1 "\": 48.5^}\n", false, '{', true, K1);
	expect("48.5, \"" K1 "\": 48.5^, \"" K2 "\": [1", false, '{', false, K1);
	/* What looks like a key's end is not one. */
	expect("3-08-25 05:50:59\": [8.3, \"1\", \"x\"], \"" K2 "\": 1^}", false, '{', true, K2);
	expect("1\"]]},\n{\"" K1 "\": [[1.5, \"12\"]]},\n{\"" K2 "\": []}^]\n", false, '[', true,
		K2);
}

/* Names come from processes, and can be anything. */
static void test_hostile_names(void **state)
{
	static const char *const names[] = { "}", "{", "\"", "\\", "\\\"", "]}\n", ", \"", "[[[[",
		"a\nb", "\xff\xfe", "", "\", \"x\": 1}", "2023-08-25 05:50" };
	struct buf b = BUF_INIT;

	(void) state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct jsontail found;
		size_t last;

		buf_reset(&b);
		buf_str(&b, "{\"" K1 "\": [1.000000, \"12\", ");
		jw_put_string(&b, names[i], strlen(names[i]));
		last = b.len + strlen("], ");
		buf_str(&b, "], \"" K2 "\": [1.000000, \"12\", ");
		jw_put_string(&b, names[i], strlen(names[i]));
		buf_str(&b, "]}\n");
		assert_int_equal(jsontail_find(b.data, b.len, true, '{', &found), 0);
		if (!found.sound || found.end != b.len - 2 || strcmp(found.key, K2) != 0)
			fail_msg("%s", b.data);
		/* Also where only the end is seen, cut within the first name or anywhere. */
		for (size_t from = 1; from <= last; from++) {
			if (jsontail_find(b.data + from, b.len - from, false, '{', &found) != 0 ||
				!found.sound || found.end != b.len - from - 2)
				fail_msg("from %zu: %s", from, b.data);
		}
	}
	buf_finish(&b);
}

/* A log of random entries, and where each of them ends. */
struct sample {
	struct buf text;
	size_t ends[64];
	char keys[64][40];
	size_t n;
};

static void make_log(struct sample *s, struct rng *r, char bracket)
{
	uint64_t us = rng_below(r, 1000000);

	s->n = 1 + rng_below(r, 40);
	buf_reset(&s->text);
	buf_char(&s->text, bracket);
	for (size_t i = 0; i < s->n; i++) {
		char name[12];
		size_t len = rng_below(r, sizeof(name));

		rng_bytes(r, name, len);
		us += 1 + rng_below(r, 2000000);
		snprintf(s->keys[i], sizeof(s->keys[i]), "2023-08-25 05:%02u:%02u.%06u",
			(unsigned) (us / 60000000 % 60), (unsigned) (us / 1000000 % 60),
			(unsigned) (us % 1000000));
		if (i > 0)
			buf_str(&s->text, bracket == '{' ? ", " : ",\n");
		buf_printf(&s->text, "%s\"%s\": [%" PRIu64 ".%06u, \"%u\", ",
			bracket == '[' ? "{" : "", s->keys[i], rng_below(r, 300),
			(unsigned) rng_below(r, 1000000), (unsigned) rng_below(r, 1 << 22));
		jw_put_string(&s->text, name, len);
		buf_str(&s->text, bracket == '[' ? "]}" : "]");
		s->ends[i] = s->text.len;
	}
	buf_str(&s->text, bracket == '{' ? "}\n" : "]\n");
}

/* However a log is cut: the part that is called whole is exactly the entries that are, and closed
 * again it is JSON. */
static void test_every_cut(void **state)
{
	uint64_t seed = rng_seed();
	struct sample s = { 0 };

	(void) state;
	for (uint64_t i = 0; i < 12; i++) {
		struct rng r = rng_make(seed, i);
		char bracket = i % 2 ? '[' : '{';

		make_log(&s, &r, bracket);
		for (size_t n = 1; n <= s.text.len; n++) {
			struct jsontail found;
			char *exact = malloc(n);
			size_t whole = 0;

			while (whole < s.n && s.ends[whole] <= n)
				whole++;
			memcpy(exact, s.text.data, n);
			if (jsontail_find(exact, n, true, bracket, &found) != 0 ||
				found.any != (whole > 0) ||
				found.end != (whole ? s.ends[whole - 1] : 1) ||
				strcmp(found.key, whole ? s.keys[whole - 1] : "") != 0 ||
				found.sound != (n >= s.text.len - 1))
				fail_msg("seed %" PRIu64 ", case %" PRIu64
					 ": %zu of %zu bytes: end %zu, key %s",
					seed, i, n, s.text.len, found.end, found.key);
			if (n % 16 == 0) {
				char *closed = malloc(found.end + 2);

				memcpy(closed, exact, found.end);
				closed[found.end] = bracket == '{' ? '}' : ']';
				closed[found.end + 1] = '\n';
				if (json_wrong(closed, found.end + 2))
					fail_msg("seed %" PRIu64 ", case %" PRIu64 ": %.*s", seed,
						i, (int) found.end + 2, closed);
				free(closed);
			}
			free(exact);
		}
	}
	buf_finish(&s.text);
}

/* Where only the end of the file is seen, the answer is the same. */
static void test_every_rear(void **state)
{
	uint64_t seed = rng_seed();
	struct sample s = { 0 };

	(void) state;
	for (uint64_t i = 0; i < 40; i++) {
		struct rng r = rng_make(seed, 1000 + i);
		char bracket = i % 2 ? '[' : '{';
		size_t last;

		make_log(&s, &r, bracket);
		/* Where the last entry begins: from there on there is none to be found. */
		last = s.n > 1 ? s.ends[s.n - 2] + 2 : 1;
		for (size_t from = 1; from < s.text.len; from++) {
			struct jsontail found;
			int result = jsontail_find(
				s.text.data + from, s.text.len - from, false, bracket, &found);

			if (from > last ? result != -EBADMSG
					: result != 0 || !found.sound ||
						found.end + from != s.ends[s.n - 1] ||
						strcmp(found.key, s.keys[s.n - 1]) != 0)
				fail_msg("seed %" PRIu64 ", case %" PRIu64
					 ": from %zu: %d, end %zu",
					seed, i, from, result, found.end);
		}
	}
	buf_finish(&s.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_zeros),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_rear),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_every_rear),
	};

	return cmocka_run_group_tests_name("jsontail", tests, NULL, NULL);
}
