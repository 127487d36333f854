// SPDX-License-Identifier: MIT
/*
 * Taking markers out of a channel that anybody may have written into.
 */
#include "phases/phase_channel_state.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "machine/clock.h"
#include "util/printable.h"
#include "target/procstat.h"

/* Whether a ring's thread is still there is looked at this often, where the ring is silent. */
#define LOOK_NS (100 * NS_PER_MS)

/* No program marks faster: where a ring's head says so it is rubbish. */
#define FASTEST_NS 2

/* More is not lost between two looks. */
#define MOST_LOST (1u << 24)

/* One reading. */
struct reader {
	struct phase_channel *channel;
	uint64_t from_ns;
	uint64_t now_ns;
	bool last;
	void (*take)(void *ctx, const struct phase_marker *m);
	void *ctx;
};

static bool read_at(struct phase_channel *c, void *ret, size_t size, size_t at)
{
	if (pread(c->fd, ret, size, (off_t) at) == (ssize_t) size)
		return true;
	if (!c->damaged)
		c->troubles.rubbish++;
	c->damaged = true;
	return false;
}

static size_t ring_at(size_t i)
{
	return PM_PHASE_DATA_AT_ + i * sizeof(struct pm_phase_ring_);
}

static bool read_slot(struct phase_channel *c, size_t i, struct pm_phase_slot_ *ret)
{
	return read_at(c, ret, sizeof(*ret), PM_PHASE_SLOTS_AT_ + i * sizeof(*ret));
}

static int32_t pid_of(const struct phase_channel *c, const struct phase_channel_thread *t)
{
	uint64_t pid = t->claim >> 32;

	return t->pid_ns == c->own_pid_ns && pid <= INT32_MAX ? (int32_t) pid : 0;
}

static void tell(
	const struct reader *r, enum phase_mark what, uint32_t thread, uint32_t name, uint64_t t_ns)
{
	const struct phase_marker m = { .what = what,
		.thread = thread,
		.name = name,
		.pid = pid_of(r->channel, &r->channel->threads[thread]),
		.t_ns = t_ns };

	r->take(r->ctx, &m);
}

static uint32_t thread_for(struct phase_channel *c, const struct pm_phase_slot_ *slot)
{
	uint32_t spare = PHASES_MAX_THREADS;

	for (uint32_t i = 0; i < PHASES_MAX_THREADS; i++) {
		struct phase_channel_thread *t = &c->threads[i];

		if (t->n_rings == 0) {
			/* The one that is free longest: its last thread's end, which was noticed late,
			 * must not seem to be this one's. */
			if (spare == PHASES_MAX_THREADS || t->free_ns < c->threads[spare].free_ns)
				spare = i;
		} else if (t->claim == slot->claim && t->pid_ns == slot->pid_ns) {
			t->n_rings++;
			return i;
		}
	}
	/* There are more entries than rings. */
	c->threads[spare] = (struct phase_channel_thread) {
		.claim = slot->claim, .pid_ns = slot->pid_ns, .n_rings = 1
	};
	return spare;
}

static void leave_ring(const struct reader *r, struct phase_channel_ring *ring)
{
	struct phase_channel_thread *t = &r->channel->threads[ring->thread];

	if (!ring->known || ring->over)
		return;
	ring->over = true;
	if (t->n_rings == 1)
		tell(r, PHASE_GONE, ring->thread, PHASES_NO_NAME, r->now_ns);
	t->free_ns = r->now_ns;
	t->n_rings--;
}

/* Markers that are missing: what is open ends when it was heard of last. */
static void lose(const struct reader *r, struct phase_channel_ring *ring, uint64_t n)
{
	r->channel->troubles.lost += n;
	tell(r, PHASE_GONE, ring->thread, PHASES_NO_NAME,
		ring->last_ns > r->from_ns ? ring->last_ns : r->from_ns);
}

