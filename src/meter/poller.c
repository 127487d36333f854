// SPDX-License-Identifier: MIT
#include "meter/poller.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "meter/mirror.h"
#include "meter/unwrap.h"
#include "util/thread.h"
#include "util/timer.h"
#include "util/u128.h"

/* A driver call that takes longer than this counts as hanging. */
#define HANG_NS (2 * NS_PER_S)

/* For a sensor that has no pace of its own, since it was meant to be read in ticks. */
#define PERIOD_NS (100 * NS_PER_MS)

/* Power is added up across a failed read only if the gap is short; see integrate(). */
#define GAP_MAX_NS NS_PER_S

enum stage { STAGE_OPENING, STAGE_RUNNING, STAGE_FAILED, STAGE_DONE };

/* What turns one domain's raw readings into energy; the thread's own. */
struct track {
	struct unwrap unwrap;
	bool have;         /* a power sample came before */
	uint64_t t_ns;     /* the last sample's time ... */
	uint64_t power_mw; /* ... and power */
	uint64_t since_ns;
	uint64_t energy_uj;
	uint64_t rest_pj;
};

struct poller {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Under the lock: */
	enum stage stage;
	int error;
	bool stop;
	bool abandoned; /* nobody waits any more: the thread frees everything when it comes back */
	uint32_t wanted;
	uint64_t call_began_ns; /* 0: no driver call is under way */
	struct reading published[SENSOR_MAX_DOMAINS];
	struct domain_users *users; /* by domain; NULL: nothing is told of them */

	/* The thread's own: */
	pthread_t thread;
	struct sensor *sensor;
	uint32_t kinds;
	struct track tracks[SENSOR_MAX_DOMAINS];
	struct reading readings[SENSOR_MAX_DOMAINS];
};

static void free_all(struct poller *p)
{
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p->sensor);
	free(p->users);
	free(p);
}

/* Adds up power between two samples, which stand for the mean of the time between them. After a
 * gap that is too long to guess across, counting begins anew: nobody knows what was used. */
static void integrate(struct track *t, const struct sensor *s, struct reading *r)
{
	uint64_t longest = 4 * s->period_ns > GAP_MAX_NS ? 4 * s->period_ns : GAP_MAX_NS;
	u128 pj;

	if (t->have && r->t_ns <= t->t_ns) { /* no new sample */
		r->t_ns = t->t_ns;
	} else if (t->have && r->t_ns - t->t_ns <= longest) {
		/* 1 mW for 1 ns is 1 pJ */
		pj = (u128) (t->power_mw + r->power_mw) * (r->t_ns - t->t_ns) / 2 + t->rest_pj;
		t->energy_uj += (uint64_t) (pj / 1000000);
		t->rest_pj = (uint64_t) (pj % 1000000);
	} else {
		*t = (struct track) { .have = true, .since_ns = r->t_ns };
	}
	t->t_ns = r->t_ns;
	t->power_mw = r->power_mw;
	r->energy_uj = t->energy_uj;
	r->since_ns = t->since_ns;
}

static void take_readings(struct poller *p)
{
	struct sensor *s = p->sensor;
	int r = s->ops->read(s, p->readings);

	for (size_t i = 0; i < s->n_domains; i++) {
		struct reading *reading = &p->readings[i];

		if (r < 0)
			*reading = (struct reading) { .error = r };
		if (reading->error)
			continue;
		if (s->domains[i].power_only)
			integrate(&p->tracks[i], s, reading);
		else
			unwrap_step(&p->tracks[i].unwrap, &s->domains[i], reading);
	}
}

/* Counting begins anew for a kind that was not wanted before. With the lock held. */
static void change_kinds(struct poller *p, uint32_t kinds)
{
	uint32_t kept = p->kinds & kinds;

	for (size_t i = 0; i < p->sensor->n_domains; i++) {
		if (kept & KIND_BIT(p->sensor->domains[i].kind))
			continue;
		p->tracks[i] = (struct track) { 0 };
		p->published[i] = (struct reading) { .error = -EAGAIN };
	}
	p->kinds = kinds;
	p->sensor->kinds = kinds;
}

/* Called with the lock held; sleeps until due_ns or until something changed. */
static void sleep_until(struct poller *p, uint64_t due_ns)
{
	uint32_t wanted = p->wanted;

	while (!p->stop && !p->abandoned && p->wanted == wanted) {
		struct timespec ts = ns_to_timespec(due_ns);

		if (due_ns == UINT64_MAX)
			pthread_cond_wait(&p->changed, &p->lock);
		else if (pthread_cond_timedwait(&p->changed, &p->lock, &ts) == ETIMEDOUT)
			break;
	}
}

/* Called with the lock held, which is given up during the read. */
static void read_once(struct poller *p)
{
	struct sensor *s = p->sensor;

	p->call_began_ns = host_now_ns(s->host);
	pthread_mutex_unlock(&p->lock);
	take_readings(p);
	pthread_mutex_lock(&p->lock);
	p->call_began_ns = 0;
	memcpy(p->published, p->readings, s->n_domains * sizeof(p->readings[0]));
	for (size_t i = 0; p->users && i < s->n_domains; i++)
		if (s->users[i].looked_ns != p->users[i].looked_ns)
			p->users[i] = s->users[i];
}

