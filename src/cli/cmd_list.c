// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/doctor/doctor.h"
#include "machine/captured.h"
#include "meter/excess.h"
#include "meter/power.h"
#include "meter/twins.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/format.h"
#include "util/jw.h"
#include "sinks/jsonfile.h"
#include "session/schema.h"
#include "util/timer.h"

/* Long enough for a counter that moves ten times a second, or for the 10 ms steps in which the
 * machine's idle time is told. */
#define LOOK_NS (500 * NS_PER_MS)
/* The slowest of them reads once a second. */
#define THREADS_NS (2500 * NS_PER_MS)
#define THREADS_STEP_NS (20 * NS_PER_MS)

/* What one domain drew while we looked. */
struct look {
	bool known;
	bool captured; /* what it drew was between a captured machine's two readings */
	int error;
	uint64_t power_uw;
};

/* No value may be older than this part of the time between two looks. */
#define STALE_PART 8

static void judge(const struct reading *before, const struct reading *after, struct look *ret)
{
	uint64_t from_ns = before->t_ns;
	uint64_t from_uj = before->energy_uj;

	*ret = (struct look) { .error = after->error };
	if (after->error)
		return;
	/* A polled sensor begins to count after the first look. */
	if (before->error || before->since_ns != after->since_ns) {
		from_ns = after->since_ns;
		from_uj = 0;
	}
	if (after->t_ns <= from_ns) {
		/* One sample may be all there is of a slow sensor's power. */
		ret->known = after->power_mw > 0;
		ret->power_uw = after->power_mw * 1000;
		return;
	}
	/* Values may be from other times than the looks were: over a short one that is any power. */
	ret->known = before->stale_ns <= (after->t_ns - from_ns) / STALE_PART &&
		after->stale_ns <= (after->t_ns - from_ns) / STALE_PART;
	ret->power_uw = power_uw(after->energy_uj - from_uj, after->t_ns - from_ns);
}

/* Of a captured machine: between its two readings. How long it took us to look says nothing. */
static void judge_captured(const struct host *host, const struct domain *d,
	const struct reading *before, const struct reading *after, struct look *ret)
{
	*ret = (struct look) { .captured = true,
		.error = before->error ? before->error : after->error };
	if (ret->error)
		return;
	if (d->power_only || before->since_ns != after->since_ns) {
		ret->known = before->power_mw || after->power_mw;
		ret->power_uw = (before->power_mw + after->power_mw) * 500;
		return;
	}
	ret->known = true;
	ret->power_uw = power_uw(
		after->energy_uj - before->energy_uj, captured_interval_ns(host->captured));
}

/* Reads until each domain was read after that time, by threads that may take their time. */
static void read_since(struct host *host, struct rig *rig, uint64_t since_ns, struct reading *ret)
{
	for (uint64_t ns = 0; ns < THREADS_NS; ns += THREADS_STEP_NS) {
		bool all = true;

		rig_read(rig, KIND_ALL, ret);
		for (size_t i = 0; i < rig_n_domains(rig); i++)
			all &= ret[i].error ? ret[i].error != -EAGAIN
					    : ret[i].t_ns >= since_ns ||
					rig_domain(rig, i)->quality == FLAG_ESTIMATED;
		if (all)
			break;
		timer_sleep(THREADS_STEP_NS);
	}
	host_usage_update(host);
}

static void look_at_captured(struct host *host, struct rig *rig, struct look *ret)
{
	static struct reading before[RIG_MAX_DOMAINS], after[RIG_MAX_DOMAINS];
	uint64_t turned_ns;

	read_since(host, rig, 0, before);
	/* As long as it was: less would look like more power than can be. */
	timer_sleep(captured_interval_ns(host->captured));
	turned_ns = host_now_ns(host);
	host_turn(host, true);
	read_since(host, rig, turned_ns, after);
	for (size_t i = 0; i < rig_n_domains(rig); i++) {
		const struct domain *d = rig_domain(rig, i);

		if (d->quality == FLAG_ESTIMATED || rig_is_simulated(d->sensor))
			judge(&before[i], &after[i], &ret[i]);
		else
			judge_captured(host, d, &before[i], &after[i], &ret[i]);
	}
}

static void look(struct host *host, struct rig *rig, struct look *ret)
{
	static struct reading before[RIG_MAX_DOMAINS], after[RIG_MAX_DOMAINS];

	rig_want(rig, KIND_ALL);
	host_usage_update(host);
	if (host->captured) {
		look_at_captured(host, rig, ret);
		return;
	}
	rig_read(rig, KIND_ALL, before);
	timer_sleep(LOOK_NS);
	host_usage_update(host);
	rig_read(rig, KIND_ALL, after);
	for (size_t i = 0; i < rig_n_domains(rig); i++)
		judge(&before[i], &after[i], &ret[i]);
}