static void begin_ring(
	const struct reader *r, struct phase_channel_ring *ring, const struct pm_phase_slot_ *slot)
{
	struct phase_channel *c = r->channel;
	struct phase_channel_ring old = *ring;

	leave_ring(r, ring);
	/* Threads that came and went meanwhile. */
	if (slot->base > old.next && slot->base - old.next <= MOST_LOST)
		c->troubles.lost += slot->base - old.next;
	*ring = (struct phase_channel_ring) { .known = true,
		.claim = slot->claim,
		.claims = slot->claims,
		.next = slot->base,
		.read_ns = r->from_ns,
		.asked_ns = r->now_ns,
		.stuck_at = UINT64_MAX };
	ring->thread = thread_for(c, slot);
}

/* A name's number here; PHASES_NO_NAME: there is no room for it. */
static uint32_t intern(struct phase_channel *c, const char *text)
{
	for (uint32_t i = 0; i < c->n_names; i++)
		if (strcmp(c->names[i], text) == 0)
			return i;
	if (c->n_names == PHASES_MAX_NAMES)
		return PHASES_NO_NAME;
	snprintf(c->names[c->n_names], sizeof(c->names[0]), "%s", text);
	return c->n_names++;
}

static void read_names(struct phase_channel *c, struct phase_channel_ring *ring, size_t i,
	const struct pm_phase_slot_ *slot)
{
	uint32_t n = slot->names <= PM_PHASE_NAMES_ ? slot->names : PM_PHASE_NAMES_;
	char text[PM_PHASE_NAME_];

	for (; ring->n_names < n; ring->n_names++) {
		if (!read_at(c, text, sizeof(text), ring_at(i) + ring->n_names * sizeof(text)))
			return;
		text[sizeof(text) - 1] = '\0';
		printable(text);
		ring->names[ring->n_names] = intern(c, text);
	}
	if (slot->cut > ring->cut)
		c->troubles.cut += slot->cut - ring->cut;
	if (slot->unnamed > ring->unnamed)
		c->troubles.unnamed += slot->unnamed - ring->unnamed;
	ring->cut = slot->cut;
	ring->unnamed = slot->unnamed;
}

/* Takes one record; false where it is not there yet. */
static bool take_record(
	const struct reader *r, struct phase_channel_ring *ring, const struct pm_phase_record_ *rec)
{
	struct phase_channel *c = r->channel;
	uint32_t name = rec->name & ~PM_PHASE_END_;

	if (rec->number != (uint32_t) ring->next) {
		/* Without a barrier, as Python has none, the head may be seen first. Not for long. */
		if (ring->stuck_at != ring->next && !r->last) {
			ring->stuck_at = ring->next;
			return false;
		}
		c->troubles.rubbish++;
		return true;
	}
	if (name >= ring->n_names || rec->t_ns > r->now_ns || rec->t_ns < ring->last_ns ||
		rec->t_ns < c->created_ns) {
		c->troubles.rubbish++;
		return true;
	}
	ring->last_ns = rec->t_ns;
	if (ring->names[name] == PHASES_NO_NAME)
		c->troubles.unnamed++;
	else
		tell(r, rec->name & PM_PHASE_END_ ? PHASE_END : PHASE_BEGIN, ring->thread,
			ring->names[name], rec->t_ns);
	return true;
}

/* Reads n records from ring->next on into c->records. */
static bool read_records(
	struct phase_channel *c, const struct phase_channel_ring *ring, size_t i, size_t n)
{
	size_t first = ring->next % PM_PHASE_RECORDS_, size = sizeof(c->records[0]);
	size_t at = ring_at(i) + offsetof(struct pm_phase_ring_, records);
	size_t head = n < PM_PHASE_RECORDS_ - first ? n : PM_PHASE_RECORDS_ - first;

	return read_at(c, c->records, head * size, at + first * size) &&
		(head == n || read_at(c, c->records + head, (n - head) * size, at));
}

static void skip(const struct reader *r, struct phase_channel_ring *ring, uint64_t to)
{
	/* What was marked before anybody asked is nobody's loss, but what was on then is not known. */
	if (ring->read_ns >= r->from_ns)
		lose(r, ring, to - ring->next);
	else if (ring->last_ns > 0)
		tell(r, PHASE_GONE, ring->thread, PHASES_NO_NAME, ring->last_ns);
	ring->next = to;
}

