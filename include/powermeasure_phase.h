// SPDX-License-Identifier: MIT
/*
 * Marks the phases of a program, for a power meter that runs beside it:
 *
 *     pm_phase_begin("infer");
 *     work();
 *     pm_phase_end("infer");
 *
 *     { PM_PHASE("load"); work(); }         from here to the end of the block
 *
 * Nothing is linked to and no right is needed. Where POWERMEASURE_PHASES names a channel, which
 * `powermeasure run` sees to, a marker is a time stamp in shared memory; where it does not, a marker
 * is one comparison. Any thread may mark, and so may the child of a fork. A phase is ended in the
 * thread that began it; phases nest and overlap as they like. A name is its text: up to 63 bytes
 * count, and a thread may use 64 of them.
 *
 * C99 or C++11 with GCC or Clang on Linux; clock_gettime() and syscall() must be declared, as they
 * are with -std=gnu99, -D_GNU_SOURCE or -D_DEFAULT_SOURCE. Names that end in an underscore, and the
 * layout of the channel, are no part of the interface.
 */
#ifndef POWERMEASURE_PHASE_H
#define POWERMEASURE_PHASE_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if !defined(CLOCK_MONOTONIC) || !defined(MAP_ANONYMOUS)
#error "powermeasure_phase.h needs -std=gnu99 or newer, or -D_DEFAULT_SOURCE"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the channel ----------------------------------------------------------------------------
 *
 * A sparse file: the head, at PM_PHASE_SLOTS_AT_ a slot for each ring, at PM_PHASE_DATA_AT_ the rings'
 * names and records. A ring is one thread's: who writes markers never waits and never reads. The
 * oldest records are overwritten, which the reader sees from the record's number and counts. Rings are
 * claimed under flock(); one whose thread is gone is claimed again when there is no other. */

#define PM_PHASE_ENV_ "POWERMEASURE_PHASES"
#define PM_PHASE_MAGIC_ "PMPHASE"
#define PM_PHASE_VERSION_ 1
#define PM_PHASE_RINGS_ 256
#define PM_PHASE_RECORDS_ 4096 /* in a ring; a power of two */
#define PM_PHASE_NAMES_ 64     /* in a ring */
#define PM_PHASE_NAME_ 64      /* bytes of one, with the zero */
#define PM_PHASE_END_ 0x80000000u

struct pm_phase_head_ {
	char magic[8];
	uint32_t version;
	uint32_t rings;
	uint32_t records;
	uint32_t names;
	uint64_t creator_pid;
	uint64_t creator_start; /* in ticks since boot: with the pid it names a process for ever */
	uint32_t used;          /* rings that were ever claimed are the first ones */
	uint32_t refused;       /* threads that found none */
	uint64_t creator_ns;    /* the PID namespace that creator_pid is of */
};

struct pm_phase_slot_ {
	uint64_t claim;      /* pid << 32 | tid, as the thread sees itself; 0: nobody's */
	uint64_t claimed_ns; /* CLOCK_BOOTTIME */
	uint64_t pid_ns;     /* the inode of the PID namespace that the pid is of */
	uint64_t base;       /* records before this one are an earlier thread's */
	uint32_t claims;     /* how often it was claimed */
	uint32_t names;
	uint32_t cut;     /* names that were too long */
	uint32_t unnamed; /* markers whose name found no room */
	uint64_t reserved_1[2];
	uint64_t head; /* records so far; on a cache line of its own */
	uint64_t reserved_2[7];
};

struct pm_phase_record_ {
	uint64_t t_ns;   /* CLOCK_MONOTONIC */
	uint32_t name;   /* its number in the ring, with PM_PHASE_END_ */
	uint32_t number; /* the low half of the record's */
};

struct pm_phase_ring_ {
	char names[PM_PHASE_NAMES_][PM_PHASE_NAME_];
	struct pm_phase_record_ records[PM_PHASE_RECORDS_];
};

#define PM_PHASE_SLOTS_AT_ 4096
#define PM_PHASE_DATA_AT_ (PM_PHASE_SLOTS_AT_ + PM_PHASE_RINGS_ * sizeof(struct pm_phase_slot_))
#define PM_PHASE_BYTES_ (PM_PHASE_DATA_AT_ + PM_PHASE_RINGS_ * sizeof(struct pm_phase_ring_))

/* ---- a process, a thread -------------------------------------------------------------------- */