static void run(struct poller *p)
{
	struct sensor *s = p->sensor;
	uint64_t due_ns = 0;

	while (!p->stop && !p->abandoned) {
		uint64_t now_ns;

		if (p->wanted != p->kinds) {
			change_kinds(p, p->wanted);
			due_ns = 0;
		}
		if (p->kinds == 0) {
			sleep_until(p, UINT64_MAX);
			continue;
		}
		now_ns = host_now_ns(s->host);
		if (due_ns > now_ns) {
			sleep_until(p, due_ns);
			continue;
		}
		s->next_read_ns = 0;
		read_once(p);
		/* The grid is kept, but never chased: after a slow read the next one is a period
		 * away. */
		now_ns = host_now_ns(s->host);
		due_ns = due_ns ? due_ns + s->period_ns : now_ns + s->period_ns;
		if (s->next_read_ns)
			due_ns = s->next_read_ns;
		if (due_ns < now_ns)
			due_ns = now_ns + s->period_ns / 2;
	}
}

/* The driver may hang when it is closed, too: that is done here, and whoever waits for it does so
 * for a while only. */
static void *thread_main(void *arg)
{
	struct poller *p = arg;
	int r;
	bool abandoned;

	r = p->sensor->ops->probe(p->sensor);
	if (r == 0)
		r = p->sensor->ops->open(p->sensor);
	if (p->sensor->period_ns == 0)
		p->sensor->period_ns = PERIOD_NS;
	if (r == 0)
		sensor_count_mirrors_once(p->sensor);
	if (r < 0)
		p->sensor->ops->close(p->sensor);

	pthread_mutex_lock(&p->lock);
	/* Without memory nobody hears of users. */
	if (r == 0 && p->sensor->users)
		p->users = calloc(p->sensor->n_domains, sizeof(*p->users));
	p->error = r;
	p->stage = r < 0 ? STAGE_FAILED : STAGE_RUNNING;
	pthread_cond_broadcast(&p->changed);
	if (r == 0) {
		run(p);
		pthread_mutex_unlock(&p->lock);
		p->sensor->ops->close(p->sensor);
		pthread_mutex_lock(&p->lock);
		p->stage = STAGE_DONE;
	}
	abandoned = p->abandoned;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	if (abandoned)
		free_all(p);
	return NULL;
}

static int start_thread(struct poller *p)
{
	char name[16];

	snprintf(name, sizeof(name), "pm-%.12s", p->sensor->ops->name);
	return thread_start(&p->thread, thread_main, p, name);
}

/* Waits for the thread to leave `stage`, for at most timeout_ns. With the lock held. */
static bool wait_stage(struct poller *p, enum stage stage, uint64_t timeout_ns)
{
	struct timespec ts = ns_to_timespec(clock_mono_ns(&clock_system) + timeout_ns);

	while (p->stage == stage)
		if (pthread_cond_timedwait(&p->changed, &p->lock, &ts) == ETIMEDOUT)
			return p->stage != stage;
	return true;
}

int poller_create(
	struct sensor *s, uint64_t timeout_ns, struct sensor_why *ret_why, struct poller **ret)
{
	struct poller *p = calloc(1, sizeof(*p));
	pthread_condattr_t attr;
	bool answered;
	int r;

	*ret_why = (struct sensor_why) { 0 };
	if (!p) {
		s->ops->close(s);
		free(s);
		return -ENOMEM;
	}
	p->sensor = s;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->changed, &attr);
	pthread_condattr_destroy(&attr);
	for (size_t i = 0; i < SENSOR_MAX_DOMAINS; i++)
		p->published[i].error = -EAGAIN;
	r = start_thread(p);
	if (r < 0) {
		s->ops->close(s);
		free_all(p);
		return r;
	}
	pthread_mutex_lock(&p->lock);
	answered = wait_stage(p, STAGE_OPENING, timeout_ns);
	r = p->error;
	if (!answered)
		p->abandoned = true;
	pthread_mutex_unlock(&p->lock);
	if (!answered) {
		pthread_detach(p->thread);
		snprintf(ret_why->reason, sizeof(ret_why->reason),
			"the driver does not answer: no reply within %u s",
			(unsigned) (timeout_ns / NS_PER_S));
		return -ETIME;
	}
	*ret_why = s->why;
	if (r < 0) {
		pthread_join(p->thread, NULL);
		free_all(p);
		return r;
	}
	*ret = p;
	return 0;
}

const struct sensor *poller_sensor(const struct poller *p)
{
	return p->sensor;
}

void poller_want(struct poller *p, uint32_t kinds)
{
	pthread_mutex_lock(&p->lock);
	p->wanted = kinds;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

void poller_copy(struct poller *p, uint64_t now_ns, struct reading *ret)
{
	bool hangs;

	pthread_mutex_lock(&p->lock);
	memcpy(ret, p->published, p->sensor->n_domains * sizeof(*ret));
	hangs = p->call_began_ns && now_ns > p->call_began_ns + HANG_NS;
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; hangs && i < p->sensor->n_domains; i++)
		ret[i] = (struct reading) { .error = -ETIMEDOUT };
}

void poller_users(struct poller *p, size_t domain, struct domain_users *ret)
{
	pthread_mutex_lock(&p->lock);
	if (p->users)
		*ret = p->users[domain];
	else
		ret->n = 0;
	pthread_mutex_unlock(&p->lock);
}

bool poller_destroy(struct poller *p, uint64_t timeout_ns)
{
	bool done;

	if (!p)
		return true;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->changed);
	done = wait_stage(p, STAGE_RUNNING, timeout_ns);
	if (!done)
		p->abandoned = true;
	pthread_mutex_unlock(&p->lock);
	if (!done) {
		pthread_detach(p->thread);
		return false;
	}
	pthread_join(p->thread, NULL);
	free_all(p);
	return true;
}
