// SPDX-License-Identifier: MIT
/* Messages: encoded and decoded, cut, damaged, hostile, and what they ask for. */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meter/domain.h"
#include "events/event.h"
#include "files.h"
#include "random.h"

#define CPU KIND_BIT(KIND_CPU)
#define GPU KIND_BIT(KIND_GPU)
#define DRAM KIND_BIT(KIND_DRAM)
#define S INT64_C(1000000000)

static struct wire_text text(const char *s)
{
	return (struct wire_text) { s, strlen(s) };
}

static const int32_t some_pids[] = { 4242, 17, 1 };
static const int8_t some_types[] = { 0, 3 };

/* A start event for three pids, types 0 and 3, ten seconds. */
static struct wire_event start_event(void)
{
	return (struct wire_event) { .type = WIRE_MONITOR_START,
		.create_ts = text("2026-11-22T10:28:37.376716"),
		.start_ts = text(""),
		.pids = some_pids,
		.n_pids = 3,
		.types = some_types,
		.n_types = 2,
		.seconds = 10 };
}

static uint8_t message[32 * 1024];
static struct request event;
static char why[REQUEST_WHY_MAX];

static size_t encode(const struct wire_event *w)
{
	int n = codec_encode(w, message, sizeof(message));

	assert_true(n > 0);
	return (size_t) n;
}

/* Decodes from memory of exactly that length, at an odd address. */
static int decode_bytes(const void *bytes, size_t n, enum monitor_types numbering)
{
	char *exact = malloc(n + 1);
	int r;

	assert_non_null(exact);
	if (n > 0)
		memcpy(exact + 1, bytes, n);
	memset(&event, 0xee, sizeof(event));
	snprintf(why, sizeof(why), "(no reason)");
	r = event_decode(exact + 1, n, numbering, &event, why, sizeof(why));
	free(exact);
	return r;
}

static int decode(size_t n)
{
	return decode_bytes(message, n, MONITOR_TYPES_README);
}

static void expect_refusal(const struct wire_event *w, const char *reason)
{
	int r = decode(encode(w));

	if (r != -EBADMSG || !strstr(why, reason))
		fail_msg("%d, \"%s\", not \"%s\"", r, why, reason);
}

/* ---- there and back --------------------------------------------------------------------- */

static void test_start(void **state)
{
	struct wire_event w = start_event();

	(void) state;
	assert_int_equal(decode(encode(&w)), 0);
	assert_int_equal(message[0], 0x20);
	assert_int_equal(message[1], 0);
	assert_int_equal(event.kind, REQUEST_START);
	assert_string_equal(event.create_ts, "2026-11-22T10:28:37.376716");
	assert_int_equal(event.n_pids, 3);
	assert_memory_equal(event.pids, some_pids, sizeof(some_pids));
	assert_int_equal(event.kinds, CPU | GPU | DRAM);
	assert_int_equal(event.seconds, 10);
	assert_true(event.start_now);
}

static void test_start_times(void **state)
{
	struct wire_event w = start_event();

	(void) state;
	w.start_ts = text("2026-11-22T10:28:37.5+01:00");
	assert_int_equal(decode(encode(&w)), 0);
	assert_false(event.start_now);
	assert_int_equal(event.start_wall_ns, (1795343317 - 3600) * S + S / 2);
	w.start_ts = text("2026-11-22T10:28:37.376716"); /* without an offset: UTC */
	assert_int_equal(decode(encode(&w)), 0);
	assert_int_equal(event.start_wall_ns, 1795343317 * S + 376716000);
	w.start_ts = text("soon");
	expect_refusal(&w, "monitor_start_ts \"soon\" is no time");
	w.start_ts = text("\x1b[2Jboo"); /* nothing of that goes into a log */
	expect_refusal(&w, "monitor_start_ts \"\" is no time");
	w.start_ts = (struct wire_text) { "2026-11-22T10:28:37\0", 20 };
	expect_refusal(&w, "is no time");
}

static void test_stop(void **state)
{
	struct wire_event w = {
		.type = WIRE_MONITOR_STOP, .create_ts = text("x"), .pids = some_pids, .n_pids = 2
	};

	(void) state;
	assert_int_equal(decode(encode(&w)), 0);
	assert_int_equal(message[0], 0x21);
	assert_int_equal(event.kind, REQUEST_STOP);
	assert_int_equal(event.n_pids, 2);
	assert_int_equal(event.pids[1], 17);
	w.n_pids = 0;
	expect_refusal(&w, "names no pids");
}

