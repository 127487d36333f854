// SPDX-License-Identifier: MIT
#include "answers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fault.h"
#include "util/cleanup.h"

/* Enough for 2^128. */
#define U128_TEXT 40

static const char *u128_text(u128 value, char *text)
{
	char *at = text + U128_TEXT - 1;

	*at = '\0';
	do {
		*--at = (char) ('0' + (int) (value % 10));
		value /= 10;
	} while (value > 0);
	return at;
}

static int print_zone_truth(struct world *w, size_t zone, uint64_t t_ns, FILE *to)
{
	char text[U128_TEXT];
	uint64_t count;
	u128 pj;
	int r = world_energy_pj(w, zone, t_ns, &pj);

	if (r == 0)
		r = world_count(w, zone, t_ns, &count);
	if (r == 0)
		fprintf(to, "%s\"%s\": {\"name\": \"%s\", \"pj\": %s, \"count\": %" PRIu64 "}",
			zone ? ", " : "", w->zones[zone].dir, w->zones[zone].name,
			u128_text(pj, text), count);
	return r;
}

static int print_loads_truth(struct world *w, uint64_t t_ns, FILE *to)
{
	struct load_use use[LOADS_MAX];
	int n = w->loads ? loads_use(w->loads, t_ns, use) : 0;

	for (int i = 0; i < n; i++)
		fprintf(to,
			"%s{\"pid\": %d, \"mw\": %" PRIu64 ", \"cpu_ns\": %" PRIu64
			", \"pj\": %" PRIu64 "}",
			i ? ", " : "", (int) use[i].pid, use[i].mw, use[i].cpu_ns, use[i].pj);
	return n < 0 ? n : 0;
}

char *answer_truth(struct world *w, uint64_t t_ns)
{
	CLEANUP_FREE char *text = NULL;
	size_t n;
	int r = 0;
	FILE *to = open_memstream(&text, &n);

	if (!to)
		return NULL;
	fprintf(to, "{\"t_ns\": %" PRIu64 ", \"zones\": {", t_ns);
	pthread_mutex_lock(&w->lock);
	for (size_t i = 0; r == 0 && i < w->n_zones; i++)
		r = print_zone_truth(w, i, t_ns, to);
	pthread_mutex_unlock(&w->lock);
	fprintf(to, "}, \"loads\": [");
	if (r == 0)
		r = print_loads_truth(w, t_ns, to);
	fprintf(to, "]}\n");
	if (fclose(to) != 0)
		return NULL;
	if (r < 0) {
		errno = -r;
		return NULL;
	}
	return take_ptr(text);
}

static void print_status(struct world *w, uint64_t now_ns, FILE *to)
{
	fprintf(to,
		"{\"now_ns\": %" PRIu64 ", \"mounted_ns\": %" PRIu64 ", \"seed\": %" PRIu64
		", \"refused\": \"%s\", \"zones\": {",
		now_ns, w->mounted_ns, w->seed, w->refused);
	for (size_t i = 0; i < w->n_zones; i++)
		fprintf(to, "%s\"%s\": {\"reads\": %" PRIu64 ", \"generation\": %u}", i ? ", " : "",
			w->zones[i].dir, w->zones[i].reads, w->zones[i].generation);
	fprintf(to, "}, \"faults\": [");
	for (size_t i = 0; i < w->n_faults; i++)
		fprintf(to,
			"%s{\"what\": \"%s\", \"zone\": \"%s\", \"state\": \"%s\", \"began_ns\": "
			"%" PRIu64 ", \"ended_ns\": %" PRIu64 "}",
			i ? ", " : "", fault_name(w->faults[i].kind),
			w->zones[w->faults[i].zone].dir, fault_state_name(w->faults[i].state),
			w->faults[i].began_ns, w->faults[i].ended_ns);
	fprintf(to, "]}\n");
}

char *answer_status(struct world *w)
{
	CLEANUP_FREE char *text = NULL;
	size_t n;
	FILE *to = open_memstream(&text, &n);
	uint64_t now_ns = world_now_ns();

	if (!to)
		return NULL;
	pthread_mutex_lock(&w->lock);
	faults_advance(w, now_ns);
	print_status(w, now_ns, to);
	pthread_mutex_unlock(&w->lock);
	return fclose(to) == 0 ? take_ptr(text) : NULL;
}
