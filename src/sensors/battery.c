// SPDX-License-Identifier: MIT
/*
 * A laptop's batteries: while nothing else feeds the machine, what they give is what it draws.
 * Kernel: Documentation/ABI/testing/sysfs-class-power.
 *
 * Batteries come and go, and an embedded controller answers for them now and then in milliseconds:
 * the class is looked through once a second, by a thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meter/sensor.h"
#include "util/cleanup.h"
#include "util/dirscan.h"
#include "util/parse.h"

#define CLASS_DIR "/sys/class/power_supply"
#define MAX_UW INT64_C(1000000000) /* of one battery: far above any laptop's */
#define MAX_UA INT64_C(1000000000)
#define MAX_UV INT64_C(1000000000)

/* What the class says as a whole. */
struct look {
	const struct host *host;
	unsigned n_batteries;
	unsigned n_discharging;
	bool is_fed; /* from outside, or a battery charges */
	int64_t power_uw;
	int error;     /* of a battery that discharges */
	char name[32]; /* whose error it is */
};

static int read_text(
	const struct host *h, const char *supply, const char *file, char *ret, size_t n)
{
	char path[160];

	snprintf(path, sizeof(path), CLASS_DIR "/%.64s/%s", supply, file);
	return host_read_text(h, path, ret, n);
}

static int read_number(const struct host *h, const char *supply, const char *file, int64_t *ret)
{
	char text[32];
	int r = read_text(h, supply, file, text, sizeof(text));

	return r < 0 ? r : r == 0 ? -ENODATA : parse_i64(text, ret);
}

static bool is_text(
	const struct host *h, const char *supply, const char *file, const char *expected)
{
	char text[32];

	return read_text(h, supply, file, text, sizeof(text)) > 0 && strcmp(text, expected) == 0;
}

/* Drivers disagree whether a current that flows out is negative. */
static int64_t magnitude(int64_t value)
{
	return value < 0 ? -value : value;
}

static int read_power_uw(const struct host *h, const char *supply, int64_t *ret)
{
	int64_t uw, ua, uv;
	int r = read_number(h, supply, "power_now", &uw);

	if (r == -ENOENT) {
		r = read_number(h, supply, "current_now", &ua);
		if (r == 0)
			r = read_number(h, supply, "voltage_now", &uv);
		if (r < 0)
			return r;
		ua = magnitude(ua);
		if (ua > MAX_UA || uv < 0 || uv > MAX_UV)
			return -ERANGE;
		uw = ua / 1000 * uv / 1000 + ua % 1000 * uv / 1000000;
	}
	if (r < 0)
		return r;
	uw = magnitude(uw);
	if (uw > MAX_UW)
		return -ERANGE;
	*ret = uw;
	return 0;
}

static void look_at_battery(struct look *look, const char *supply)
{
	int64_t uw;
	int r;

	if (is_text(look->host, supply, "present", "0"))
		return;
	look->n_batteries++;
	if (is_text(look->host, supply, "status", "Charging")) {
		look->is_fed = true;
	} else if (is_text(look->host, supply, "status", "Discharging")) {
		look->n_discharging++;
		r = read_power_uw(look->host, supply, &uw);
		if (r < 0) {
			look->error = r;
			snprintf(look->name, sizeof(look->name), "%.31s", supply);
		} else {
			look->power_uw += uw;
		}
	}
}

static int look_at_supply(const char *supply, void *ctx)
{
	struct look *look = ctx;

	/* Of a mouse or a telephone. */
	if (is_text(look->host, supply, "scope", "Device"))
		return 0;
	if (is_text(look->host, supply, "type", "Battery"))
		look_at_battery(look, supply);
	/* A port that feeds the device at its other end is online as well: of USB-C the battery's own status
	 * tells whether the machine is fed. A weak mains charger gives an unknown part beside a battery. */
	else if (!is_text(look->host, supply, "type", "USB") &&
		is_text(look->host, supply, "online", "1"))
		look->is_fed = true;
	return 0;
}

static int look_at_all(const struct host *h, struct look *ret)
{
	CLEANUP_FD int fd = host_open_file(h, CLASS_DIR);

	*ret = (struct look) { .host = h };
	return fd < 0 ? fd : dirscan(fd, look_at_supply, ret);
}

/* Whether what the batteries give is what the machine draws. */
static int judge(const struct look *look)
{
	if (look->n_discharging == 0 || look->is_fed)
		return -ENODATA;
	if (look->error)
		return look->error;
	/* All of them at 0 are so for a while after the plug was pulled: not known yet. One at 0 beside
	 * another that gives something rests. */
	return look->power_uw == 0 ? -ENODATA : 0;
}

static int battery_probe(struct sensor *s)
{
	struct look look;
	int r = look_at_all(s->host, &look);

	if (r < 0 || look.n_batteries == 0)
		return sensor_refuse(s, r < 0 ? r : -ENODEV, NULL, "this machine has no battery");
	return 0;
}

static int battery_open(struct sensor *s)
{
	struct look look;
	struct domain *d = sensor_add_domain(s);

	if (look_at_all(s->host, &look) < 0 || look.n_batteries == 0)
		return sensor_refuse(s, -ENODEV, NULL, "this machine has no battery any more");
	snprintf(d->name, sizeof(d->name), "battery");
	snprintf(d->scope, sizeof(d->scope), "whole machine while unplugged");
	d->kind = KIND_PLATFORM;
	d->power_only = true;
	d->quality = FLAG_INTEGRATED;
	d->max_power_mw = (uint64_t) (MAX_UW / 1000) * 4;
	s->period_ns = NS_PER_S;
	/* It is used all the same: it will tell when the plug is pulled. */
	if (look.n_discharging > 0 && look.error)
		sensor_refuse(
			s, 0, NULL, "%s cannot be read: %s", look.name, strerror(-look.error));
	else if (look.n_discharging == 0 || look.is_fed)
		sensor_refuse(s, 0, NULL,
			"tells nothing while the machine is fed from outside: unplug the charger");
	return 0;
}

static int battery_read(struct sensor *s, struct reading *ret)
{
	uint64_t before_ns = host_now_ns(s->host), after_ns;
	struct look look;
	int r;

	ret[0] = (struct reading) { .flags = FLAG_INTEGRATED };
	if (sensor_skips(s, 0, &ret[0]))
		return 0;
	r = look_at_all(s->host, &look);
	after_ns = host_now_ns(s->host);
	ret[0].error = r < 0 ? r : judge(&look);
	ret[0].power_mw = (uint64_t) (look.power_uw + 500) / 1000;
	ret[0].t_ns = before_ns + (after_ns - before_ns) / 2;
	ret[0].t_err_ns = (after_ns - before_ns) / 2 + s->period_ns;
	return 0;
}

static void battery_close(struct sensor *s)
{
	(void) s;
}

const struct sensor_ops sensor_battery = {
	.name = "battery",
	.role = SENSOR_HARDWARE,
	.gives = "the whole machine while unplugged",
	.kinds = KIND_BIT(KIND_PLATFORM),
	.sure_kinds = KIND_BIT(KIND_PLATFORM),
	.polled = true,
	.probe = battery_probe,
	.open = battery_open,
	.read = battery_read,
	.close = battery_close,
};