enum { PM_PHASE_NEW_, PM_PHASE_OFF_, PM_PHASE_ON_, PM_PHASE_WAIT_, PM_PHASE_BUSY_ };

/* A channel that is named and not there yet is looked for at each so many markers. */
#define PM_PHASE_WAITS_ 256u

#define PM_PHASE_CACHE_ 16

struct pm_phase_process_ {
	int state;
	unsigned waits;
	char *map;
	const char *path;
	/* The process that this is, in a page that the kernel empties in the child of a fork; NULL
	 * where it does not (before Linux 4.14). */
	volatile uint32_t *self;
};

struct pm_phase_thread_ {
	uint32_t owner;              /* the process that the rest is of; 0: none yet */
	struct pm_phase_slot_ *slot; /* NULL: there was no ring left */
	struct pm_phase_ring_ *ring;
	struct {
		const char *text;
		uint32_t name;
	} cache[PM_PHASE_CACHE_];
};

/* Weak: one of each in a program, however many of its files include this. */
__attribute__((weak)) struct pm_phase_process_ pm_phase_process_;
__attribute__((weak)) __thread struct pm_phase_thread_ pm_phase_thread_;

static inline uint64_t pm_phase_clock_(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t) ts.tv_sec * 1000000000u + (uint64_t) ts.tv_nsec;
}

/* Whether the thread that claimed a ring is gone. Of other PID namespaces nothing is known. */
__attribute__((unused)) static int pm_phase_is_gone_(
	const struct pm_phase_slot_ *slot, uint64_t claim, uint64_t pid_ns)
{
	return slot->pid_ns == pid_ns &&
		syscall(SYS_tgkill, (long) (claim >> 32), (long) (claim & 0xffffffffu), 0) < 0 &&
		errno == ESRCH;
}

/* A ring under the lock; NULL if there is none, or no memory for it. */
__attribute__((unused)) static struct pm_phase_slot_ *pm_phase_take_ring_(
	char *map, int fd, uint64_t me, uint64_t pid_ns)
{
	struct pm_phase_head_ *head = (struct pm_phase_head_ *) (void *) map;
	struct pm_phase_slot_ *slots = (struct pm_phase_slot_ *) (void *) (map +
		PM_PHASE_SLOTS_AT_);
	struct pm_phase_slot_ *slot = NULL;
	uint32_t i, n = PM_PHASE_RINGS_;

	for (i = 0; i < n && __atomic_load_n(&slots[i].claim, __ATOMIC_RELAXED); i++)
		;
	n = i;
	/* The one that was claimed first: what it has was most likely read. */
	for (uint32_t k = 0; n == PM_PHASE_RINGS_ && k < PM_PHASE_RINGS_; k++)
		if ((i == PM_PHASE_RINGS_ || slots[k].claimed_ns < slots[i].claimed_ns) &&
			pm_phase_is_gone_(&slots[k], slots[k].claim, pid_ns))
			i = k;
	if (i == PM_PHASE_RINGS_)
		return NULL;
	/* A page that cannot be had must be found out here, not by a signal at a marker. */
	n = (uint32_t) posix_fallocate(fd,
		(off_t) (PM_PHASE_DATA_AT_ + i * sizeof(struct pm_phase_ring_)),
		(off_t) sizeof(struct pm_phase_ring_));
	if (n == ENOSPC || n == ENOMEM || n == EFBIG || n == EDQUOT)
		return NULL;
	slot = &slots[i];
	__atomic_store_n(&slot->claim, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&slot->claims, slot->claims + 1, __ATOMIC_SEQ_CST);
	slot->claimed_ns = pm_phase_clock_(CLOCK_BOOTTIME);
	slot->pid_ns = pid_ns;
	slot->base = slot->head;
	slot->names = slot->cut = slot->unnamed = 0;
	__atomic_store_n(&slot->claim, me, __ATOMIC_SEQ_CST);
	if (head->used <= i)
		__atomic_store_n(&head->used, i + 1, __ATOMIC_RELEASE);
	return slot;
}

__attribute__((unused)) static void pm_phase_claim_(
	struct pm_phase_process_ *p, struct pm_phase_thread_ *t)
{
	uint64_t me = (uint64_t) (uint32_t) getpid() << 32 | (uint32_t) syscall(SYS_gettid);
	const struct timespec pause = { 0, 100000 };
	struct stat st;
	int fd = open(p->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW), tries = 2000;

