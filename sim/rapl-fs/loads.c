// SPDX-License-Identifier: MIT
#include "loads.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"

/* Looks that are remembered: at 1 ms each four minutes. */
#define LOOKS (UINT64_C(1) << 18)
#define STEP_NS UINT64_C(1000000)
#define CPUS_MAX 64
#define NS_PER_S UINT64_C(1000000000)
#define TWO_PI 6.283185307179586

struct package {
	double idle_mw;        /* with nothing to do */
	double idle_loaded_mw; /* its own part with all CPUs busy */
	double turbo;          /* a lone CPU's seconds cost so much more, as a part */
	double smt;            /* what both threads of a core cost together, in one thread's cost */
	double drift;          /* its own part goes up and down by that part ... */
	double drift_ns;       /* ... in this time */
	unsigned n_cpus;
	uint64_t *own_pj, *dynamic_pj; /* at each look */
};

struct load {
	pid_t pid;
	uint64_t mw;
	int fds[CPUS_MAX];
	uint64_t seen_ns[CPUS_MAX]; /* at the last look */
	uint64_t *cpu_ns, *pj;      /* at each look */
};

struct loads {
	pthread_mutex_t lock;
	pthread_t thread;
	bool running, stop;
	unsigned n_cpus;
	size_t package_of[CPUS_MAX]; /* NO_PACKAGE: of none */
	int sibling_of[CPUS_MAX];    /* -1: none */
	struct package packages[PACKAGES_MAX];
	size_t n_packages;
	struct load loads[LOADS_MAX];
	size_t n_loads;
	double drift_phase;
	uint64_t looks; /* so many there were; look i is at i % LOOKS */
	uint64_t *at_ns;
};

/* ---- packages --------------------------------------------------------------------------- */

int loads_create(struct loads **ret)
{
	struct loads *l = calloc(1, sizeof(*l));
	long n = sysconf(_SC_NPROCESSORS_CONF);

	if (!l)
		return -ENOMEM;
	l->at_ns = calloc(LOOKS, sizeof(*l->at_ns));
	if (!l->at_ns) {
		free(l);
		return -ENOMEM;
	}
	pthread_mutex_init(&l->lock, NULL);
	l->n_cpus = n < 1 ? 1 : n > CPUS_MAX ? CPUS_MAX : (unsigned) n;
	for (size_t i = 0; i < CPUS_MAX; i++) {
		l->package_of[i] = NO_PACKAGE;
		l->sibling_of[i] = -1;
	}
	*ret = l;
	return 0;
}

static void finish_load(struct load *load)
{
	for (size_t i = 0; i < CPUS_MAX; i++)
		close_fd(&load->fds[i]);
	free(load->cpu_ns);
	free(load->pj);
}

