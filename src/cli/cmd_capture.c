// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "cli/cli.h"
#include "machine/copy.h"
#include "machine/captured.h"
#include "meter/ready.h"
#include "util/cleanup.h"
#include "machine/privacy.h"
#include "session/schema.h"
#include "util/timer.h"
#include "util/timestamp.h"

#define INTERVAL_NS NS_PER_S
#define CLOSE_NS (500 * NS_PER_MS)
/* A copy waits longer than other commands: what is not read is not in it. */
#define ALL_READY_NS (1500 * NS_PER_MS)

/* One sensor, opened for itself alone: each is to be in the copy, also those that would not be used
 * beside another. */
struct one {
	struct rig *rig;
	struct reading readings[2][RIG_MAX_DOMAINS];
};

struct moment {
	int64_t wall_ns;
	uint64_t t_ns;
	uint64_t took_ns;
};

struct capture {
	struct host host;
	struct asked *asked;
	struct sensor_options sensor;
	struct one ones[RIG_MAX_SENSORS];
	size_t n_ones;
	struct moment moments[2];
	struct copy copy;
};

static int open_sensors(struct capture *c)
{
	for (const struct sensor_ops *const *ops = sensor_list; *ops && c->n_ones < RIG_MAX_SENSORS;
		ops++) {
		struct rig_options o = { .sensors = (*ops)->name, .sensor = &c->sensor };
		const char *bad_name;
		int r;

		if ((*ops)->role == SENSOR_SIMULATED)
			continue;
		r = rig_open(&c->ones[c->n_ones].rig, &c->host, &o, &bad_name);
		if (r < 0)
			return r;
		rig_want(c->ones[c->n_ones++].rig, KIND_ALL);
	}
	return 0;
}

/* Reads everything; false if a thread has not read yet. */
static bool read_sensors(struct capture *c, bool later)
{
	bool ready = true;

	host_usage_update(&c->host);
	for (size_t i = 0; i < c->n_ones; i++) {
		struct one *one = &c->ones[i];

		rig_read(one->rig, KIND_ALL, one->readings[later]);
		ready &= rig_is_ready(one->rig, KIND_ALL, one->readings[later]);
	}
	return ready;
}

static bool read_first(void *capture)
{
	return read_sensors(capture, false);
}

static int take(struct capture *c, bool later)
{
	struct moment *m = &c->moments[later];
	int r;

	*m = (struct moment) { .wall_ns = clock_wall_ns(&clock_system),
		.t_ns = host_now_ns(&c->host) };
	read_sensors(c, later);
	r = copy_take(&c->copy, later);
	m->took_ns = host_now_ns(&c->host) - m->t_ns;
	return r;
}

static int take_both(struct capture *c)
{
	uint64_t elapsed_ns;
	int r;

	ready_wait(read_first, c, ALL_READY_NS);
	r = take(c, false);
	if (r < 0)
		return r;
	elapsed_ns = host_now_ns(&c->host) - c->moments[0].t_ns;
	/* A copy that took longer than the pause is followed by one as long. */
	timer_sleep(elapsed_ns < INTERVAL_NS ? INTERVAL_NS - elapsed_ns : INTERVAL_NS);
	return take(c, true);
}

/* ---- what capture.json says ------------------------------------------------------------- */

static void put_seconds(struct jw *j, const char *key, uint64_t ns)
{
	jw_kv_micro(j, key, (int64_t) (ns / 1000));
}

static void put_readings(struct jw *j, const struct capture *c)
{
	jw_key(j, "readings");
	jw_open(j, '[');
	for (size_t i = 0; i < ARRAY_SIZE(c->moments); i++) {
		const struct moment *m = &c->moments[i];
		char text[TIMESTAMP_MAX];

		timestamp_rfc3339(m->wall_ns, text, sizeof(text));
		jw_open(j, '{');
		jw_kv_string(j, "time", text);
		put_seconds(j, "at_s", m->t_ns - c->moments[0].t_ns);
		put_seconds(j, "took_s", m->took_ns);
		jw_close(j, '}');
	}
	jw_close(j, ']');
	put_seconds(j, "interval_s", c->moments[1].t_ns - c->moments[0].t_ns);
}

static void put_domain(struct jw *j, const struct one *one, size_t i)
{
	const struct domain *d = rig_domain(one->rig, i);
	const char *public_id = d->id + d->id_public_at;

	jw_open(j, '{');
	jw_kv_string(j, "name", d->name);
	jw_kv_string(j, "kind", kind_name(d->kind));
	jw_kv_string(j, "scope", d->scope);
	jw_kv_string(j, "id", *public_id ? public_id : NULL);
	put_seconds(j, "update_period_s", d->update_ns);
	jw_key(j, "readings");
	jw_open(j, '[');
	for (size_t k = 0; k < 2; k++) {
		const struct reading *r = &one->readings[k][i];

		jw_open(j, '{');
		jw_kv_string(j, "error", r->error ? strerror(-r->error) : NULL);
		jw_kv_u64(j, "raw", r->error ? 0 : r->raw);
		jw_kv_micro(j, "power_w", r->error ? 0 : (int64_t) r->power_mw * 1000);
		jw_close(j, '}');
	}
	jw_close(j, ']');
	jw_close(j, '}');
}

