// SPDX-License-Identifier: MIT
#include "sinks/camera_traps_sums.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/grow.h"
#include "util/u128.h"

/* The name under which those come together for which there is no room. */
#define OTHERS "(others)"

/* ---- stretches of time ------------------------------------------------------------------- */

static void add_energy(struct energy *sum, const struct energy *e)
{
	sum->uj += e->uj;
	sum->low_uj += e->low_uj;
	sum->high_uj += e->high_uj;
}

/* The part of a stretch that begins at from_ns; nothing is known of how its energy is spread. */
static void cut_beginning(struct stretch *s, uint64_t from_ns)
{
	uint64_t whole_ns = s->to_ns - s->from_ns, part_ns = s->to_ns - from_ns;

	s->from_ns = from_ns;
	s->energy.uj = muldiv_u64(s->energy.uj, part_ns, whole_ns);
	s->energy.low_uj = muldiv_u64(s->energy.low_uj, part_ns, whole_ns);
	s->energy.high_uj = muldiv_u64(s->energy.high_uj, part_ns, whole_ns);
}

int cover_add(struct cover *c, const struct stretch *s, unsigned flags)
{
	struct stretch one = *s;
	struct stretch *list;

	if (one.to_ns <= one.from_ns)
		return 0;
	c->flags |= flags;
	list = grow_list(c->list, c->n, &c->cap, sizeof(*list));
	if (!list)
		return -ENOMEM;
	c->list = list;
	/* Its end is the last: what begins later lies in it. */
	while (c->n > 0 && list[c->n - 1].from_ns >= one.from_ns)
		c->n--;
	if (c->n > 0 && list[c->n - 1].to_ns >= one.to_ns)
		return 0;
	if (c->n > 0 && list[c->n - 1].to_ns > one.from_ns)
		cut_beginning(&one, list[c->n - 1].to_ns);
	list[c->n++] = one;
	return 0;
}

uint64_t cover_total(const struct cover *c, struct energy *ret)
{
	uint64_t ns = c->settled_ns;

	*ret = c->settled;
	for (size_t i = 0; i < c->n; i++) {
		ns += c->list[i].to_ns - c->list[i].from_ns;
		add_energy(ret, &c->list[i].energy);
	}
	return ns;
}

void cover_settle(struct cover *c)
{
	struct energy sum;

	c->settled_ns = cover_total(c, &sum);
	c->settled = sum;
	c->n = 0;
}

void cover_finish(struct cover *c)
{
	free(c->list);
	*c = (struct cover) { 0 };
}

/* ---- processes --------------------------------------------------------------------------- */

static void finish_process(struct process_sum *p)
{
	for (int k = 0; k < KIND_COUNT; k++) {
		cover_finish(&p->sums[k].whole);
		cover_finish(&p->sums[k].own);
	}
}

/* Makes room: the one that has gone longest ago stays in its plugin's sums only. */
static bool forget_one(struct sums *s)
{
	struct plugin_sum *plugin;
	struct process_sum *p;
	size_t i = 0;

	while (i < s->n && s->processes[i].n_open > 0)
		i++;
	if (i == s->n)
		return false;
	p = &s->processes[i];
	plugin = &s->plugins[p->plugin];
	for (int k = 0; k < KIND_COUNT; k++) {
		struct energy e;

		cover_total(&p->sums[k].whole, &e);
		add_energy(&plugin->forgotten[k], &e);
		cover_total(&p->sums[k].own, &e);
		add_energy(&plugin->forgotten_own[k], &e);
	}
	plugin->n_forgotten++;
	plugin->forgotten_samples += p->samples;
	for (size_t next = i + 1; next < s->n && !p->pid_again; next++) {
		struct process_sum *q = &s->processes[next];

		if (q->pid == p->pid && q->plugin == p->plugin) {
			q->pid_again = false;
			break;
		}
	}
	finish_process(p);
	memmove(p, p + 1, (--s->n - i) * sizeof(*p));
	return true;
}

struct process_sum *sums_process(struct sums *s, const struct session_report *report, bool *ret_new)
{
	struct process_sum *list;

	*ret_new = false;
	for (size_t i = s->n; i-- > 0;)
		if (s->processes[i].pid == report->pid &&
			s->processes[i].start_ticks == report->start_ticks)
			return &s->processes[i];
	if (s->n >= SUMS_MAX_PROCESSES && !forget_one(s))
		return NULL;
	list = grow_list(s->processes, s->n, &s->cap, sizeof(*list));
	if (!list)
		return NULL;
	s->processes = list;
	list[s->n] = (struct process_sum) { .pid = report->pid,
		.start_ticks = report->start_ticks,
		.start_wall_ns = report->start_wall_ns };
	*ret_new = true;
	return &list[s->n++];
}

static struct plugin_sum *add_plugin(struct sums *s, const char *name, bool known)
{
	struct plugin_sum *list = grow_list(
		s->plugins, s->n_plugins, &s->cap_plugins, sizeof(*list));

	if (!list)
		return NULL;
	s->plugins = list;
	list[s->n_plugins] = (struct plugin_sum) { .known = known };
	snprintf(list[s->n_plugins].name, sizeof(list->name), "%s", name);
	return &list[s->n_plugins++];
}