	/* flock() goes with this opening, so that threads keep each other out, too. Who holds it may be
	 * stopped: nobody waits for long. */
	while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && tries-- > 0)
		nanosleep(&pause, NULL);
	if (fd >= 0 && tries >= 0) {
		t->slot = pm_phase_take_ring_(p->map, fd, me,
			stat("/proc/self/ns/pid", &st) == 0 ? (uint64_t) st.st_ino : 0);
		if (t->slot)
			t->ring = (struct pm_phase_ring_ *) (void *) (p->map + PM_PHASE_DATA_AT_) +
				(t->slot -
					(struct pm_phase_slot_ *) (void *) (p->map +
						PM_PHASE_SLOTS_AT_));
		flock(fd, LOCK_UN); /* a fork in between may have left it with a child */
	}
	if (fd >= 0)
		close(fd);
	if (!t->slot)
		__atomic_fetch_add(
			&((struct pm_phase_head_ *) (void *) p->map)->refused, 1, __ATOMIC_RELAXED);
}

/* The channel's memory; NULL if there is none. *ret_may_come: there is no file of that name yet. */
__attribute__((unused)) static char *pm_phase_map_(const char *path, int *ret_may_come)
{
	int fd = path && *path ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct pm_phase_head_ *head;
	void *map = MAP_FAILED;
	struct stat st;

	*ret_may_come = path && *path && fd < 0 && errno == ENOENT;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		st.st_size >= (off_t) PM_PHASE_BYTES_)
		map = mmap(NULL, PM_PHASE_BYTES_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (map == MAP_FAILED)
		return NULL;
	head = (struct pm_phase_head_ *) map;
	if (memcmp(head->magic, PM_PHASE_MAGIC_, sizeof(head->magic)) == 0 &&
		head->version == PM_PHASE_VERSION_)
		return (char *) map;
	munmap(map, PM_PHASE_BYTES_);
	return NULL;
}

/* Until another thread has looked whether there is a channel. It may not be there: in the child of a
 * fork that came in between nothing is marked. */
