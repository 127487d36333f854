// SPDX-License-Identifier: MIT
#include "sensors/rapl/rapl_powercap_zones.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensors/rapl/rapl.h"
#include "util/cleanup.h"
#include "util/dirscan.h"
#include "util/parse.h"

/* ---- finding zones ---------------------------------------------------------------------- */

static int read_zone_file(
	const struct host *h, const char *dir, const char *file, char *ret, size_t n)
{
	char path[128];

	snprintf(path, sizeof(path), POWERCAP_DIR "/%s/%s", dir, file);
	return host_read_text(h, path, ret, n);
}

static int read_zone_u64(const struct host *h, const char *dir, const char *file, uint64_t *ret)
{
	char text[32];
	int r = read_zone_file(h, dir, file, text, sizeof(text));

	return r < 0 ? r : parse_u64(text, ret);
}

/* "intel-rapl:N", "intel-rapl:N:M", "intel-rapl-mmio:N": N and M are hexadecimal. */
static bool is_zone_name(const char *dir, bool *ret_mmio)
{
	unsigned levels = 0;

	if (strncmp(dir, "intel-rapl", 10) != 0)
		return false;
	dir += 10;
	*ret_mmio = strncmp(dir, "-mmio", 5) == 0;
	if (*ret_mmio)
		dir += 5;
	while (*dir == ':') {
		size_t digits = strspn(++dir, "0123456789abcdef");

		if (digits == 0)
			return false;
		dir += digits;
		levels++;
	}
	return *dir == '\0' && (levels == 1 || levels == 2);
}

static int look_at_zone(const char *dir, void *ctx)
{
	struct zone_scan *scan = ctx;
	struct zone *z = &scan->zones[scan->n];
	bool mmio;
	const char *colon;
	int r;

	if (scan->n == ZONES_MAX || strlen(dir) >= sizeof(z->dir) || !is_zone_name(dir, &mmio))
		return 0;
	*z = (struct zone) { .mmio = mmio };
	snprintf(z->dir, sizeof(z->dir), "%s", dir);
	r = read_zone_file(scan->host, dir, "name", z->name, sizeof(z->name));
	if (r < 0) {
		scan->unnamed++;
		return 0;
	}
	colon = strrchr(dir, ':');
	if (colon != strchr(dir, ':')) {
		char parent_dir[32];

		snprintf(parent_dir, sizeof(parent_dir), "%.*s", (int) (colon - dir), dir);
		r = read_zone_file(scan->host, parent_dir, "name", z->parent, sizeof(z->parent));
		if (r < 0)
			return 0;
	}
	if (read_zone_u64(scan->host, dir, "max_energy_range_uj", &z->range_uj) < 0)
		z->range_uj = 0;
	scan->n++;
	return 0;
}

int zones_scan(const struct host *h, struct zone_scan *scan)
{
	CLEANUP_FD int fd = host_open_file(h, POWERCAP_DIR);

	*scan = (struct zone_scan) { .host = h };
	if (fd < 0)
		return fd;
	return dirscan(fd, look_at_zone, scan);
}

/* Packages first, in the order of their numbers; parts behind their package. */
static int compare_zones(const void *a, const void *b)
{
	const struct zone *x = a, *y = b;
	const char *top_x = *x->parent ? x->parent : x->name;
	const char *top_y = *y->parent ? y->parent : y->name;
	bool psys_x = strncmp(top_x, "psys", 4) == 0, psys_y = strncmp(top_y, "psys", 4) == 0;
	int r;

	if (psys_x != psys_y)
		return psys_x - psys_y;
	r = strverscmp(top_x, top_y);
	if (r == 0)
		r = (*x->parent != '\0') - (*y->parent != '\0');
	if (r == 0)
		r = strcmp(x->name, y->name);
	if (r == 0)
		r = x->mmio - y->mmio;
	return r ? r : strverscmp(x->dir, y->dir);
}