void loads_destroy(struct loads *l)
{
	if (!l)
		return;
	if (l->running) {
		pthread_mutex_lock(&l->lock);
		l->stop = true;
		pthread_mutex_unlock(&l->lock);
		pthread_join(l->thread, NULL);
	}
	for (size_t i = 0; i < l->n_loads; i++)
		finish_load(&l->loads[i]);
	for (size_t i = 0; i < l->n_packages; i++) {
		free(l->packages[i].own_pj);
		free(l->packages[i].dynamic_pj);
	}
	free(l->at_ns);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static bool take_cpus(struct loads *l, const json_t *cpus)
{
	const json_t *cpu;
	size_t i;

	if (!cpus) {
		for (i = 0; i < l->n_cpus; i++)
			l->package_of[i] = l->n_packages;
		l->packages[l->n_packages].n_cpus = l->n_cpus;
		return true;
	}
	json_array_foreach(cpus, i, cpu)
	{
		json_int_t n = json_integer_value(cpu);

		if (!json_is_integer(cpu) || n < 0 || n >= CPUS_MAX)
			return false;
		l->package_of[n] = l->n_packages;
		l->packages[l->n_packages].n_cpus++;
	}
	return json_array_size(cpus) > 0;
}

static bool take_siblings(struct loads *l, const json_t *pairs)
{
	const json_t *pair;
	size_t i;

	json_array_foreach(pairs, i, pair)
	{
		int a, b;

		if (json_unpack((json_t *) pair, "[i,i!]", &a, &b) < 0 || a < 0 || b < 0 ||
			a >= CPUS_MAX || b >= CPUS_MAX || a == b)
			return false;
		l->sibling_of[a] = b;
		l->sibling_of[b] = a;
	}
	return true;
}

int loads_add_package(struct loads *l, const json_t *json, char *error, size_t n, size_t *ret)
{
	struct package *p = &l->packages[l->n_packages];
	json_t *cpus = NULL, *siblings = NULL;
	double idle_w = 0, loaded_w = -1, drift_s = 60;
	json_error_t e;

	if (l->n_packages == PACKAGES_MAX)
		return -ENOSPC;
	*p = (struct package) { .smt = 2 };
	if (json_unpack_ex((json_t *) json, &e, JSON_STRICT,
		    "{s:F, s?F, s?F, s?F, s?F, s?F, s?o, s?o}", "idle_w", &idle_w, "idle_loaded_w",
		    &loaded_w, "turbo", &p->turbo, "smt", &p->smt, "drift", &p->drift, "drift_s",
		    &drift_s, "cpus", &cpus, "siblings", &siblings) < 0) {
		snprintf(error, n, "loads: %s", e.text);
		return -EINVAL;
	}
	if (idle_w < 0 || p->drift < 0 || p->drift > 1 || drift_s <= 0 || !take_cpus(l, cpus) ||
		!take_siblings(l, siblings)) {
		snprintf(error, n, "loads: a value is out of its range");
		return -EINVAL;
	}
	p->idle_mw = idle_w * 1e3;
	p->idle_loaded_mw = loaded_w < 0 ? p->idle_mw : loaded_w * 1e3;
	p->drift_ns = drift_s * 1e9;
	p->own_pj = calloc(LOOKS, sizeof(*p->own_pj));
	p->dynamic_pj = calloc(LOOKS, sizeof(*p->dynamic_pj));
	*ret = l->n_packages++;
	return p->own_pj && p->dynamic_pj ? 0 : -ENOMEM;
}

/* ---- a look ----------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t) ts.tv_sec * NS_PER_S + (uint64_t) ts.tv_nsec;
}

static uint64_t read_clock(int fd)
{
	uint64_t value;

	return fd >= 0 && read(fd, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

/* The CPU time that a load used on each CPU since the last look. */
static void look_at_load(struct load *load, unsigned n_cpus, double *ret_ns)
{
	for (unsigned k = 0; k < n_cpus; k++) {
		uint64_t now = read_clock(load->fds[k]);

		if (now < load->seen_ns[k])
			now = load->seen_ns[k];
		ret_ns[k] = (double) (now - load->seen_ns[k]);
		load->seen_ns[k] = now;
	}
}

/* How much a second on this CPU costs, in that of a CPU whose package is busy and whose core is not
 * shared. */
static double cost_factor(const struct loads *l, unsigned cpu, const double *busy)
{
	const struct package *p = &l->packages[l->package_of[cpu]];
	int sibling = l->sibling_of[cpu];
	double used = 0, shared = 0;

	for (unsigned k = 0; k < l->n_cpus; k++)
		if (l->package_of[k] == l->package_of[cpu])
			used += busy[k] / p->n_cpus;
	if (sibling >= 0 && busy[cpu] > 0)
		shared = fmin(busy[cpu], busy[sibling]) / busy[cpu];
	return (1 + p->turbo * (1 - fmin(used, 1))) * (1 - shared * (1 - p->smt / 2));
}

/* What a package used by itself in a step. Its drift is a sine, whose mean over the step is known. */
static double own_step_pj(
	const struct loads *l, size_t package, const double *busy, uint64_t t_ns, uint64_t step_ns)
{
	const struct package *p = &l->packages[package];
	double turns = TWO_PI / p->drift_ns, used = 0;
	double begin = turns * (double) (t_ns - step_ns) + TWO_PI * l->drift_phase;
	double end = turns * (double) t_ns + TWO_PI * l->drift_phase;

	for (unsigned k = 0; k < l->n_cpus; k++)
		if (l->package_of[k] == package)
			used += busy[k] / p->n_cpus;
	return (p->idle_mw + (p->idle_loaded_mw - p->idle_mw) * fmin(used, 1)) *
		((double) step_ns + p->drift * (cos(begin) - cos(end)) / turns);
}

/* Gives each load and package its part of this step. The lock is held. */
static void book(struct loads *l, double (*used_ns)[CPUS_MAX], uint64_t t_ns, uint64_t step_ns)
{
	uint64_t before = (l->looks - 1) % LOOKS, now = l->looks % LOOKS;
	double busy[CPUS_MAX] = { 0 }, dynamic_pj[PACKAGES_MAX] = { 0 };

	for (unsigned k = 0; k < l->n_cpus; k++) {
		for (size_t i = 0; i < l->n_loads; i++)
			busy[k] += used_ns[i][k] / (double) step_ns;
		busy[k] = fmin(busy[k], 1);
	}
	for (size_t i = 0; i < l->n_loads; i++) {
		struct load *load = &l->loads[i];
		double cpu_ns = 0, pj = 0;

		for (unsigned k = 0; k < l->n_cpus; k++) {
			double here_pj = 0;

			cpu_ns += used_ns[i][k];
			if (l->package_of[k] == NO_PACKAGE || used_ns[i][k] <= 0)
				continue;
			here_pj = used_ns[i][k] * (double) load->mw * cost_factor(l, k, busy);
			dynamic_pj[l->package_of[k]] += here_pj;
			pj += here_pj;
		}
		load->cpu_ns[now] = load->cpu_ns[before] + (uint64_t) cpu_ns;
		load->pj[now] = load->pj[before] + (uint64_t) pj;
	}
	for (size_t p = 0; p < l->n_packages; p++) {
		double own_pj = own_step_pj(l, p, busy, t_ns, step_ns);

		l->packages[p].own_pj[now] = l->packages[p].own_pj[before] + (uint64_t) own_pj;
		l->packages[p].dynamic_pj[now] = l->packages[p].dynamic_pj[before] +
			(uint64_t) dynamic_pj[p];
	}
	l->at_ns[now] = t_ns;
	l->looks++;
}

/* The lock is held. */
static void look(struct loads *l)
{
	static const double nothing[CPUS_MAX];
	double used_ns[LOADS_MAX][CPUS_MAX];
	uint64_t last_ns = l->at_ns[(l->looks - 1) % LOOKS], t_ns;

	for (size_t i = 0; i < l->n_loads; i++) {
		memcpy(used_ns[i], nothing, sizeof(nothing));
		look_at_load(&l->loads[i], l->n_cpus, used_ns[i]);
	}
	t_ns = now_ns();
	if (t_ns > last_ns)
		book(l, used_ns, t_ns, t_ns - last_ns);
}

static void *keep_looking(void *ctx)
{
	struct loads *l = ctx;
	uint64_t next_ns = now_ns();

	for (;;) {
		struct timespec until;
		bool stop;

		next_ns += STEP_NS;
		until = (struct timespec) { .tv_sec = (time_t) (next_ns / NS_PER_S),
			.tv_nsec = (long) (next_ns % NS_PER_S) };
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		pthread_mutex_lock(&l->lock);
		stop = l->stop;
		if (!stop)
			look(l);
		pthread_mutex_unlock(&l->lock);
		if (stop)
			return NULL;
		/* What was missed is in one longer step. */
		if (now_ns() > next_ns)
			next_ns = now_ns();
	}
}

int loads_start(struct loads *l, uint64_t start_ns, double drift_phase)
{
	int r;

	l->at_ns[0] = start_ns;
	l->looks = 1;
	l->drift_phase = drift_phase;
	r = pthread_create(&l->thread, NULL, keep_looking, l);
	l->running = r == 0;
	return -r;
}

/* ---- loads ------------------------------------------------------------------------------ */

static int open_clock(pid_t pid, int cpu)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_TASK_CLOCK,
		.inherit = 1 };
	int fd = (int) syscall(SYS_perf_event_open, &attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int begin_load(struct load *load, pid_t pid, uint64_t mw, unsigned n_cpus)
{
	*load = (struct load) { .pid = pid, .mw = mw };
	for (size_t k = 0; k < CPUS_MAX; k++)
		load->fds[k] = -1;
	load->cpu_ns = calloc(LOOKS, sizeof(*load->cpu_ns));
	load->pj = calloc(LOOKS, sizeof(*load->pj));
	if (!load->cpu_ns || !load->pj)
		return -ENOMEM;
	for (unsigned k = 0; k < n_cpus; k++) {
		load->fds[k] = open_clock(pid, (int) k);
		/* -ENODEV: the CPU is offline. */
		if (load->fds[k] < 0 && load->fds[k] != -ENODEV)
			return load->fds[k];
	}
	return 0;
}

int loads_add(struct loads *l, pid_t pid, uint64_t mw)
{
	struct load load;
	int r = 0;

	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < l->n_loads; i++)
		if (l->loads[i].pid == pid)
			r = -EEXIST;
	if (l->n_loads == LOADS_MAX)
		r = -ENOSPC;
	if (r == 0) {
		r = begin_load(&load, pid, mw, l->n_cpus);
		if (r < 0)
			finish_load(&load);
		else
			l->loads[l->n_loads++] = load;
	}
	pthread_mutex_unlock(&l->lock);
	return r;
}