/* Sensors that should report the same and do not. */
static void print_twins(const struct rig *rig, const struct look *looks)
{
	uint64_t power_uw[RIG_MAX_DOMAINS];
	struct twins twins[KIND_COUNT * RIG_MAX_SENSORS];
	size_t n;

	for (size_t i = 0; i < rig_n_domains(rig); i++)
		power_uw[i] = looks[i].known ? looks[i].power_uw : TWINS_UNKNOWN;
	n = twins_find(rig_domains(rig), rig_n_domains(rig), power_uw, twins, ARRAY_SIZE(twins));
	for (size_t i = 0; i < n; i++) {
		char text[256];

		twins_text(&twins[i], "W", text, sizeof(text));
		printf("\n%s\n", text);
	}
}

/* Domains that report less than their parts. */
static void print_excess(const struct rig *rig, const struct look *looks)
{
	uint64_t power_uw[RIG_MAX_DOMAINS];
	struct excess excess[8];
	size_t n;

	for (size_t i = 0; i < rig_n_domains(rig); i++)
		power_uw[i] = looks[i].known ? looks[i].power_uw : EXCESS_UNKNOWN;
	n = excess_find(rig, power_uw, excess, ARRAY_SIZE(excess));
	for (size_t i = 0; i < n; i++) {
		char text[256];

		excess_text(rig, &excess[i], "W", text, sizeof(text));
		printf("\n%s\n", text);
	}
}

static void print_domain(const struct domain *d, const struct look *l)
{
	char period[32] = "?", power[48];

	if (d->update_ns)
		format_period(d->update_ns, period, sizeof(period));
	if (l->known) {
		char watts[32];

		format_micro(l->power_uw, watts, sizeof(watts));
		snprintf(power, sizeof(power), "%s W%s", watts,
			d->quality == FLAG_ESTIMATED ? " ESTIMATED"
				: l->captured        ? " captured"
						     : "");
	} else if (l->error && l->error != -EAGAIN) {
		snprintf(power, sizeof(power), "cannot be read: %s", reading_error(l->error));
	} else {
		snprintf(power, sizeof(power), "does not move");
	}
	printf("    %-18s %-8s %-36s %-10s %s%s\n", d->name, kind_name(d->kind), d->scope, period,
		power, d->counted ? "" : ", not counted");
	if (d->id[0])
		printf("    %-18s %s\n", "", d->id);
	if (d->model[0])
		printf("    %-18s model: %s\n", "", d->model);
}

static void print_table(const struct doctor *d, const struct look *looks)
{
	const struct host *host = &d->host;

	if (host->captured)
		printf("%s is a captured machine: what it drew in %.3f s at %s\n\n", host->root,
			(double) captured_interval_ns(host->captured) / 1e9,
			captured_time(host->captured));
	for (size_t i = 0; i < d->n; i++) {
		const struct doctor_finding *f = &d->findings[i];

		doctor_print_state(f);
		doctor_print_fix(f);
		for (size_t k = 0; k < rig_n_domains(d->rig); k++)
			if (strcmp(rig_domain(d->rig, k)->sensor, f->verdict->ops->name) == 0)
				print_domain(rig_domain(d->rig, k), &looks[k]);
	}
}

static void put_domain(struct jw *j, const struct rig *rig, size_t i, const struct look *l)
{
	const struct domain *d = rig_domain(rig, i);
	int parent = rig_parent(rig, i);

	jw_open(j, '{');
	jw_kv_string(j, "name", d->name);
	jw_kv_string(j, "kind", kind_name(d->kind));
	jw_kv_string(j, "scope", d->scope);
	jw_kv_string(j, "id", d->id[0] ? d->id : NULL);
	jw_kv_string(j, "parent", parent >= 0 ? rig_domain(rig, (size_t) parent)->name : NULL);
	jw_kv_bool(j, "counted", d->counted);
	jw_kv_string(j, "quality", rig_quality_name(d));
	jw_kv_string(j, "model", d->model[0] ? d->model : NULL);
	jw_key(j, "update_period_s");
	if (d->update_ns)
		jw_micro(j, (int64_t) (d->update_ns / 1000));
	else
		jw_null(j);
	jw_key(j, "power_w");
	if (l->known)
		jw_micro(j, (int64_t) l->power_uw);
	else
		jw_null(j);
	jw_kv_string(j, "error", l->error && l->error != -EAGAIN ? reading_error(l->error) : NULL);
	jw_close(j, '}');
}