static void test_terminate(void **state)
{
	struct wire_event w = { .type = WIRE_PLUGIN_TERMINATE,
		.create_ts = text("x"),
		.name = text("ext_power_monitor_plugin"),
		.uuid = text("4a0fca25-1935-472a-8674-58f22c3a32b3") };

	(void) state;
	assert_int_equal(decode(encode(&w)), 0);
	assert_int_equal(message[0], 0x12);
	assert_int_equal(event.kind, REQUEST_TERMINATE);
	assert_true(event_is_for(&event, "ext_power_monitor_plugin", "other"));
	assert_true(event_is_for(&event, "other", "4a0fca25-1935-472a-8674-58f22c3a32b3"));
	assert_false(event_is_for(&event, "other", "other"));
	w.name = text("*");
	assert_int_equal(decode(encode(&w)), 0);
	assert_true(event_is_for(&event, "other", "other"));
	w.name = text("another_plugin");
	w.uuid = text("*");
	assert_int_equal(decode(encode(&w)), 0);
	assert_true(event_is_for(&event, "other", "other"));
	/* Nobody's name. */
	w.name = w.uuid = text("");
	assert_int_equal(decode(encode(&w)), 0);
	assert_false(event_is_for(&event, "ext_power_monitor_plugin", "4a0fca25"));
}

/* Good events that are not for a power meter. */
static void test_not_for_us(void **state)
{
	struct wire_event w = { .type = WIRE_PLUGIN_STARTED, .name = text("a"), .uuid = text("b") };

	(void) state;
	assert_int_equal(decode(encode(&w)), -ENOMSG);
	assert_non_null(strstr(why, "PluginStartedEvent"));
	w.type = WIRE_PLUGIN_TERMINATING;
	assert_int_equal(decode(encode(&w)), -ENOMSG);
	assert_int_equal(message[0], 0x11);
}

static void test_encode_limit(void **state)
{
	struct wire_event w = start_event();
	size_t n = encode(&w);

	(void) state;
	assert_int_equal(codec_encode(&w, message, n), n);
	assert_int_equal(codec_encode(&w, message, n - 1), -EMSGSIZE);
	assert_int_equal(codec_encode(&w, message, 0), -EMSGSIZE);
}

/* ---- monitor types ---------------------------------------------------------------------- */

static void test_types(void **state)
{
	static const uint32_t readme[] = { CPU | GPU, CPU, GPU, DRAM, DRAM, 0 };
	static const uint32_t events[] = { CPU | GPU, CPU | GPU | DRAM, CPU, GPU, DRAM, 0 };
	struct wire_event w = start_event();

	(void) state;
	w.n_types = 1;
	for (int8_t type = 0; type <= 5; type++) {
		size_t n;

		w.types = &type;
		n = encode(&w);
		assert_int_equal(monitor_type_kinds(type, MONITOR_TYPES_README), readme[type]);
		assert_int_equal(monitor_type_kinds(type, MONITOR_TYPES_EVENTS), events[type]);
		if (type == 5) {
			expect_refusal(&w, "5 is no monitor type");
			continue;
		}
		assert_int_equal(decode_bytes(message, n, MONITOR_TYPES_README), 0);
		assert_int_equal(event.kinds, readme[type]);
		assert_int_equal(decode_bytes(message, n, MONITOR_TYPES_EVENTS), 0);
		assert_int_equal(event.kinds, events[type]);
	}
	w.types = (const int8_t[]) { -1 };
	expect_refusal(&w, "-1 is no monitor type");
	w.types = (const int8_t[]) { 1, 127 };
	w.n_types = 2;
	expect_refusal(&w, "127 is no monitor type");
	assert_int_equal(monitor_type_kinds(INT32_MIN, MONITOR_TYPES_README), 0);
}