static void drain(const struct reader *r, struct phase_channel_ring *ring, size_t i,
	struct pm_phase_slot_ *slot)
{
	struct phase_channel *c = r->channel;
	uint64_t first = ring->next, head = slot->head, n, ns = r->now_ns - ring->read_ns;
	const uint64_t room = PM_PHASE_RECORDS_ - 1; /* the oldest may be being written over */

	if (head < first || head - first > ns / FASTEST_NS + PM_PHASE_RECORDS_) {
		/* It was tampered with: from here on anew. */
		c->troubles.rubbish++;
		lose(r, ring, 0);
		ring->next = head;
		return;
	}
	if (head - first > room)
		skip(r, ring, head - room);
	first = ring->next;
	n = head - first;
	if (!read_records(c, ring, i, (size_t) n))
		return;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (!read_slot(c, i, slot) || slot->claim != ring->claim || slot->claims != ring->claims)
		return; /* somebody else's by now, who told where his own begin */
	/* Names that the records have were there before these. */
	read_names(c, ring, i, slot);
	/* What was written over while it was read. */
	if (slot->head >= head && slot->head - first > room) {
		uint64_t to = slot->head - room < head ? slot->head - room : head;

		skip(r, ring, to);
	}
	for (; ring->next < head; ring->next++)
		if (!take_record(r, ring, &c->records[ring->next - first]))
			break;
}

static bool is_gone(const struct phase_channel *c, const struct pm_phase_slot_ *slot)
{
	struct procstat stat;
	pid_t pid = (pid_t) (slot->claim >> 32);

	if (pm_phase_is_gone_(slot, slot->claim, c->own_pid_ns))
		return true;
	/* Another process may have its number by now. */
	return slot->pid_ns == c->own_pid_ns && procstat_read(pid, &stat) == 0 &&
		stat.start_ticks / (uint64_t) sysconf(_SC_CLK_TCK) >
		slot->claimed_ns / NS_PER_S + 1;
}

static void read_ring(const struct reader *r, size_t i)
{
	struct phase_channel *c = r->channel;
	struct pm_phase_slot_ *slot = &c->slots[i];
	struct phase_channel_ring *ring = &c->rings[i];
	uint64_t before;
	bool gone = false;

	if (slot->claim == 0)
		return;
	if (!ring->known || slot->claim != ring->claim || slot->claims != ring->claims)
		begin_ring(r, ring, slot);
	if (ring->over)
		return;
	/* First this and then the records: what is gone writes no more. */
	if (r->now_ns - ring->asked_ns >= LOOK_NS) {
		ring->asked_ns = r->now_ns;
		gone = is_gone(c, slot);
		if (gone && (!read_slot(c, i, slot) || slot->claim != ring->claim))
			gone = false;
	}
	before = ring->next;
	if (slot->head != ring->next)
		drain(r, ring, i, slot);
	ring->read_ns = r->now_ns;
	if (gone && ring->next == before)
		leave_ring(r, ring);
}

void phase_channel_read(struct phase_channel *c, uint64_t from_ns, bool last,
	void (*take)(void *ctx, const struct phase_marker *m), void *ctx)
{
	struct reader r = {
		.channel = c, .from_ns = from_ns, .last = last, .take = take, .ctx = ctx
	};
	struct pm_phase_head_ head;
	uint32_t n;

	if (!read_at(c, &head, sizeof(head), 0))
		return;
	n = head.used < PM_PHASE_RINGS_ ? head.used : PM_PHASE_RINGS_;
	c->refused = head.refused;
	if (n == 0)
		return;
	c->used = true;
	if (!read_at(c, c->slots, n * sizeof(c->slots[0]), PM_PHASE_SLOTS_AT_))
		return;
	/* Whatever was marked before this was read lies before this. */
	r.now_ns = clock_mono_ns(&clock_system);
	for (uint32_t i = 0; i < n; i++)
		read_ring(&r, i);
}