int zones_scan_in_order(const struct host *h, struct zone_scan *scan)
{
	int r = zones_scan(h, scan);

	if (r == 0)
		qsort(scan->zones, scan->n, sizeof(scan->zones[0]), compare_zones);
	return r;
}

int zone_open_energy(const struct host *h, const char *dir)
{
	char path[128];

	snprintf(path, sizeof(path), POWERCAP_DIR "/%s/energy_uj", dir);
	return host_open_file(h, path);
}

/* ---- which zones count ------------------------------------------------------------------ */

/* "package-0-die-1": the length of "package-0" in it. */
static size_t package_length(const char *name)
{
	size_t n = strlen("package-");

	return n + strspn(name + n, "0123456789");
}

bool zone_is_duplicate(const struct host *h, const struct zone_scan *scan, size_t i)
{
	const struct zone *z = &scan->zones[i];

	for (size_t k = 0; k < i; k++) {
		const struct zone *earlier = &scan->zones[k];

		if (strcmp(z->parent, earlier->parent) == 0 && strcmp(z->name, earlier->name) == 0)
			return true;
		if (rapl_is_amd(h) && *z->parent == '\0' && strncmp(z->name, "package-", 8) == 0) {
			size_t n = package_length(z->name);

			if (n == package_length(earlier->name) &&
				strncmp(z->name, earlier->name, n) == 0)
				return true;
		}
	}
	return false;
}

enum zone_role zone_role(const struct host *h, const struct zone *z)
{
	if (*z->parent == '\0') {
		if (strncmp(z->name, "package-", 8) == 0)
			return ROLE_PACKAGE;
		if (strncmp(z->name, "psys", 4) == 0)
			return ROLE_PSYS;
		return ROLE_NONE;
	}
	if (strcmp(z->name, "dram") == 0)
		return ROLE_DRAM;
	if (strcmp(z->name, "uncore") == 0)
		return ROLE_GPU;
	/* On AMD "core" is one core of the package, the lead CPU's: it stands for nothing. */
	if (strcmp(z->name, "core") == 0 && !rapl_is_amd(h))
		return ROLE_CORES;
	return ROLE_NONE;
}

/* ---- what they mean --------------------------------------------------------------------- */

/* A package built for more than the default allows says so in its power limits. A limit may also
 * stand absurdly high: it is believed up to a point only. */
static uint64_t max_power_mw(const struct host *h, const struct zone *z)
{
	uint64_t most_uw = 0;

	for (int i = 0; i < 3; i++) {
		static const char *const files[] = { "max_power_uw", "power_limit_uw" };

		for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
			char file[48];
			uint64_t uw;

			snprintf(file, sizeof(file), "constraint_%d_%s", i, files[f]);
			if (read_zone_u64(h, z->dir, file, &uw) == 0 && uw > most_uw)
				most_uw = uw;
		}
	}
	if (most_uw / 1000 * 2 <= RAPL_PACKAGE_MAX_MW)
		return RAPL_PACKAGE_MAX_MW;
	return most_uw / 1000 > RAPL_PACKAGE_MAX_MW * 2 ? RAPL_PACKAGE_MAX_MW * 4
							: most_uw / 1000 * 2;
}

void zone_describe(const struct host *h, const struct zone *z, struct domain *d)
{
	static const enum rapl_role roles[] = { [ROLE_NONE] = RAPL_PACKAGE,
		[ROLE_PACKAGE] = RAPL_PACKAGE,
		[ROLE_CORES] = RAPL_CORES,
		[ROLE_GPU] = RAPL_GPU,
		[ROLE_DRAM] = RAPL_DRAM,
		[ROLE_PSYS] = RAPL_PSYS };
	enum rapl_role role = roles[zone_role(h, z)];

	snprintf(d->name, sizeof(d->name), "%s%s%s", z->parent, *z->parent ? "-" : "", z->name);
	rapl_describe(role, d);
	if (role != RAPL_PSYS)
		d->max_power_mw = max_power_mw(h, z);
}
