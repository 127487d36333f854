// SPDX-License-Identifier: MIT
/*
 * RAPL through the powercap class: /sys/class/powercap/intel-rapl*. AMD and Hygon processors
 * appear under the same name. Kernel: Documentation/power/powercap/powercap.rst and
 * drivers/powercap/intel_rapl_common.c.
 *
 * A zone shows microjoules that the driver made from a 32-bit register: uj = raw * unit_nj / 1000,
 * rounded down, where unit_nj is the true unit 10^9 / 2^ESU cut to whole nanojoules. Since a count
 * is more than a microjoule, the count can be had back exactly, and with it the true unit and the
 * true modulus of 2^32; the shown range, (2^32 - 1) * unit_nj / 1000, tells unit_nj.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sensors/rapl.h"
#include "util/cleanup.h"
#include "util/dirscan.h"
#include "util/parse.h"
#include "util/self.h"
#include "util/u128.h"

#define CLASS_DIR "/sys/class/powercap"
#define MAX_ZONES SENSOR_MAX_DOMAINS
#define RETRY_FIRST_NS NS_PER_S
#define RETRY_LAST_NS (60 * NS_PER_S)
/* A descriptor that answers with errors for so long is opened again. */
#define ERRORS_BEFORE_REOPEN 10

/* A socket's power where the limits do not tell: above any that is sold, and far below what a
 * counter that restarted would seem to show. */
#define DEFAULT_MAX_MW UINT64_C(1000000)
#define PLATFORM_MAX_MW UINT64_C(20000000)

struct zone {
	char dir[32];    /* "intel-rapl:0:1" */
	char name[32];   /* what its name file says */
	char parent[32]; /* the parent's name; empty for a top-level zone */
	bool mmio;
	uint64_t range_uj;

	int fd;
	bool exact; /* counts are recovered */
	uint64_t unit_nj;
	unsigned errors; /* in a row */
	uint64_t retry_at_ns;
	uint64_t retry_after_ns;
};

struct powercap {
	struct zone zones[MAX_ZONES]; /* zone i is domain i */
};

/* ---- finding zones ---------------------------------------------------------------------- */

struct scan {
	const struct host *host;
	struct zone zones[MAX_ZONES];
	size_t n;
	size_t unnamed;  /* zone links whose files are not there: a masked tree */
	size_t declined; /* zones whose energy may not be read */
};

static int read_zone_file(
	const struct host *h, const char *dir, const char *file, char *ret, size_t n)
{
	char path[128];

	snprintf(path, sizeof(path), CLASS_DIR "/%s/%s", dir, file);
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
	struct scan *scan = ctx;
	struct zone *z = &scan->zones[scan->n];
	bool mmio;
	const char *colon;
	int r;

	if (scan->n == MAX_ZONES || strlen(dir) >= sizeof(z->dir) || !is_zone_name(dir, &mmio))
		return 0;
	*z = (struct zone) { .fd = -1, .mmio = mmio };
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

/* Allocates nothing: also called while sampling. */
static int scan_zones(const struct host *h, struct scan *scan)
{
	CLEANUP_FD int fd = host_open_file(h, CLASS_DIR);

	*scan = (struct scan) { .host = h };
	if (fd < 0)
		return fd;
	return dirscan(fd, look_at_zone, scan);
}

static int scan_zones_in_order(const struct host *h, struct scan *scan)
{
	int r = scan_zones(h, scan);

	if (r == 0)
		qsort(scan->zones, scan->n, sizeof(scan->zones[0]), compare_zones);
	return r;
}

/* ---- which zones count ------------------------------------------------------------------ */

static bool is_amd(const struct host *h)
{
	return h->cpu.vendor == CPU_AMD || h->cpu.vendor == CPU_HYGON;
}

/* "package-0-die-1": the length of "package-0" in it. */
static size_t package_length(const char *name)
{
	size_t n = strlen("package-");

	return n + strspn(name + n, "0123456789");
}

/* Whether an earlier zone already is this one: the MMIO view of a zone that the MSR driver shows
 * too, a second driver's zone of the same name, or on AMD a further die, whose zone mirrors the
 * one counter of the package on old kernels. Zones are sorted. */
static bool is_duplicate(const struct host *h, const struct scan *scan, size_t i)
{
	const struct zone *z = &scan->zones[i];

	for (size_t k = 0; k < i; k++) {
		const struct zone *earlier = &scan->zones[k];

		if (strcmp(z->parent, earlier->parent) == 0 && strcmp(z->name, earlier->name) == 0)
			return true;
		if (is_amd(h) && *z->parent == '\0' && strncmp(z->name, "package-", 8) == 0) {
			size_t n = package_length(z->name);

			if (n == package_length(earlier->name) &&
				strncmp(z->name, earlier->name, n) == 0)
				return true;
		}
	}
	return false;
}

enum zone_role { ROLE_NONE, ROLE_PACKAGE, ROLE_CORES, ROLE_GPU, ROLE_DRAM, ROLE_PSYS };

static enum zone_role role_of(const struct host *h, const struct zone *z)
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
	if (strcmp(z->name, "core") == 0 && !is_amd(h))
		return ROLE_CORES;
	return ROLE_NONE;
}

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
	if (most_uw / 1000 * 2 <= DEFAULT_MAX_MW)
		return DEFAULT_MAX_MW;
	return most_uw / 1000 > DEFAULT_MAX_MW * 2 ? DEFAULT_MAX_MW * 4 : most_uw / 1000 * 2;
}