/* ---- looking back ----------------------------------------------------------------------- */

/* A time between two looks: the first of them, and how far it is towards the second. */
struct moment {
	uint64_t look;
	double beyond; /* 0 to 1 */
};

/* The lock is held. */
static int find_moment(struct loads *l, uint64_t t_ns, struct moment *ret)
{
	uint64_t first, low, high;

	if (t_ns > l->at_ns[(l->looks - 1) % LOOKS])
		look(l);
	first = l->looks > LOOKS ? l->looks - LOOKS : 0;
	low = first;
	high = l->looks - 1;
	/* What was before the start is nothing; what is forgotten is not known. */
	if (t_ns <= l->at_ns[low % LOOKS]) {
		*ret = (struct moment) { .look = low };
		return low == 0 || t_ns == l->at_ns[low % LOOKS] ? 0 : -ENODATA;
	}
	if (t_ns > l->at_ns[high % LOOKS])
		return -ENODATA;
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (l->at_ns[middle % LOOKS] <= t_ns)
			low = middle;
		else
			high = middle;
	}
	*ret = (struct moment) { .look = low,
		.beyond = (double) (t_ns - l->at_ns[low % LOOKS]) /
			(double) (l->at_ns[high % LOOKS] - l->at_ns[low % LOOKS]) };
	return 0;
}

