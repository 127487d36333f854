// SPDX-License-Identifier: MIT
/*
 * Sensors that tell of the same thing are compared once, over the first seconds that both are read.
 */
#include "session/session_twins.h"

#include "books/account.h"
#include "machine/clock.h"
#include "meter/rig.h"
#include "meter/twins.h"
#include "util/cleanup.h"

/* Slow sensors have told several times by then. */
#define COMPARE_NS (10 * NS_PER_S)

static bool has_twins(const struct session_set *ss)
{
	for (size_t i = 0; i < ss->options.n_domains; i++)
		if (session_set_domain(ss, i)->twin &&
			(ss->wanted & KIND_BIT(session_set_domain(ss, i)->kind)))
			return true;
	return false;
}

static void say_differences(struct session_set *ss)
{
	uint64_t power_uw[RIG_MAX_DOMAINS];
	struct twins twins[KIND_COUNT * RIG_MAX_SENSORS];
	size_t n;

	for (size_t i = 0; i < ss->options.n_domains; i++) {
		struct span span;

		account_domain_since(ss->account, ss->twins_mark, ACCOUNT_NO_SLOT, i, &span);
		power_uw[i] = span.known ? span.power_uw : TWINS_UNKNOWN;
	}
	n = twins_find(
		ss->options.domains, ss->options.n_domains, power_uw, twins, ARRAY_SIZE(twins));
	for (size_t i = 0; i < n; i++) {
		char text[256];

		twins_text(&twins[i], "W", text, sizeof(text));
		session_set_say(ss, SESSION_WARNING, "%s", text);
	}
}

void session_compare_twins(struct session_set *ss, uint64_t t_ns)
{
	if (ss->twins_compared)
		return;
	if (!has_twins(ss)) {
		session_forget_twins(ss);
	} else if (!ss->twins_mark) {
		ss->twins_mark = account_mark_new(ss->account, ACCOUNT_NO_SLOT);
		ss->twins_since_ns = t_ns;
	} else if (t_ns >= ss->twins_since_ns + COMPARE_NS) {
		say_differences(ss);
		session_forget_twins(ss);
		ss->twins_compared = true;
	}
}

void session_forget_twins(struct session_set *ss)
{
	account_mark_free(take_ptr(ss->twins_mark));
}