static void test_type_names(void **state)
{
	static const struct {
		const char *name;
		enum monitor_types numbering;
		int n;
		int8_t numbers[3];
	} cases[] = {
		{ "cpu", MONITOR_TYPES_README, 1, { 1 } },
		{ "gpu", MONITOR_TYPES_README, 1, { 2 } },
		{ "dram", MONITOR_TYPES_README, 1, { 3 } },
		{ "all", MONITOR_TYPES_README, 2, { 0, 3 } },
		{ "cpu", MONITOR_TYPES_EVENTS, 1, { 2 } },
		{ "gpu", MONITOR_TYPES_EVENTS, 1, { 3 } },
		{ "dram", MONITOR_TYPES_EVENTS, 1, { 4 } },
		{ "all", MONITOR_TYPES_EVENTS, 1, { 1 } },
		{ "7", MONITOR_TYPES_README, 1, { 7 } },
		{ "-3", MONITOR_TYPES_README, 1, { -3 } },
		{ "128", MONITOR_TYPES_README, -EINVAL, { 0 } },
		{ "", MONITOR_TYPES_README, -EINVAL, { 0 } },
		{ "CPU", MONITOR_TYPES_README, -EINVAL, { 0 } },
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int8_t got[3] = { 0 };
		int n = monitor_type_parse(cases[i].name, cases[i].numbering, got);

		if (n != cases[i].n || memcmp(got, cases[i].numbers, sizeof(got)) != 0)
			fail_msg("\"%s\": %d, %d", cases[i].name, n, got[0]);
	}
}

/* ---- limits ----------------------------------------------------------------------------- */

static void test_limits(void **state)
{
	static int32_t pids[REQUEST_MAX_PIDS + 1];
	static int8_t types[EVENT_MAX_TYPES + 1];
	struct wire_event w = start_event();
	char *large;

	(void) state;
	for (int i = 0; i <= REQUEST_MAX_PIDS; i++)
		pids[i] = i - 5; /* senseless ones are the sessions' business */
	w.n_pids = 0;
	expect_refusal(&w, "names no pids");
	w.pids = pids;
	w.n_pids = REQUEST_MAX_PIDS;
	assert_int_equal(decode(encode(&w)), 0);
	assert_int_equal(event.n_pids, REQUEST_MAX_PIDS);
	assert_memory_equal(event.pids, pids, sizeof(event.pids));
	w.n_pids++;
	expect_refusal(&w, "1025 pids in one event, more than 1024");
	w.n_pids = 1;
	w.n_types = 0;
	expect_refusal(&w, "names no monitor types");
	w.types = types;
	w.n_types = EVENT_MAX_TYPES;
	assert_int_equal(decode(encode(&w)), 0);
	w.n_types++;
	expect_refusal(&w, "65 monitor types in one event");
	large = calloc(1, EVENT_MAX_BYTES + 1);
	assert_int_equal(decode_bytes(large, EVENT_MAX_BYTES + 1, MONITOR_TYPES_README), -EBADMSG);
	assert_non_null(strstr(why, "1048577 bytes"));
	assert_int_equal(decode_bytes(large, EVENT_MAX_BYTES, MONITOR_TYPES_README), -EBADMSG);
	free(large);
}

/* Texts that do not fit, or that would do something to a terminal, become nothing. */
static void test_texts(void **state)
{
	char long_text[300];
	struct wire_event w = start_event();

	(void) state;
	memset(long_text, 'x', sizeof(long_text));
	w.create_ts = (struct wire_text) { long_text, REQUEST_TS_MAX - 1 };
	assert_int_equal(decode(encode(&w)), 0);
	assert_int_equal(strlen(event.create_ts), REQUEST_TS_MAX - 1);
	w.create_ts.n = REQUEST_TS_MAX;
	assert_int_equal(decode(encode(&w)), 0);
	assert_string_equal(event.create_ts, "");
	w.create_ts = text("caf\xc3\xa9");
	assert_int_equal(decode(encode(&w)), 0);
	assert_string_equal(event.create_ts, "");
	w = (struct wire_event) { .type = WIRE_PLUGIN_TERMINATE, .name = { long_text, 300 } };
	assert_int_equal(decode(encode(&w)), 0);
	assert_string_equal(event.name, "");
}

/* ---- damage ----------------------------------------------------------------------------- */

