// SPDX-License-Identifier: MIT
/*
 * A program that marks phases: phaser OPERATION... does one after the other.
 *
 *   +NAME, -NAME   a phase begins, ends; on its standard output "+NAME BEFORE AFTER" tells the
 *                  times around the marker
 *   burn=MS        keeps a CPU busy; sleep=MS does not
 *   many=N         N phases "many" without a pause
 *   threads=N      N threads, one after the other, mark a phase "thread" each
 *   together=N     the same, all at the same time, for 20 ms at least
 *   fork           a child does the rest, and is waited for; then this process does it, too
 *   exec           the same program anew does the rest
 *   names=N        phases with N different names
 *   rubbish=SEED   fills this thread's ring with random bytes, its slot's counts, too
 *   cut            makes the channel's file short
 *   loop           phases "loop" and "long" until it is killed
 *   kill           ends itself by SIGKILL
 */
#include <powermeasure_phase.h>

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>

static uint64_t now_ns(void)
{
	return pm_phase_clock_(CLOCK_MONOTONIC);
}

static void mark(bool begins, const char *name)
{
	uint64_t before_ns = now_ns(), after_ns;

	if (begins)
		pm_phase_begin(name);
	else
		pm_phase_end(name);
	after_ns = now_ns();
	printf("%c%s %llu %llu\n", begins ? '+' : '-', name, (unsigned long long) before_ns,
		(unsigned long long) after_ns);
	fflush(stdout);
}

static void burn(uint64_t ns)
{
	uint64_t end_ns = now_ns() + ns;

	while (now_ns() < end_ns)
		;
}

static void rest(uint64_t ns)
{
	const struct timespec ts = { .tv_sec = (time_t) (ns / 1000000000),
		.tv_nsec = (long) (ns % 1000000000) };

	nanosleep(&ts, NULL);
}

static pthread_barrier_t all_there;

static void *be_thread(void *ns)
{
	PM_PHASE("thread");
	if (*(uint64_t *) ns > 0)
		pthread_barrier_wait(&all_there);
	rest(*(uint64_t *) ns);
	return NULL;
}

static void one_by_one(long n)
{
	uint64_t ns = 0;
	pthread_t thread;

	for (long i = 0; i < n; i++)
		if (pthread_create(&thread, NULL, be_thread, &ns) == 0)
			pthread_join(thread, NULL);
}

static void together(long n)
{
	pthread_t *threads = calloc((size_t) n, sizeof(*threads));
	uint64_t ns = 20000000;

	pthread_barrier_init(&all_there, NULL, (unsigned) n);
	for (long i = 0; threads && i < n; i++)
		if (pthread_create(&threads[i], NULL, be_thread, &ns) != 0)
			abort();
	for (long i = 0; threads && i < n; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}

static void rubbish(unsigned seed)
{
	struct pm_phase_thread_ *t = &pm_phase_thread_;
	unsigned char *bytes;

	pm_phase_begin("rubbish");
	if (!t->slot)
		return;
	srand(seed);
	bytes = (unsigned char *) t->ring;
	for (size_t i = 0; i < sizeof(*t->ring); i++)
		bytes[i] = (unsigned char) rand();
	t->slot->names = (uint32_t) rand();
	t->slot->cut = t->slot->unnamed = 0;
	t->slot->head += (uint64_t) rand() << (seed % 33);
	rest(50000000);
	t->slot->head = (uint64_t) rand();
}

static void do_all(char **ops, char *self)
{
	for (; *ops; ops++) {
		const char *op = *ops, *value = strchr(op, '=');
		long n = value ? atol(value + 1) : 0;

		if (*op == '+' || *op == '-') {
			mark(*op == '+', op + 1);
		} else if (strncmp(op, "burn", 4) == 0) {
			burn((uint64_t) n * 1000000);
		} else if (strncmp(op, "sleep", 5) == 0) {
			rest((uint64_t) n * 1000000);
		} else if (strncmp(op, "many", 4) == 0) {
			for (long i = 0; i < n; i++) {
				pm_phase_begin("many");
				pm_phase_end("many");
			}
		} else if (strncmp(op, "threads", 7) == 0) {
			one_by_one(n);
		} else if (strncmp(op, "together", 8) == 0) {
			together(n);
		} else if (strncmp(op, "names", 5) == 0) {
			for (long i = 0; i < n; i++) {
				char name[32];

				snprintf(name, sizeof(name), "name-%ld", i);
				pm_phase_begin(name);
				pm_phase_end(name);
			}
		} else if (strcmp(op, "fork") == 0) {
			pid_t pid = fork();

			if (pid > 0)
				waitpid(pid, NULL, 0);
		} else if (strcmp(op, "exec") == 0) {
			*ops = self;
			execv(self, ops);
			abort();
		} else if (strncmp(op, "rubbish", 7) == 0) {
			rubbish((unsigned) n);
		} else if (strcmp(op, "cut") == 0) {
			if (truncate(getenv("POWERMEASURE_PHASES"), 100) < 0)
				abort();
		} else if (strcmp(op, "loop") == 0) {
			for (;;) {
				for (int i = 0; i < 200; i++) {
					PM_PHASE("loop");
				}
				PM_PHASE("long");
				rest(100000000);
			}
		} else if (strcmp(op, "kill") == 0) {
			kill(getpid(), SIGKILL);
		} else {
			fprintf(stderr, "phaser: %s?\n", op);
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	(void) argc;
	do_all(argv + 1, argv[0]);
	return 0;
}
