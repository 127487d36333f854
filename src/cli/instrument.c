// SPDX-License-Identifier: MIT
#include "cli/instrument.h"
#include "meter/ready.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A driver that hangs is not waited for longer. */
#define CLOSE_NS (2 * NS_PER_S)

static int need_domains(
	const struct instrument *e, const char *command, const struct cli_sensors *sensors)
{
	const char *names = sensors->list.names;

	if (rig_n_domains(e->rig) == 0)
		return cli_fail(command,
			"no sensor can be used%s%s; `powermeasure list` tells why and what helps",
			names[0] ? " of --sensors " : "", names);
	return CLI_DONE;
}

/* What the tool itself used is its own column. */
static int open_gauge(
	struct instrument *e, const char *command, const struct account_watcher *watcher)
{
	const struct gauge_options options = { .kinds = rig_kinds(e->rig), .watcher = watcher };
	struct target self;
	int r = gauge_create(&e->gauge, e->host, e->rig, &options);

	if (r == 0)
		r = target_open_process(&self, getpid());
	if (r == 0) {
		r = gauge_add(e->gauge, &self, &e->tool);
		if (r < 0)
			target_close(&self);
	}
	return r < 0 ? cli_fail(command, "%s", strerror(-r)) : CLI_DONE;
}

int instrument_open_sensors(struct instrument *e, const char *command, struct cli_sensors *sensors)
{
	static struct host host; /* a thread that was left behind may use it to the end */
	struct rig_options options = cli_rig_options(sensors);
	int r;

	*e = (struct instrument) { 0 };
	r = cli_open_host(&host, command, sensors->root);
	if (r != CLI_DONE)
		return r;
	if (host.captured)
		cli_fail(command, "%s is a captured machine: its counters stand still",
			sensors->root);
	e->host = &host;
	r = cli_open_rig(&e->rig, e->host, command, &options);
	if (r == CLI_DONE && rig_absent(e->rig))
		r = cli_fail(command, "--gpu: %s", rig_absent(e->rig));
	if (r != CLI_DONE)
		instrument_close(e);
	return r;
}

int instrument_open_told(struct instrument *e, const char *command, struct cli_sensors *sensors,
	const struct account_watcher *watcher)
{
	int r = instrument_open_sensors(e, command, sensors);

	if (r != CLI_DONE)
		return r;
	r = need_domains(e, command, sensors);
	if (r == CLI_DONE)
		r = open_gauge(e, command, watcher);
	if (r != CLI_DONE)
		instrument_close(e);
	return r;
}

int instrument_open(struct instrument *e, const char *command, struct cli_sensors *sensors)
{
	return instrument_open_told(e, command, sensors, NULL);
}

static bool read_all(void *gauge)
{
	gauge_read(gauge);
	return gauge_is_ready(gauge);
}

void instrument_read_ready(const struct instrument *e)
{
	ready_wait(read_all, e->gauge, READY_NS);
}

void instrument_close(struct instrument *e)
{
	gauge_destroy(e->gauge);
	if (e->host && rig_close(e->rig, CLOSE_NS))
		host_finish(e->host);
	*e = (struct instrument) { 0 };
}
