// SPDX-License-Identifier: MIT
/* Which power and energy channels the kernel's hwmon class has, and what they are called. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensors/hwmon/hwmon.h"
#include "util/cleanup.h"
#include "util/dirscan.h"
#include "util/grow.h"
#include "util/parse.h"

static int read_file(const struct host *h, const char *dir, const char *file, char *ret, size_t n)
{
	char path[160];
	int r;

	snprintf(path, sizeof(path), HWMON_DIR "/%s/%s", dir, file);
	r = host_read_text(h, path, ret, n);
	if (r < 0)
		*ret = '\0';
	return r;
}

/* Older drivers have their files beside the class's directory, in the device's. */
int hwmon_read_text(const struct host *h, const char *hwmon, const char *file, char *ret, size_t n)
{
	char dir[64];
	int r = read_file(h, hwmon, file, ret, n);

	if (r >= 0)
		return r;
	snprintf(dir, sizeof(dir), "%.40s/device", hwmon);
	return read_file(h, dir, file, ret, n);
}

/* A name that stays: of the PCI slot, or what firmware calls the device. */
static void name_device(const struct host *h, const char *hwmon, char *ret, size_t n)
{
	static const char *const keys[] = { "PCI_SLOT_NAME=", "OF_FULLNAME=" };
	char text[1024];

	if (read_file(h, hwmon, "device/uevent", text, sizeof(text)) > 0)
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
			const char *value = strstr(text, keys[i]);

			if (!value)
				continue;
			value += strlen(keys[i]);
			snprintf(ret, n, "%.*s", (int) strcspn(value, "\n"), value);
			return;
		}
	read_file(h, hwmon, "device/path", ret, n);
}

/* Firmware's labels may end in blanks. */
static void trim(char *label)
{
	size_t n = strlen(label);

	while (n > 0 && label[n - 1] == ' ')
		label[--n] = '\0';
}

static void find_label(const struct host *h, const char *hwmon, struct hwmon_channel *c)
{
	char file[32];

	snprintf(file, sizeof(file), "%s%u_label", c->is_energy ? "energy" : "power", c->number);
	if (hwmon_read_text(h, hwmon, file, c->label, sizeof(c->label)) > 0)
		return;
	snprintf(file, sizeof(file), "power%u_oem_info", c->number);
	if (!c->is_energy && hwmon_read_text(h, hwmon, file, c->label, sizeof(c->label)) > 0)
		return;
	read_file(h, hwmon, "label", c->label, sizeof(c->label));
}

static void read_label(const struct host *h, const char *hwmon, struct hwmon_channel *c)
{
	find_label(h, hwmon, c);
	trim(c->label);
}

/* "power1_average", "power1_input" or "energy1_input". */
static bool parse_file(const char *name, struct hwmon_channel *ret)
{
	char what[16];
	int end = 0;

	ret->is_energy = *name == 'e';
	if (sscanf(name, ret->is_energy ? "energy%3u_%15[a-z]%n" : "power%3u_%15[a-z]%n",
		    &ret->number, what, &end) != 2 ||
		name[end] || strlen(name) >= sizeof(ret->file))
		return false;
	snprintf(ret->file, sizeof(ret->file), "%s", name);
	return strcmp(what, "input") == 0 || (!ret->is_energy && strcmp(what, "average") == 0);
}

/* The average is preferred to what is true just now, and the class's directory to the device's. */
static bool is_there_already(struct hwmon_scan *scan, const struct hwmon_channel *c)
{
	for (size_t i = scan->first; i < scan->n; i++) {
		struct hwmon_channel *k = &scan->channels[i];

		if (k->is_energy != c->is_energy || k->number != c->number)
			continue;
		if (strcmp(k->dir, c->dir) == 0 && strstr(c->file, "average"))
			memcpy(k->file, c->file, sizeof(k->file));
		return true;
	}
	return false;
}