static void put_captured(struct jw *j, const struct host *host)
{
	if (!host->captured) {
		jw_kv_null(j, "captured");
		return;
	}
	jw_key(j, "captured");
	jw_open(j, '{');
	jw_kv_string(j, "time", captured_time(host->captured));
	jw_kv_micro(j, "interval_s", (int64_t) (captured_interval_ns(host->captured) / 1000));
	jw_close(j, '}');
}

static void put_sensor(struct jw *j, const struct doctor *d, size_t i, const struct look *looks)
{
	const struct doctor_finding *f = &d->findings[i];

	jw_open(j, '{');
	doctor_put_state(j, f);
	jw_key(j, "domains");
	jw_open(j, '[');
	for (size_t k = 0; k < rig_n_domains(d->rig); k++)
		if (strcmp(rig_domain(d->rig, k)->sensor, f->verdict->ops->name) == 0)
			put_domain(j, d->rig, k, &looks[k]);
	jw_close(j, ']');
	jw_close(j, '}');
}

static void print_json(
	const struct doctor *d, const struct look *looks, const char *log_dir, bool in_place)
{
	struct buf b = BUF_INIT;
	struct jw j = JW_INIT(&b);

	jw_open(&j, '{');
	jw_kv_u64(&j, "schema_version", SCHEMA_LIST);
	put_captured(&j, &d->host);
	jw_key(&j, "sensors");
	jw_open(&j, '[');
	for (size_t i = 0; i < d->n; i++)
		put_sensor(&j, d, i, looks);
	jw_close(&j, ']');
	jw_kv_string(&j, "log_dir", log_dir);
	jw_kv_bool(&j, "log_in_place", in_place);
	jw_close(&j, '}');
	puts(buf_text(&b));
	buf_finish(&b);
}

/* Whether logs in this directory would be written in place; a missing one is not judged. */
static bool is_in_place(const char *log_dir)
{
	CLEANUP_FD int fd = log_dir ? open(log_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	return fd >= 0 && access(log_dir, W_OK) == 0 && !jsonfile_dir_has_links(fd);
}

static void print_text(
	const struct doctor *d, const struct look *looks, const char *log_dir, bool in_place)
{
	print_table(d, looks);
	print_twins(d->rig, looks);
	print_excess(d->rig, looks);
	if (in_place)
		printf("\n%s: no hard links on this file system: logs are written in place, and a "
		       "kill or a reader at the wrong moment may find them torn\n",
			log_dir);
	doctor_print_end(d);
}

static int list(struct cli_sensors *sensors, bool json, const char *log_dir)
{
	static struct look looks[RIG_MAX_DOMAINS];
	static struct doctor d;
	bool in_place = is_in_place(log_dir);
	int r = doctor_open(&d, "list", sensors, true);

	if (r == CLI_DONE) {
		if (rig_n_domains(d.rig) > 0)
			look(&d.host, d.rig, looks);
		if (json)
			print_json(&d, looks, log_dir, in_place);
		else
			print_text(&d, looks, log_dir, in_place);
		r = rig_measures(d.rig) ? CLI_DONE : CLI_FAILED;
	}
	doctor_close(&d);
	return r;
}

struct list_options {
	struct cli_sensors sensors;
	bool json;
	const char *log_dir;
};

static const struct opt options[] = {
	OPT_FLAG(0, "json", struct list_options, json, "print one JSON document"),
	OPT_TEXT(0, "log-dir", "DIR", struct list_options, log_dir,
		"also judge this log directory [where the plugin would log]",
		.variable = "TRAPS_POWER_LOG_PATH"),
	CLI_SENSOR_ROWS(struct list_options, sensors),
	OPT_END,
};

static int run_list(int argc, char **argv)
{
	struct list_options given = { 0 };
	char buffer[4096];
	struct opts o;

	opts_begin(&o, &command_list, argc, argv, &given);
	if (!opts_take_all(&o, 0))
		return o.status;
	given.log_dir = cli_log_dir(given.log_dir, buffer, sizeof(buffer));
	return list(&given.sensors, given.json, given.log_dir);
}

const struct cli_command command_list = {
	.name = "list",
	.summary = "show every sensor: usable or not, why, and what would help",
	.usage = "list [OPTIONS]",
	.about = "Shows every sensor: whether it can be used, or why not and which command would "
		 "change that; what it measures, how often it is updated, and its power.",
	.options = options,
	.status = "0 something is measured; 1 nothing is, or only estimated; 2 wrong usage",
	.run = run_list,
};