static void describe(const struct host *h, const struct zone *z, struct domain *d)
{
	enum zone_role role = role_of(h, z);

	snprintf(d->name, sizeof(d->name), "%s%s%s", z->parent, *z->parent ? "-" : "", z->name);
	d->update_ns = RAPL_UPDATE_NS;
	d->max_power_mw = role == ROLE_PSYS ? PLATFORM_MAX_MW : max_power_mw(h, z);
	switch (role) {
	case ROLE_CORES:
		d->kind = KIND_CPU;
		d->counted = false;
		snprintf(d->scope, sizeof(d->scope), "cores, part of the package");
		break;
	case ROLE_GPU:
		d->kind = KIND_GPU;
		snprintf(d->scope, sizeof(d->scope), "integrated GPU, part of the package");
		break;
	case ROLE_DRAM:
		d->kind = KIND_DRAM;
		snprintf(d->scope, sizeof(d->scope), "memory");
		break;
	case ROLE_PSYS:
		d->kind = KIND_PLATFORM;
		snprintf(d->scope, sizeof(d->scope), "platform, includes the packages");
		break;
	default:
		d->kind = KIND_CPU;
		snprintf(d->scope, sizeof(d->scope), "package");
	}
}

/* ---- counts ----------------------------------------------------------------------------- */

static uint64_t count_of(uint64_t uj, uint64_t unit_nj)
{
	return (uint64_t) (((u128) uj * 1000 + unit_nj - 1) / unit_nj);
}

/* Whether counts can be had back: the range must be that of a 32-bit register whose unit is one
 * that the driver uses, and the value must be one that the driver can show. ret_esu: 10^9 nJ
 * divided by 2^esu is the true unit. */
static bool recover_unit(uint64_t range_uj, uint64_t uj, uint64_t *ret_nj, unsigned *ret_esu)
{
	const uint64_t largest = UINT32_MAX;
	uint64_t nj = (uint64_t) (((u128) range_uj * 1000 + largest / 2) / largest);
	unsigned esu = 0;

	if (nj < 1000 || muldiv_u64(largest, nj, 1000) != range_uj)
		return false;
	/* 15.3 uJ is what the kernel takes for the DRAM of several server processors; perf takes
	 * 2^-16 J for the same register (intel_rapl_common.c against arch/x86/events/rapl.c). */
	if (nj == 15300)
		esu = 16;
	else
		while (esu < 32 && UINT64_C(1000000000) >> esu != nj)
			esu++;
	if (esu == 32 || muldiv_u64(count_of(uj, nj), nj, 1000) != uj)
		return false;
	*ret_nj = nj;
	*ret_esu = esu;
	return true;
}