static struct plugin_sum *find_plugin(struct sums *s, const char *name, bool known)
{
	for (size_t i = 0; i < s->n_plugins; i++)
		if (s->plugins[i].known == known && strcmp(s->plugins[i].name, name) == 0)
			return &s->plugins[i];
	return NULL;
}

int sums_name(
	struct sums *s, struct process_sum *p, const char *name, bool known, char *command_line)
{
	struct plugin_sum *plugin;

	if (!known && s->n_plugins >= SUMS_MAX_PLUGINS && !find_plugin(s, name, known))
		name = OTHERS;
	plugin = find_plugin(s, name, known);
	if (!plugin)
		plugin = add_plugin(s, name, known);
	if (!plugin) {
		free(command_line);
		s->n--; /* the last one: it has just been made */
		return -ENOMEM;
	}
	if (plugin->command_line)
		free(command_line);
	else
		plugin->command_line = command_line;
	p->plugin = (size_t) (plugin - s->plugins);
	for (size_t i = 0; i + 1 < s->n; i++)
		p->pid_again |= s->processes[i].pid == p->pid &&
			s->processes[i].plugin == p->plugin;
	return 0;
}

void sums_begin(struct sums *s, struct process_sum *p, const struct session_report *report)
{
	struct plugin_sum *plugin = &s->plugins[p->plugin];

	p->kinds |= report->kinds;
	plugin->kinds |= report->kinds;
	p->n_open++;
	plugin->n_open++;
}

static int add_kind(struct plugin_sum *plugin, struct process_sum *p, enum kind kind,
	const struct session_total *total, struct stretch s)
{
	int r;

	s.energy = total->energy;
	r = cover_add(&p->sums[kind].whole, &s, total->flags);
	if (r == 0)
		r = cover_add(&plugin->cover[kind], &s, total->flags);
	s.energy = total->own;
	if (r == 0 && total->own_known)
		r = cover_add(&p->sums[kind].own, &s, total->flags);
	return r;
}

/* What begins from now on begins later than all that has ended. */
static void settle(struct plugin_sum *plugin, struct process_sum *p)
{
	for (int k = 0; k < KIND_COUNT; k++) {
		if (p->n_open == 0) {
			cover_settle(&p->sums[k].whole);
			cover_settle(&p->sums[k].own);
		}
		if (plugin->n_open == 0)
			cover_settle(&plugin->cover[k]);
	}
}

int sums_end(
	struct sums *s, struct process_sum *p, const struct session_report *report, uint64_t t_ns)
{
	struct plugin_sum *plugin = &s->plugins[p->plugin];
	struct stretch stretch = { .from_ns = t_ns - report->measured_ns, .to_ns = t_ns };
	int r = 0;

	if (report->end_wall_ns > p->end_wall_ns)
		p->end_wall_ns = report->end_wall_ns;
	for (int k = 0; k < KIND_COUNT && r == 0; k++)
		if (report->totals[k].known)
			r = add_kind(plugin, p, (enum kind) k, &report->totals[k], stretch);
	p->n_open -= p->n_open > 0;
	plugin->n_open -= plugin->n_open > 0;
	settle(plugin, p);
	return r;
}

void sums_sample(struct sums *s, pid_t pid)
{
	for (size_t i = s->n; i-- > 0;) {
		if (s->processes[i].pid != pid || s->processes[i].n_open == 0)
			continue;
		s->processes[i].samples++;
		return;
	}
}

/* ---- amounts ----------------------------------------------------------------------------- */

void sums_of_process(const struct process_sum *p, enum kind kind, struct amount *ret)
{
	const struct kind_sum *sum = &p->sums[kind];

	*ret = (struct amount) { .flags = sum->whole.flags };
	ret->ns = cover_total(&sum->whole, &ret->energy);
	ret->known = ret->ns > 0;
	ret->own_known = cover_total(&sum->own, &ret->own) > 0;
}

void sums_of_plugin(const struct sums *s, size_t plugin, enum kind kind, struct amount *ret)
{
	const struct plugin_sum *of = &s->plugins[plugin];
	struct energy processes = of->forgotten[kind];

	*ret = (struct amount) { .flags = of->cover[kind].flags, .own = of->forgotten_own[kind] };
	ret->ns = cover_total(&of->cover[kind], &ret->energy);
	ret->known = ret->ns > 0;
	ret->own_known = of->forgotten_own[kind].high_uj > 0;
	for (size_t i = 0; i < s->n; i++) {
		struct amount one;

		if (s->processes[i].plugin != plugin)
			continue;
		sums_of_process(&s->processes[i], kind, &one);
		add_energy(&processes, &one.energy);
		add_energy(&ret->own, &one.own);
		ret->own_known |= one.own_known;
	}
	/* Processes' own energies add up; the device's is the same for all of them. */
	if (kind == KIND_CPU)
		ret->energy = processes;
}

void sums_finish(struct sums *s)
{
	for (size_t i = 0; i < s->n; i++)
		finish_process(&s->processes[i]);
	for (size_t i = 0; i < s->n_plugins; i++) {
		for (int k = 0; k < KIND_COUNT; k++)
			cover_finish(&s->plugins[i].cover[k]);
		free(s->plugins[i].command_line);
	}
	free(s->processes);
	free(s->plugins);
	*s = (struct sums) { 0 };
}