/* Every cut of every kind of message is refused, or at least harmless. */
static void test_truncation(void **state)
{
	struct wire_event events[] = { start_event(),
		{ .type = WIRE_MONITOR_STOP,
			.create_ts = text("x"),
			.pids = some_pids,
			.n_pids = 3 },
		{ .type = WIRE_PLUGIN_TERMINATE, .name = text("*"), .uuid = text("u") } };

	(void) state;
	for (size_t i = 0; i < 3; i++) {
		size_t n = encode(&events[i]);

		for (size_t cut = 0; cut < n; cut++) {
			int r = decode(cut);

			/* The encoder pads: the last bytes may not be needed. */
			if (r != -EBADMSG && cut < n - 4)
				fail_msg("event %zu cut at %zu of %zu: %d", i, cut, n, r);
			assert_true(why[0] != '\0');
		}
		assert_int_equal(decode(n), 0);
	}
}

/* What an event that was taken must be like, whatever its bytes were. */
static void check_sane(int r)
{
	if (r < 0) {
		assert_true(r == -EBADMSG || r == -ENOMSG);
		assert_true(why[0] != '\0' && memchr(why, '\0', sizeof(why)) != NULL);
		return;
	}
	assert_non_null(memchr(event.create_ts, '\0', sizeof(event.create_ts)));
	switch (event.kind) {
	case REQUEST_START:
		assert_true(event.kinds && (event.kinds & ~(CPU | GPU | DRAM)) == 0);
		assert_in_range(event.n_pids, 1, REQUEST_MAX_PIDS);
		break;
	case REQUEST_STOP:
		assert_in_range(event.n_pids, 1, REQUEST_MAX_PIDS);
		break;
	case REQUEST_TERMINATE:
		assert_non_null(memchr(event.name, '\0', sizeof(event.name)));
		assert_non_null(memchr(event.uuid, '\0', sizeof(event.uuid)));
		break;
	}
}

static void test_flipped_bytes(void **state)
{
	uint64_t seed = rng_seed();
	struct wire_event w = start_event();
	size_t n = encode(&w);
	uint8_t good[1024];
	int taken = 0;

	(void) state;
	assert_true(n <= sizeof(good));
	memcpy(good, message, n);
	/* Each byte to each value, and then several at a time. */
	for (size_t at = 0; at < n; at++) {
		for (int value = 0; value < 256; value++) {
			memcpy(message, good, n);
			message[at] = (uint8_t) value;
			check_sane(decode(n));
		}
	}
	for (uint64_t i = 0; i < 30000; i++) {
		struct rng r = rng_make(seed, i);
		int result;

		memcpy(message, good, n);
		for (uint64_t k = rng_between(&r, 1, 8); k > 0; k--)
			message[rng_below(&r, n)] =
				(uint8_t) (rng_one_in(&r, 2) ? rng_u64(&r) : rng_below(&r, 8));
		result = decode(rng_one_in(&r, 4) ? rng_between(&r, 0, n) : n);
		taken += result == 0;
		check_sane(result);
	}
	assert_true(taken > 100); /* else the damage is too great to be a test */
}

static void test_random_bytes(void **state)
{
	uint64_t seed = rng_seed();

	(void) state;
	for (uint64_t i = 0; i < 30000; i++) {
		struct rng r = rng_make(seed, 100000 + i);
		size_t n = rng_below(&r, 200);

		rng_bytes(&r, message, n);
		if (rng_one_in(&r, 2)) /* small numbers look more like offsets */
			for (size_t k = 0; k < n; k++)
				message[k] %= 32;
		check_sane(decode(n));
	}
}

/* The union's type and table decide, not the prefix; a type that nobody knows is refused. */
static void test_wrong_unions(void **state)
{
	struct wire_event w = start_event();
	size_t n = encode(&w), type_at = 0;

	(void) state;
	/* The only byte with the value of the type in front of the event's table. */
	for (size_t i = 2; i < 32 && !type_at; i++) {
		uint8_t old = message[i];

		if (old != WIRE_MONITOR_START)
			continue;
		message[i] = WIRE_NEW_IMAGE;
		if (decode(n) == -ENOMSG)
			type_at = i;
		message[i] = old;
	}
	assert_true(type_at > 0);
	for (int type = 0; type < 256; type++) {
		int r;

		message[type_at] = (uint8_t) type;
		r = decode(n);
		check_sane(r);
		if (type == 0 || type >= WIRE_TYPE_COUNT)
			assert_int_equal(r, -EBADMSG);
		else if (type == WIRE_MONITOR_START)
			assert_int_equal(r, 0);
		else if (type < WIRE_PLUGIN_STARTED)
			assert_int_equal(r, -ENOMSG);
	}
	/* A wrong prefix changes nothing. */
	message[type_at] = WIRE_MONITOR_START;
	message[0] = 0x12;
	message[1] = 0xff;
	assert_int_equal(decode(n), 0);
	assert_int_equal(event.kind, REQUEST_START);
}

