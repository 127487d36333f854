// SPDX-License-Identifier: MIT
#include "tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "util/cleanup.h"

#define CLASS_DIR "/sys/class/powercap"
#define DEVICE_DIR "/sys/devices/virtual/powercap"

/* What programs that are shown another root look for besides. */
static const char *const there[] = { "/proc/stat", "/proc/cpuinfo", "/proc/meminfo", "/proc/uptime",
	"/proc/loadavg", "/sys/devices/system/cpu/online", "/sys/devices/system/cpu/possible",
	"/sys/devices/system/cpu/present" };

/* ---- nodes ------------------------------------------------------------------------------ */

const struct node *tree_find(const struct tree *t, const char *path)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->nodes[i].path, path) == 0)
			return &t->nodes[i];
	return NULL;
}

const char *tree_name_in(const struct node *node, const char *dir)
{
	size_t length = strcmp(dir, "/") == 0 ? 0 : strlen(dir);
	const char *name = node->path + length + 1;

	if (strncmp(node->path, dir, length) != 0 || node->path[length] != '/' || *name == '\0' ||
		strchr(name, '/'))
		return NULL;
	return name;
}

static struct node *add_one(struct tree *t, const char *path, enum node_type type, unsigned mode)
{
	struct node *node = &t->nodes[t->n];

	if (t->n == NODES_MAX)
		return NULL;
	*node = (struct node) { .path = strdup(path), .type = type, .mode = mode, .zone = NO_ZONE };
	if (!node->path)
		return NULL;
	t->n++;
	return node;
}

/* Adds a node, and the directories above it that are missing. NULL: no memory or no room. */
static struct node *add(struct tree *t, const char *path, enum node_type type, unsigned mode)
{
	char above[256];

	for (const char *end = strchr(path + 1, '/'); end; end = strchr(end + 1, '/')) {
		snprintf(above, sizeof(above), "%.*s", (int) (end - path), path);
		if (!tree_find(t, above) && !add_one(t, above, NODE_DIR, 0555))
			return NULL;
	}
	return add_one(t, path, type, mode);
}

__attribute__((format(printf, 5, 6))) static bool add_text(struct tree *t, enum node_type type,
	unsigned mode, const char *path, const char *format, ...)
{
	struct node *node = add(t, path, type, mode);
	va_list args;
	int n;

	if (!node)
		return false;
	va_start(args, format);
	n = vasprintf(&node->text, format, args);
	va_end(args);
	if (n < 0)
		node->text = NULL;
	return n >= 0;
}

/* ---- zones ------------------------------------------------------------------------------ */

static void zone_path(const struct world *w, size_t zone, char *ret, size_t n)
{
	const struct zone *z = &w->zones[zone];

	if (z->parent == NO_ZONE)
		snprintf(ret, n, DEVICE_DIR "/%s/%s", z->control, z->dir);
	else
		snprintf(ret, n, DEVICE_DIR "/%s/%s/%s", z->control, w->zones[z->parent].dir,
			z->dir);
}

/* A file of a zone's directory, with one line in it. */
__attribute__((format(printf, 4, 5))) static bool add_attribute(
	struct tree *t, const char *dir, const char *name, const char *format, ...)
{
	char path[256], line[64];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return add_text(t, NODE_TEXT, 0444, path, "%s\n", line);
}

static bool add_limits(struct tree *t, const struct zone *z, const char *dir)
{
	bool ok = true;

	for (size_t i = 0; ok && i < z->n_limits; i++) {
		const struct limit *limit = &z->limits[i];
		const struct {
			const char *name;
			uint64_t value;
		} files[] = { { "power_limit_uw", limit->power_uw },
			{ "max_power_uw", limit->max_uw }, { "time_window_us", limit->window_us } };
		char name[64];

		snprintf(name, sizeof(name), "constraint_%zu_name", i);
		ok = add_attribute(t, dir, name, "%s", limit->name);
		for (size_t f = 0; ok && f < ARRAY_SIZE(files); f++) {
			snprintf(name, sizeof(name), "constraint_%zu_%s", i, files[f].name);
			ok = add_attribute(t, dir, name, "%" PRIu64, files[f].value);
		}
	}
	return ok;
}