static uint64_t value_at(const uint64_t *values, const struct moment *m)
{
	uint64_t before = values[m->look % LOOKS];

	if (m->beyond <= 0)
		return before;
	return before + (uint64_t) ((double) (values[(m->look + 1) % LOOKS] - before) * m->beyond);
}

int loads_energy_pj(
	struct loads *l, size_t package, enum load_part part, uint64_t t_ns, uint64_t *ret)
{
	const struct package *p = &l->packages[package];
	struct moment m;
	int r;

	pthread_mutex_lock(&l->lock);
	r = find_moment(l, t_ns, &m);
	if (r == 0)
		*ret = value_at(p->dynamic_pj, &m) +
			(part == LOAD_ALL ? value_at(p->own_pj, &m) : 0);
	pthread_mutex_unlock(&l->lock);
	return r;
}

int loads_use(struct loads *l, uint64_t t_ns, struct load_use *ret)
{
	struct moment m;
	int r;

	pthread_mutex_lock(&l->lock);
	r = find_moment(l, t_ns, &m);
	for (size_t i = 0; r == 0 && i < l->n_loads; i++)
		ret[i] = (struct load_use) { .pid = l->loads[i].pid,
			.mw = l->loads[i].mw,
			.cpu_ns = value_at(l->loads[i].cpu_ns, &m),
			.pj = value_at(l->loads[i].pj, &m) };
	if (r == 0)
		r = (int) l->n_loads;
	pthread_mutex_unlock(&l->lock);
	return r;
}