__attribute__((unused)) static void pm_phase_wait_(struct pm_phase_process_ *p)
{
	const struct timespec pause = { 0, 100000 };
	int tries = 10000, busy = PM_PHASE_BUSY_;

	while (__atomic_load_n(&p->state, __ATOMIC_ACQUIRE) == PM_PHASE_BUSY_ && tries-- > 0)
		nanosleep(&pause, NULL);
	if (tries < 0)
		__atomic_compare_exchange_n(
			&p->state, &busy, PM_PHASE_OFF_, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/* Looks whether there is a channel. Of threads that do so at once one does it. */
__attribute__((unused)) static void pm_phase_open_(struct pm_phase_process_ *p)
{
	const char *path = getenv(PM_PHASE_ENV_);
	int old = __atomic_load_n(&p->state, __ATOMIC_RELAXED), may_come = 0;
	void *page = MAP_FAILED;

	if ((old != PM_PHASE_NEW_ && old != PM_PHASE_WAIT_) ||
		!__atomic_compare_exchange_n(
			&p->state, &old, PM_PHASE_BUSY_, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	p->map = pm_phase_map_(path, &may_come);
	if (p->map)
		p->path = strdup(path);
	if (!p->map || !p->path) {
		__atomic_store_n(
			&p->state, may_come ? PM_PHASE_WAIT_ : PM_PHASE_OFF_, __ATOMIC_RELEASE);
		return;
	}
#ifdef MADV_WIPEONFORK
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page != MAP_FAILED && madvise(page, 4096, MADV_WIPEONFORK) < 0) {
		munmap(page, 4096);
		page = MAP_FAILED;
	}
#endif
	p->self = page != MAP_FAILED ? (volatile uint32_t *) page : NULL;
	__atomic_store_n(&p->state, PM_PHASE_ON_, __ATOMIC_RELEASE);
}

/* The first marker of a process or a thread. Whether there is a ring to write into. */
__attribute__((unused, noinline, cold)) static int pm_phase_prepare_(void)
{
	struct pm_phase_process_ *p = &pm_phase_process_;
	struct pm_phase_thread_ *t = &pm_phase_thread_;
	uint32_t self;
	int saved = errno, state = __atomic_load_n(&p->state, __ATOMIC_ACQUIRE);

	if (state == PM_PHASE_NEW_ ||
		(state == PM_PHASE_WAIT_ &&
			__atomic_add_fetch(&p->waits, 1, __ATOMIC_RELAXED) % PM_PHASE_WAITS_ == 0))
		pm_phase_open_(p);
	if (__atomic_load_n(&p->state, __ATOMIC_ACQUIRE) == PM_PHASE_BUSY_)
		pm_phase_wait_(p);
	if (__atomic_load_n(&p->state, __ATOMIC_ACQUIRE) == PM_PHASE_ON_) {
		self = (uint32_t) getpid();
		if (p->self)
			*p->self = self;
		if (t->owner != self) {
			memset(t, 0, sizeof(*t));
			t->owner = self;
			pm_phase_claim_(p, t);
		}
	}
	errno = saved;
	return t->slot != NULL;
}

/* A name's number that the cache does not have; PM_PHASE_NAMES_: there is no room for it. */
__attribute__((unused, noinline, cold)) static uint32_t pm_phase_find_name_(
	struct pm_phase_thread_ *t, const char *text)
{
	uint32_t n = t->slot->names, i;
	size_t length = strnlen(text, PM_PHASE_NAME_);

	if (length == PM_PHASE_NAME_)
		length--;
	for (i = 0; i < n && i < PM_PHASE_NAMES_; i++)
		if (memcmp(t->ring->names[i], text, length) == 0 &&
			t->ring->names[i][length] == '\0')
			return i;
	if (i == PM_PHASE_NAMES_)
		return i;
	memcpy(t->ring->names[i], text, length);
	memset(t->ring->names[i] + length, 0, PM_PHASE_NAME_ - length);
	if (text[length])
		t->slot->cut++;
	__atomic_store_n(&t->slot->names, i + 1, __ATOMIC_RELEASE);
	return i;
}

static inline void pm_phase_mark_(const char *text, uint32_t end)
{
	struct pm_phase_process_ *p = &pm_phase_process_;
	struct pm_phase_thread_ *t = &pm_phase_thread_;
	struct pm_phase_record_ *record;
	uint32_t name, way;
	uint64_t head;

	if (__builtin_expect(__atomic_load_n(&p->state, __ATOMIC_ACQUIRE) == PM_PHASE_OFF_, 1))
		return;
	if (__builtin_expect(
		    !t->owner || t->owner != (p->self ? *p->self : (uint32_t) getpid()), 0)) {
		if (!pm_phase_prepare_())
			return;
	}
	if (!t->slot)
		return;
	/* The same pointer may hold another text by now. */
	way = (uint32_t) (((uintptr_t) text >> 3 ^ (uintptr_t) text >> 9) % PM_PHASE_CACHE_);
	name = t->cache[way].name;
	if (t->cache[way].text != text ||
		strncmp(t->ring->names[name % PM_PHASE_NAMES_], text, PM_PHASE_NAME_) != 0) {
		name = pm_phase_find_name_(t, text);
		if (name == PM_PHASE_NAMES_) {
			t->slot->unnamed++;
			return;
		}
		t->cache[way].text = text;
		t->cache[way].name = name;
	}
	head = t->slot->head;
	record = &t->ring->records[head % PM_PHASE_RECORDS_];
	record->t_ns = pm_phase_clock_(CLOCK_MONOTONIC);
	record->name = name | end;
	record->number = (uint32_t) head;
	__atomic_store_n(&t->slot->head, head + 1, __ATOMIC_RELEASE);
}

/* ---- what is for its users ------------------------------------------------------------------ */

static inline void pm_phase_begin(const char *name)
{
	pm_phase_mark_(name, 0);
}

static inline void pm_phase_end(const char *name)
{
	pm_phase_mark_(name, PM_PHASE_END_);
}

static inline const char *pm_phase_enter_(const char *name)
{
	pm_phase_begin(name);
	return name;
}

static inline void pm_phase_leave_(const char *const *name)
{
	pm_phase_end(*name);
}

#define PM_PHASE_JOIN2_(a, b) a##b
#define PM_PHASE_JOIN_(a, b) PM_PHASE_JOIN2_(a, b)

/* From here to the end of the block, however that is left. */
#define PM_PHASE(name)                                                                      \
	__attribute__((cleanup(pm_phase_leave_), unused)) const char *const PM_PHASE_JOIN_( \
		pm_phase_in_block_, __LINE__) = pm_phase_enter_(name)

#ifdef __cplusplus
}
#endif

#endif