/* ---- messages of others ----------------------------------------------------------------- */

struct vector {
	const char *name;
	int result;
	enum request_kind kind;
	size_t n_pids;
	uint32_t kinds; /* in the readme's numbering */
	uint32_t seconds;
	bool later;
};

static const struct vector vectors[] = {
	{ "image-received.bin", -ENOMSG, REQUEST_START, 0, 0, 0, false },
	{ "start-empty-start-ts.bin", 0, REQUEST_START, 1, 0, 0, false },
	{ "start-future-rfc3339.bin", 0, REQUEST_START, 1, 0, 0, true },
	{ "start-gpu-and-dram-5s.bin", 0, REQUEST_START, 1, GPU | DRAM, 5, false },
	{ "start-negative-pid.bin", 0, REQUEST_START, 1, 0, 0, false },
	{ "start-no-pids.bin", -EBADMSG, REQUEST_START, 0, 0, 0, false },
	{ "start-one-pid-all-10s.bin", 0, REQUEST_START, 1, 0, 10, false },
	{ "start-two-pids-cpu-forever.bin", 0, REQUEST_START, 2, CPU, 0, false },
	{ "stop-two-pids.bin", 0, REQUEST_STOP, 2, 0, 0, false },
	{ "terminate-all.bin", 0, REQUEST_TERMINATE, 0, 0, 0, false },
	{ "terminate-other.bin", 0, REQUEST_TERMINATE, 0, 0, 0, false },
	{ "terminate-power-by-name.bin", 0, REQUEST_TERMINATE, 0, 0, 0, false },
};

static void check_vector(const struct vector *v)
{
	const char *name = "ext_power_monitor_plugin",
		   *uuid = "4a0fca25-1935-472a-8674-58f22c3a32b3";

	if (event.kind != v->kind)
		fail_msg("%s: kind %d", v->name, (int) event.kind);
	if (v->kind == REQUEST_TERMINATE) {
		bool ours = event_is_for(&event, name, uuid);

		if (ours != (strcmp(v->name, "terminate-other.bin") != 0))
			fail_msg("%s: for us: %d", v->name, ours);
		return;
	}
	if (event.n_pids != v->n_pids)
		fail_msg("%s: %zu pids", v->name, event.n_pids);
	if ((event.pids[0] < 0) != (strcmp(v->name, "start-negative-pid.bin") == 0))
		fail_msg("%s: pid %d", v->name, (int) event.pids[0]);
	if (v->kind != REQUEST_START)
		return;
	if ((v->kinds && event.kinds != v->kinds) || (v->seconds && event.seconds != v->seconds) ||
		(strstr(v->name, "forever") && event.seconds != 0))
		fail_msg("%s: kinds %x, %u s", v->name, (unsigned) event.kinds,
			(unsigned) event.seconds);
	if (v->later ? event.start_now || event.start_wall_ns < 1795343317 * S
		     : !event.start_now && strcmp(v->name, "start-empty-start-ts.bin") == 0)
		fail_msg("%s: now %d, at %" PRId64, v->name, event.start_now, event.start_wall_ns);
}

/* What the stock client sends decodes to what the files' names say. */
static void test_vectors(void **state)
{
	char folder[PATH_SIZE];

	(void) state;
	source_folder("tests/vectors", folder);
	/* None is there that nobody looks at. */
	assert_int_equal(dir_count(folder), sizeof(vectors) / sizeof(vectors[0]));
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		size_t n;
		char *bytes = file_get(folder, vectors[i].name, &n);
		int r;

		assert_non_null(bytes);
		r = decode_bytes(bytes, n, MONITOR_TYPES_README);
		if (r != vectors[i].result)
			fail_msg("%s: %d, \"%s\"", vectors[i].name, r, why);
		if (r == 0)
			check_vector(&vectors[i]);
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_start_times),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_terminate),
		cmocka_unit_test(test_not_for_us),
		cmocka_unit_test(test_encode_limit),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_type_names),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_flipped_bytes),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_wrong_unions),
		cmocka_unit_test(test_vectors),
	};

	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