static void put_sensors(struct jw *j, const struct capture *c)
{
	jw_key(j, "sensors");
	jw_open(j, '[');
	for (size_t i = 0; i < c->n_ones; i++) {
		const struct one *one = &c->ones[i];
		const struct rig_verdict *v = rig_verdict(one->rig, 0);

		jw_open(j, '{');
		jw_kv_string(j, "name", v->ops->name);
		jw_kv_bool(j, "usable", v->error == 0);
		jw_kv_string(j, "reason", v->why.reason[0] ? v->why.reason : NULL);
		jw_key(j, "domains");
		jw_open(j, '[');
		for (size_t d = 0; d < rig_n_domains(one->rig); d++)
			put_domain(j, one, d);
		jw_close(j, ']');
		jw_close(j, '}');
	}
	jw_close(j, ']');
}

static int write_json(struct capture *c)
{
	struct buf b = BUF_INIT;
	struct jw j = JW_INIT(&b);
	struct utsname system;
	int r;

	jw_open(&j, '{');
	jw_kv_u64(&j, "schema_version", SCHEMA_CAPTURE);
	jw_kv_string(&j, "program", "powermeasure " PM_VERSION);
	if (uname(&system) == 0) {
		jw_kv_string(&j, "kernel", system.release);
		jw_kv_string(&j, "machine", system.machine);
	}
	put_readings(&j, c);
	jw_kv_u64(&j, "files", c->copy.n_files);
	jw_kv_u64(&j, "moved", c->copy.n_later);
	copy_put_notes(&c->copy, &j);
	put_sensors(&j, c);
	jw_close(&j, '}');
	buf_char(&b, '\n');
	/* Names of domains come from those of devices. */
	if (b.data)
		privacy_hide_addresses(b.data);
	r = b.failed ? -ENOMEM : copy_write(&c->copy, CAPTURED_JSON, &b);
	buf_finish(&b);
	return r;
}

/* ---- the command ------------------------------------------------------------------------ */

static int refuse(const char *dir, int error)
{
	if (error == -ENOTEMPTY)
		return cli_fail("capture", "%s is there and not empty: name a new directory", dir);
	return cli_fail("capture", "%s: %s", dir, strerror(-error));
}

static void say_done(const struct capture *c, const char *dir)
{
	size_t n = 0;

	for (size_t i = 0; i < c->copy.left_out.len; i++)
		n += c->copy.left_out.data[i] == '\0';
	printf("%s: %zu files, %zu of which moved within %.3f s\n", dir, c->copy.n_files,
		c->copy.n_later, (double) (c->moments[1].t_ns - c->moments[0].t_ns) / 1e9);
	if (n > 0)
		printf("%zu could not be read or were left out: see %s%s\n", n / 2, dir,
			CAPTURED_JSON);
	printf("to look at it: powermeasure list --root %s\n"
	       "to send it:    tar czf capture.tar.gz %s\n",
		dir, dir);
}

static int capture(const char *root, const char *dir)
{
	/* A thread that was left behind may use it to the end. */
	static struct capture c;
	bool all_closed = true;
	int status = CLI_DONE;
	int r = cli_open_host(&c.host, "capture", root);

	if (r != CLI_DONE)
		return r;
	r = asked_create(&c.asked);
	if (r == 0)
		r = copy_open(&c.copy, dir, &c.host, c.asked);
	if (r < 0) {
		status = refuse(dir, r);
		copy_close(&c.copy, dir, false);
		host_finish(&c.host);
		asked_destroy(c.asked);
		return status;
	}
	c.host.watch = asked_watch(c.asked);
	/* The host itself read it before anybody watched. */
	host_has(&c.host, "/proc/cpuinfo");
	r = open_sensors(&c);
	if (r == 0)
		r = take_both(&c);
	if (r == 0)
		r = write_json(&c);
	if (r == 0)
		say_done(&c, dir);
	else
		status = cli_fail("capture", "%s%s: %s: nothing is left of the copy", dir,
			c.copy.failed_at, strerror(-r));
	for (size_t i = 0; i < c.n_ones; i++)
		all_closed &= rig_close(c.ones[i].rig, CLOSE_NS);
	copy_close(&c.copy, dir, r < 0);
	if (all_closed) {
		host_finish(&c.host);
		asked_destroy(c.asked);
	}
	return status;
}

struct capture_options {
	const char *root;
};

static const struct opt options[] = {
	OPT_TEXT(0, "root", "ROOT", struct capture_options, root,
		"copy the machine that is mounted below ROOT, as in a container"),
	OPT_END,
};

static int run_capture(int argc, char **argv)
{
	struct capture_options given = { 0 };
	struct opts o;

	opts_begin(&o, &command_capture, argc, argv, &given);
	if (!opts_take_all(&o, 1))
		return o.status;
	if (o.n_operands == 0)
		return cli_usage("capture", "the directory to write into is missing");
	return capture(given.root, o.words[1]);
}

const struct cli_command command_capture = {
	.name = "capture",
	.summary = "copy what the sensors read here, to be shown elsewhere",
	.usage = "capture [--root ROOT] DIR",
	.about = "Copies into DIR what the sensors read on this machine, twice, a second apart: "
		 "`powermeasure list --root DIR` then shows the same machine anywhere. For bug "
		 "reports and tests. DIR must be new or empty.\n"
		 "Serial numbers, network addresses, GPUs' UUIDs, the host's name and what runs on "
		 "it are not in it. What was left out stands in DIR/capture.json, each with the "
		 "reason.",
	.options = options,
	.status = "0 done; 1 the copy cannot be written, and then nothing is left of it; 2 wrong "
		  "usage",
	.run = run_capture,
};