static int read_energy_uj(int fd, uint64_t *ret)
{
	char text[32];
	ssize_t n;

	do
		n = pread(fd, text, sizeof(text) - 1, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return n == 0 ? -ENODATA : parse_u64(text, ret);
}

static int open_energy(const struct host *h, const char *dir)
{
	char path[128];

	snprintf(path, sizeof(path), CLASS_DIR "/%s/energy_uj", dir);
	return host_open_file(h, path);
}

/* ---- the backend ------------------------------------------------------------------------ */

static int refuse_absent(struct sensor *s, int error)
{
	const struct cpuinfo *cpu = &s->host->cpu;

	if (cpu->hypervisor)
		return sensor_refuse(s, error, NULL,
			"this is a virtual machine: hypervisors do not pass RAPL on");
	if (cpu->vendor == CPU_ARM)
		return sensor_refuse(s, error, NULL, "ARM processors have no RAPL");
	return sensor_refuse(s, error, "sudo modprobe intel_rapl_msr",
		"%s has no intel-rapl zones: the kernel's driver is not loaded", CLASS_DIR);
}

static int refuse_masked(struct sensor *s)
{
	return sensor_refuse(s, -ENOENT,
		"docker run -v /sys:/host/sys:ro -v /proc:/host/proc:ro ... "
		"powermeasure ... --root /host",
		"the zones' files are hidden, as container runtimes do since 2023");
}

static int refuse_unreadable(struct sensor *s, int error, const char *dir)
{
	char exe[192], fix[256];

	self_path(exe, sizeof(exe));
	snprintf(fix, sizeof(fix), "sudo setcap cap_dac_read_search+ep %s", exe);
	return sensor_refuse(s, error, error == -EACCES || error == -EPERM ? fix : NULL,
		"%s/%s/energy_uj: %s", CLASS_DIR, dir, strerror(-error));
}

static int powercap_probe(struct sensor *s)
{
	struct scan scan;
	int r = scan_zones_in_order(s->host, &scan);
	int error = 0;
	const char *dir = "";

	if (r < 0)
		return refuse_absent(s, r);
	for (size_t i = 0; i < scan.n; i++) {
		CLEANUP_FD int fd = -1;
		uint64_t uj;

		if (role_of(s->host, &scan.zones[i]) == ROLE_NONE)
			continue;
		fd = open_energy(s->host, scan.zones[i].dir);
		r = fd < 0 ? fd : read_energy_uj(fd, &uj);
		if (r == 0)
			return 0;
		error = r;
		dir = scan.zones[i].dir;
	}
	if (error)
		return refuse_unreadable(s, error, dir);
	return scan.unnamed > 0 ? refuse_masked(s) : refuse_absent(s, -ENOENT);
}

/* Opens one zone as the sensor's next domain; a zone that cannot be read is left out. */
static void add_zone(struct sensor *s, struct zone *z)
{
	struct powercap *state = s->state;
	uint64_t uj;
	unsigned esu;
	struct domain *d;

	z->fd = open_energy(s->host, z->dir);
	if (z->fd < 0)
		return;
	if (read_energy_uj(z->fd, &uj) < 0 || !(d = sensor_add_domain(s))) {
		close_fd(&z->fd);
		return;
	}
	describe(s->host, z, d);
	if (*z->parent)
		for (size_t i = 0; i + 1 < s->n_domains; i++)
			if (strcmp(s->domains[i].name, z->parent) == 0 && d->kind != KIND_DRAM)
				d->parent = (int) i;
	z->exact = recover_unit(z->range_uj, uj, &z->unit_nj, &esu);
	if (z->exact) {
		d->modulus = UINT64_C(1) << 32;
		d->unit_num = 1000000;
		d->unit_den = UINT64_C(1) << esu;
	} else {
		d->modulus = z->range_uj ? z->range_uj + 1 : 0;
	}
	z->retry_after_ns = RETRY_FIRST_NS;
	state->zones[s->n_domains - 1] = *z;
	z->fd = -1;
}

static int powercap_open(struct sensor *s)
{
	struct scan scan;
	int r = scan_zones_in_order(s->host, &scan);

	if (r < 0)
		return refuse_absent(s, r);
	s->state = calloc(1, sizeof(struct powercap));
	if (!s->state)
		return sensor_refuse(s, -ENOMEM, NULL, "out of memory");
	for (size_t i = 0; i < scan.n; i++)
		if (role_of(s->host, &scan.zones[i]) != ROLE_NONE &&
			!is_duplicate(s->host, &scan, i))
			add_zone(s, &scan.zones[i]);
	if (s->n_domains == 0)
		return sensor_refuse(s, -ENOENT, NULL, "no zone can be read any more");
	return 0;
}

/* The zone may have come back under another number: modules are loaded again, CPUs come online. */
static int find_again(const struct host *h, struct zone *z)
{
	struct scan scan;
	int r = scan_zones(h, &scan);

	if (r < 0)
		return r;
	for (size_t i = 0; i < scan.n; i++) {
		const struct zone *found = &scan.zones[i];

		if (strcmp(found->name, z->name) == 0 && strcmp(found->parent, z->parent) == 0) {
			memcpy(z->dir, found->dir, sizeof(z->dir));
			return open_energy(h, z->dir);
		}
	}
	return -ENODEV;
}

static int read_zone(const struct host *h, struct zone *z, uint64_t *ret_uj)
{
	int r;

	if (z->fd < 0) {
		uint64_t now_ns = host_now_ns(h);

		if (now_ns < z->retry_at_ns)
			return -ENODEV;
		z->fd = find_again(h, z);
		if (z->fd < 0) {
			z->fd = -1;
			z->retry_at_ns = now_ns + z->retry_after_ns;
			if (z->retry_after_ns < RETRY_LAST_NS)
				z->retry_after_ns *= 2;
			return -ENODEV;
		}
	}
	r = read_energy_uj(z->fd, ret_uj);
	if (r == 0) {
		z->errors = 0;
		z->retry_after_ns = RETRY_FIRST_NS;
		return 0;
	}
	z->errors++;
	if (r == -ENODEV || r == -ENOENT || z->errors >= ERRORS_BEFORE_REOPEN) {
		close_fd(&z->fd);
		z->retry_at_ns = host_now_ns(h) + z->retry_after_ns;
		z->errors = 0;
	}
	return r;
}

static int powercap_read(struct sensor *s, struct reading *ret)
{
	struct powercap *state = s->state;
	uint64_t before_ns = host_now_ns(s->host);

	for (size_t i = 0; i < s->n_domains; i++) {
		struct zone *z = &state->zones[i];
		uint64_t uj, after_ns;

		ret[i] = (struct reading) { .flags = FLAG_MEASURED };
		if (sensor_skips(s, i, &ret[i]))
			continue;
		ret[i].error = read_zone(s->host, z, &uj);
		after_ns = host_now_ns(s->host);
		if (ret[i].error == 0) {
			ret[i].raw = z->exact ? count_of(uj, z->unit_nj) : uj;
			ret[i].t_ns = before_ns + (after_ns - before_ns) / 2;
			ret[i].t_err_ns = RAPL_UPDATE_NS + (after_ns - before_ns) / 2;
		}
		before_ns = after_ns;
	}
	return 0;
}

static void powercap_close(struct sensor *s)
{
	struct powercap *state = s->state;

	if (!state)
		return;
	for (size_t i = 0; i < s->n_domains; i++)
		close_fd(&state->zones[i].fd);
	free(state);
	s->state = NULL;
}

const struct sensor_ops sensor_rapl_powercap = {
	.name = "rapl-powercap",
	.role = SENSOR_HARDWARE,
	.polled = false,
	.probe = powercap_probe,
	.open = powercap_open,
	.read = powercap_read,
	.close = powercap_close,
	.group = RAPL_GROUP,
};