static bool add_zone_files(struct tree *t, const struct zone *z, const char *dir)
{
	uint64_t range_uj = counter_shown_uj(&z->counter, counter_mask(&z->counter));
	char path[256];

	snprintf(path, sizeof(path), "%s/energy_uj", dir);
	return add(t, path, NODE_ENERGY, z->mode) && add_attribute(t, dir, "name", "%s", z->name) &&
		add_attribute(t, dir, "max_energy_range_uj", "%" PRIu64, range_uj) &&
		add_attribute(t, dir, "enabled", "1") && add_limits(t, z, dir);
}

static bool add_zone(struct tree *t, const struct world *w, size_t zone)
{
	const struct zone *z = &w->zones[zone];
	const char *up = z->parent == NO_ZONE ? "../../../../../" : "../../../../../../";
	char dir[160], path[256];
	size_t first;
	bool ok;

	zone_path(w, zone, dir, sizeof(dir));
	snprintf(path, sizeof(path), DEVICE_DIR "/%s/enabled", z->control);
	if (!tree_find(t, path) && !add_text(t, NODE_TEXT, 0444, path, "1\n"))
		return false;
	snprintf(path, sizeof(path), CLASS_DIR "/%s", z->control);
	if (!tree_find(t, path) &&
		!add_text(
			t, NODE_LINK, 0777, path, "../../devices/virtual/powercap/%s", z->control))
		return false;
	first = t->n;
	snprintf(path, sizeof(path), CLASS_DIR "/%s", z->dir);
	ok = add_text(t, NODE_LINK, 0777, path, "../../%s", dir + strlen("/sys/"));
	ok = ok && add(t, dir, NODE_DIR, 0555) && add_zone_files(t, z, dir);
	snprintf(path, sizeof(path), "%s/subsystem", dir);
	ok = ok && add_text(t, NODE_LINK, 0777, path, "%sclass/powercap", up);
	snprintf(path, sizeof(path), "%s/device", dir);
	ok = ok &&
		add_text(t, NODE_LINK, 0777, path, "../../%s",
			z->parent == NO_ZONE ? z->control : w->zones[z->parent].dir);
	for (size_t i = first; i < t->n; i++)
		t->nodes[i].zone = zone;
	return ok;
}

/* ---- the rest --------------------------------------------------------------------------- */

static bool add_controls(struct tree *t)
{
	static const struct {
		const char *path;
		enum node_type type;
		unsigned mode;
	} files[] = { { "/ctl/back", NODE_BACK, 0200 }, { "/ctl/clear", NODE_CLEAR, 0200 },
		{ "/ctl/load", NODE_LOAD, 0222 }, { "/ctl/status", NODE_STATUS, 0444 },
		{ "/truth", NODE_DIR, 0555 } };

	for (enum fault_kind k = 0; k < FAULT_KINDS; k++) {
		char path[32];
		struct node *node;

		snprintf(path, sizeof(path), "/ctl/%s", fault_name(k));
		node = add(t, path, NODE_FAULT, 0200);
		if (!node)
			return false;
		node->fault = k;
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (!add(t, files[i].path, files[i].type, files[i].mode))
			return false;
	return true;
}

/* The script's files, then those of this machine that it does not replace. */
static int add_files(struct tree *t, json_t *files)
{
	const char *path;
	json_t *text;

	json_object_foreach(files, path, text)
	{
		if (!json_is_string(text) || *path != '/' || tree_find(t, path))
			return -EINVAL;
		if (!add_text(t, NODE_TEXT, 0444, path, "%s", json_string_value(text)))
			return -ENOMEM;
	}
	for (size_t i = 0; i < ARRAY_SIZE(there); i++)
		if (!tree_find(t, there[i]) && access(there[i], R_OK) == 0 &&
			!add(t, there[i], NODE_THERE, 0444))
			return -ENOMEM;
	return 0;
}

int tree_create(const struct world *w, const json_t *files, struct tree **ret)
{
	struct tree *t = calloc(1, sizeof(*t));
	bool ok = t && add_one(t, "/", NODE_DIR, 0555) && add(t, CLASS_DIR, NODE_DIR, 0555) &&
		add(t, DEVICE_DIR, NODE_DIR, 0555);
	int r;

	for (size_t i = 0; ok && i < w->n_zones; i++)
		ok = add_zone(t, w, i);
	ok = ok && add_controls(t);
	r = ok ? add_files(t, (json_t *) files) : -ENOMEM;
	if (r < 0)
		tree_destroy(t);
	else
		*ret = t;
	return r;
}

void tree_destroy(struct tree *t)
{
	for (size_t i = 0; t && i < t->n; i++) {
		free(t->nodes[i].path);
		free(t->nodes[i].text);
	}
	free(t);
}