/* Cores of a package by themselves would be many, and are in it. */
static bool is_left_out(const struct host *h, const char *hwmon, const struct hwmon_channel *c)
{
	char file[32], text[16];

	snprintf(file, sizeof(file), "%s%u_enable", c->is_energy ? "energy" : "power", c->number);
	if (read_file(h, hwmon, file, text, sizeof(text)) > 0 && strcmp(text, "0") == 0)
		return true;
	snprintf(file, sizeof(file), "power%u_is_battery", c->number);
	if (hwmon_read_text(h, hwmon, file, text, sizeof(text)) > 0 && strcmp(text, "1") == 0)
		return true;
	return c->class == HWMON_AMD_ENERGY && strncmp(c->label, "Esocket", 7) != 0;
}

static int look_at_file(const char *name, void *ctx)
{
	struct hwmon_scan *scan = ctx;
	struct hwmon_channel *c, *list;
	char hwmon[32], file[48], text[32];
	uint64_t ms;

	if (scan->n == HWMON_SCAN_MAX)
		return 0;
	list = grow_list(scan->channels, scan->n, &scan->cap, sizeof(*list));
	if (!list)
		return -ENOMEM;
	scan->channels = list;
	c = &list[scan->n];
	*c = scan->chip;
	if (!parse_file(name, c) || is_there_already(scan, c))
		return 0;
	snprintf(hwmon, sizeof(hwmon), "%.*s", (int) strcspn(c->dir, "/"), c->dir);
	read_label(scan->host, hwmon, c);
	if (is_left_out(scan->host, hwmon, c))
		return 0;
	snprintf(file, sizeof(file), "power%u_average_interval", c->number);
	if (c->class == HWMON_ACPI &&
		hwmon_read_text(scan->host, hwmon, file, text, sizeof(text)) > 0 &&
		parse_u64(text, &ms) == 0 && ms >= 100 && ms < 1000)
		c->period_ns = ms * NS_PER_MS;
	hwmon_judge(c);
	scan->n++;
	return 0;
}

static void look_at_dir(struct hwmon_scan *scan)
{
	char path[128];
	CLEANUP_FD int fd = -1;

	snprintf(path, sizeof(path), HWMON_DIR "/%s", scan->chip.dir);
	fd = host_open_file(scan->host, path);
	if (fd >= 0)
		dirscan(fd, look_at_file, scan);
}

/* Linux 6.12 and later show each battery as a chip, too. Its power is the machine's only while it is
 * discharged, which the battery's own sensor looks at. */
static bool is_battery(const struct host *h, const char *hwmon)
{
	char type[16];

	return read_file(h, hwmon, "device/type", type, sizeof(type)) > 0 &&
		strcmp(type, "Battery") == 0;
}

static int look_at_chip(const char *hwmon, void *ctx)
{
	struct hwmon_scan *scan = ctx;
	struct hwmon_channel *c = &scan->chip;

	if (strncmp(hwmon, "hwmon", 5) != 0 || strlen(hwmon) > 20)
		return 0;
	*c = (struct hwmon_channel) { .host = scan->host, .numfile = NUMFILE_INIT };
	if (hwmon_read_text(scan->host, hwmon, "name", c->chip, sizeof(c->chip)) <= 0 ||
		is_battery(scan->host, hwmon))
		return 0;
	c->class = hwmon_class_of(c->chip, &c->period_ns);
	if (c->class == HWMON_IGNORED) {
		scan->ignored = true;
		return 0;
	}
	name_device(scan->host, hwmon, c->device, sizeof(c->device));
	scan->first = scan->n;
	snprintf(c->dir, sizeof(c->dir), "%s", hwmon);
	look_at_dir(scan);
	snprintf(c->dir, sizeof(c->dir), "%s/device", hwmon);
	look_at_dir(scan);
	return 0;
}

int hwmon_scan(const struct host *h, struct hwmon_scan *ret)
{
	CLEANUP_FD int fd = host_open_file(h, HWMON_DIR);
	int r;

	*ret = (struct hwmon_scan) { .host = h };
	r = fd < 0 ? fd : dirscan(fd, look_at_chip, ret);
	if (r < 0)
		hwmon_scan_finish(ret);
	return r;
}

void hwmon_scan_finish(struct hwmon_scan *scan)
{
	free(scan->channels);
	scan->channels = NULL;
	scan->n = 0;
}
