// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/recorder.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/json_out.h"
#include "util/parse.h"
#include "util/self.h"

#define CLOSE_NS (500 * NS_PER_MS)
#define SCHEMA_VERSION 1
#define MAX_DENIED 8 /* of a sensor: more say nothing new */
#define GROUPS_MAX 64

static const char help[] =
	"usage: powermeasure doctor [--json] [OPTIONS]\n"
	"\n"
	"Tells what keeps sensors from being used: permissions, missing modules, containers; the\n"
	"exact command that would change each, and what that would give. Changes nothing.\n"
	"\n"
	"  --json             the same as one JSON document\n"
	"\n" CLI_SENSOR_HELP "\n"
	"Exit status: 0 if something is measured; 1 if nothing is, or only estimated; 2 wrong\n"
	"usage.\n";

enum { OPT_JSON = CLI_OPT_NEXT };

static const struct option options[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	CLI_SENSOR_OPTIONS,
	{ 0 },
};

/* A file that may not be read. */
struct denied {
	char path[512];
	char owner[64];
	char group[64];
	unsigned mode;
	bool group_would_do;
};

struct finding {
	const struct rig_verdict *verdict; /* of the sensor alone */
	bool used;                         /* beside all others */
	struct denied denied[MAX_DENIED];
	size_t n_denied;
	char module[64]; /* that would be loaded; else empty */
	const char *module_state;
	char fix[256];
	char gives[256];
};

struct person {
	char exe[512];
	char name[64];
	char groups[512];
	char effective[128]; /* capabilities that matter here; empty: none */
	char permitted[128]; /* of the program's file */
	char paranoid[16];
	bool container;
	bool nosuid; /* where the program lies capabilities of files have no effect */
};

struct doctor {
	struct host host;
	struct recorder *recorder;
	struct rig *rig; /* of all: what is used */
	struct rig *alone[RIG_MAX_SENSORS];
	struct finding findings[RIG_MAX_SENSORS];
	size_t n;
	struct person person;
};

/* ---- who asks ---------------------------------------------------------------------------- */

/* Of the capabilities that open sensors. */
static void name_capabilities(uint64_t set, char *ret, size_t n)
{
	static const struct {
		unsigned number;
		const char *name;
	} known[] = { { 1, "cap_dac_override" }, { 2, "cap_dac_read_search" },
		{ 17, "cap_sys_rawio" }, { 21, "cap_sys_admin" }, { 38, "cap_perfmon" } };
	size_t len = 0;

	*ret = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (set >> known[i].number & 1 && len < n)
			len += (size_t) snprintf(
				ret + len, n - len, "%s%s", len ? "," : "", known[i].name);
}

static uint64_t effective_capabilities(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long set = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &set) == 1)
			break;
	if (f)
		fclose(f);
	return set;
}

static uint64_t file_capabilities(const char *exe)
{
	struct vfs_ns_cap_data data = { 0 };
	ssize_t n = getxattr(exe, "security.capability", &data, sizeof(data));

	if (n < (ssize_t) XATTR_CAPS_SZ_1)
		return 0;
	return le32toh(data.data[0].permitted) |
		(n < (ssize_t) XATTR_CAPS_SZ_2 ? 0
					       : (uint64_t) le32toh(data.data[1].permitted) << 32);
}

static void name_groups(char *ret, size_t n)
{
	gid_t groups[GROUPS_MAX];
	int n_groups = getgroups(GROUPS_MAX, groups);
	size_t len = 0;

	*ret = '\0';
	for (int i = 0; i < n_groups && len < n; i++) {
		const struct group *g = getgrgid(groups[i]);

		if (g)
			len += (size_t) snprintf(
				ret + len, n - len, "%s%s", len ? "," : "", g->gr_name);
		else
			len += (size_t) snprintf(
				ret + len, n - len, "%s%u", len ? "," : "", (unsigned) groups[i]);
	}
}

static void look_at_person(const struct host *h, struct person *ret)
{
	const struct passwd *user = getpwuid(geteuid());
	struct statvfs fs;

	self_path(ret->exe, sizeof(ret->exe));
	snprintf(ret->name, sizeof(ret->name), "%s", user ? user->pw_name : "?");
	name_groups(ret->groups, sizeof(ret->groups));
	name_capabilities(effective_capabilities(), ret->effective, sizeof(ret->effective));
	name_capabilities(file_capabilities(ret->exe), ret->permitted, sizeof(ret->permitted));
	if (host_read_text(h, "/proc/sys/kernel/perf_event_paranoid", ret->paranoid,
		    sizeof(ret->paranoid)) < 0)
		ret->paranoid[0] = '\0';
	ret->container = self_in_container();
	ret->nosuid = statvfs(ret->exe, &fs) == 0 && (fs.f_flag & ST_NOSUID);
}

/* ---- files ------------------------------------------------------------------------------- */

static void name_owner(const struct stat *st, struct denied *ret)
{
	const struct passwd *user = getpwuid(st->st_uid);
	const struct group *group = getgrgid(st->st_gid);

	if (user)
		snprintf(ret->owner, sizeof(ret->owner), "%s", user->pw_name);
	else
		snprintf(ret->owner, sizeof(ret->owner), "%u", (unsigned) st->st_uid);
	if (group)
		snprintf(ret->group, sizeof(ret->group), "%s", group->gr_name);
	else
		snprintf(ret->group, sizeof(ret->group), "%u", (unsigned) st->st_gid);
}

static void add_denied(const struct doctor *d, struct finding *f, const char *path)
{
	struct denied *denied = &f->denied[f->n_denied];
	struct stat st;

	if (f->n_denied == MAX_DENIED)
		return;
	*denied = (struct denied) { 0 };
	snprintf(denied->path, sizeof(denied->path), "%s", path);
	/* Of a captured machine, or below a directory that is closed, no more is known. */
	if (!d->host.captured && fstatat(d->host.root_fd, path + 1, &st, 0) == 0) {
		name_owner(&st, denied);
		denied->mode = st.st_mode & 07777;
		denied->group_would_do = (st.st_mode & S_IRGRP) && st.st_gid != 0;
	}
	f->n_denied++;
}

static int find_denied(const struct doctor *d, struct finding *f)
{
	for (size_t i = 0; i < recorder_n(d->recorder); i++) {
		struct recorded what;
		int r = recorder_get(d->recorder, i, &what);

		if (r < 0)
			return r;
		free(what.text);
		if (what.error == -EACCES || what.error == -EPERM)
			add_denied(d, f, what.path);
	}
	return 0;
}

/* ---- modules ----------------------------------------------------------------------------- */

static bool is_same_module(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i] && !(strchr("-_", a[i]) && strchr("-_", b[i])))
			return false;
	return true;
}

/* Whether a list of modules' files, as depmod writes it, has this one. */
static bool is_listed(const char *release, const char *list, const char *module)
{
	char path[256], line[4096];
	size_t n = strlen(module);
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/lib/modules/%s/%s", release, list);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		char *slash;

		line[strcspn(line, ":\n")] = '\0';
		slash = strrchr(line, '/');
		found = slash && strlen(slash + 1) > n && slash[1 + n] == '.' &&
			is_same_module(slash + 1, module, n);
	}
	if (f)
		fclose(f);
	return found;
}

static const char *state_of_module(const struct host *h, const char *module)
{
	struct utsname system;
	char path[128];
	size_t n = (size_t) snprintf(path, sizeof(path), "/sys/module/%s", module);

	for (size_t i = 0; i < n && i < sizeof(path); i++)
		if (path[i] == '-')
			path[i] = '_';
	if (host_has(h, path))
		return "loaded already: it finds nothing on this machine";
	if (!h->live || uname(&system) < 0)
		return "not loaded";
	if (is_listed(system.release, "modules.builtin", module))
		return "built into this kernel: it finds nothing on this machine";
	if (is_listed(system.release, "modules.dep", module))
		return "not loaded, but installed";
	return "not loaded, and not installed for this kernel: another kernel package may have it";
}

/* ---- what a fix would give ---------------------------------------------------------------- */

static const char *const given[][2] = {
	{ "rapl-perf", "CPU packages, exactly; memory and platform where the processor tells" },
	{ "rapl-powercap", "CPU packages; memory and platform where the processor tells" },
	{ "rapl-msr", "CPU packages; memory where the processor tells" },
	{ "nvml", "NVIDIA GPUs" },
	{ "jetson", "the module's rails: CPU, GPU and the whole" },
	{ "hwmon", "what the chip measures: a GPU, packages or the whole machine" },
	{ "rpi-pmic", "the board's rails: CPU, memory and the whole" },
	{ "battery", "the whole machine while unplugged" },
};

static bool gives_cpu(const char *name)
{
	return strncmp(name, "rapl-", 5) == 0 || strcmp(name, "jetson") == 0 ||
		strcmp(name, "rpi-pmic") == 0;
}

static bool is_cpu_measured(const struct rig *rig)
{
	for (size_t i = 0; i < rig_n_domains(rig); i++) {
		const struct domain *d = rig_domain(rig, i);

		if (d->kind == KIND_CPU && d->counted && d->quality != FLAG_ESTIMATED)
			return true;
	}
	return false;
}

static void say_what_it_gives(const struct doctor *d, struct finding *f)
{
	const char *name = f->verdict->ops->name;

	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		if (strcmp(given[i][0], name) == 0)
			snprintf(f->gives, sizeof(f->gives), "%s%s", given[i][1],
				!gives_cpu(name) ? ""
					: is_cpu_measured(d->rig)
					? "; the CPUs are measured already"
					: ", measured instead of ESTIMATED");
}

/* A group that may read all that is denied is less than a capability or being root. */
static void choose_fix(const struct doctor *d, struct finding *f)
{
	const char *modprobe = "sudo modprobe ", *group = NULL;

	snprintf(f->fix, sizeof(f->fix), "%s", f->verdict->why.fix);
	if (strncmp(f->fix, modprobe, strlen(modprobe)) == 0) {
		snprintf(
			f->module, sizeof(f->module), "%s", f->verdict->why.fix + strlen(modprobe));
		f->module_state = state_of_module(&d->host, f->module);
	}
	for (size_t i = 0; i < f->n_denied; i++) {
		if (!f->denied[i].group_would_do ||
			(group && strcmp(group, f->denied[i].group) != 0))
			return;
		group = f->denied[i].group;
	}
	if (group && !d->person.container)
		snprintf(f->fix, sizeof(f->fix), "sudo usermod -aG %s %s", group, d->person.name);
}

/* ---- looking at all of it ----------------------------------------------------------------- */

static bool is_used(const struct rig *rig, const struct sensor_ops *ops)
{
	for (size_t i = 0; i < rig_n_verdicts(rig); i++)
		if (rig_verdict(rig, i)->ops == ops)
			return rig_verdict(rig, i)->used;
	return false;
}

/* Each alone, so that it is known what it asked for. */
static int examine(struct doctor *d, const struct sensor_ops *ops, const struct rig_options *all)
{
	struct finding *f = &d->findings[d->n];
	struct rig_options o = *all;
	const char *bad_name;
	int r;

	o.sensors = ops->name;
	r = recorder_create(&d->recorder);
	if (r < 0)
		return r;
	d->host.watch = recorder_watch(d->recorder);
	r = rig_open(&d->alone[d->n], &d->host, &o, &bad_name);
	if (r == 0) {
		d->n++;
		f->verdict = rig_verdict(d->alone[d->n - 1], 0);
		f->used = is_used(d->rig, ops);
		r = find_denied(d, f);
	}
	d->host.watch = NULL;
	/* A thread that was left behind may tell it something yet. */
	if (!f->verdict || f->verdict->error != -ETIME)
		recorder_destroy(d->recorder);
	if (r < 0)
		return r;
	choose_fix(d, f);
	if (f->verdict->error < 0 && (f->fix[0] || f->n_denied))
		say_what_it_gives(d, f);
	return 0;
}

/* ---- telling ------------------------------------------------------------------------------ */

static bool measures_something(const struct doctor *d)
{
	for (size_t i = 0; i < rig_n_domains(d->rig); i++)
		if (rig_domain(d->rig, i)->quality != FLAG_ESTIMATED)
			return true;
	return false;
}

static void print_person(const struct person *p)
{
	printf("user          %s (uid %u), groups: %s%s\n", p->name, (unsigned) geteuid(),
		p->groups[0] ? p->groups : "none", p->container ? "; in a container" : "");
	printf("capabilities  %s; of %s: %s%s\n", p->effective[0] ? p->effective : "none that help",
		p->exe, p->permitted[0] ? p->permitted : "none",
		p->nosuid ? " (its file system is mounted nosuid: they would have no effect)" : "");
	printf("kernel        perf_event_paranoid is %s\n\n",
		p->paranoid[0] ? p->paranoid : "not told");
}

static void print_finding(const struct doctor *d, const struct finding *f)
{
	const struct rig_verdict *v = f->verdict;

	printf("%-13s %s%s%s\n", v->ops->name,
		f->used && v->ops->role == SENSOR_MODEL ? "used: an estimate, no measurement"
			: f->used                       ? "used"
			: v->error == 0                 ? "usable, not needed"
							: "not usable",
		v->why.reason[0] ? ": " : "", v->why.reason);
	for (size_t i = 0; i < f->n_denied; i++) {
		const struct denied *n = &f->denied[i];

		printf("%-13s may not be read: %s", "", n->path);
		if (n->owner[0])
			printf(", of %s:%s, mode %04o: %s%s", n->owner, n->group, n->mode,
				n->group_would_do ? "would do: group " : "no group would do",
				n->group_would_do ? n->group : "");
		putchar('\n');
	}
	if (f->module[0])
		printf("%-13s module %s: %s\n", "", f->module, f->module_state);
	if (f->fix[0])
		printf("%-13s to change that: %s\n", "", f->fix);
	if (f->fix[0] && d->person.nosuid && strstr(f->fix, "setcap"))
		printf("%-13s ... with the program on a file system that is not mounted nosuid\n",
			"");
	if (f->gives[0])
		printf("%-13s would give: %s\n", "", f->gives);
}

static void put_person(struct json *j, const struct person *p)
{
	json_key(j, "user");
	json_open(j, '{');
	json_kv_u64(j, "uid", geteuid());
	json_kv_string(j, "name", p->name);
	json_kv_string(j, "groups", p->groups);
	json_kv_bool(j, "container", p->container);
	json_kv_string(j, "capabilities", p->effective);
	json_kv_string(j, "file_capabilities", p->permitted);
	json_kv_bool(j, "nosuid", p->nosuid);
	json_kv_string(j, "perf_event_paranoid", p->paranoid[0] ? p->paranoid : NULL);
	json_close(j, '}');
}

static void put_finding(struct json *j, const struct finding *f)
{
	const struct rig_verdict *v = f->verdict;

	json_open(j, '{');
	json_kv_string(j, "name", v->ops->name);
	json_kv_bool(j, "used", f->used);
	json_kv_bool(j, "usable", v->error == 0);
	json_kv_string(j, "reason", v->why.reason[0] ? v->why.reason : NULL);
	json_key(j, "denied");
	json_open(j, '[');
	for (size_t i = 0; i < f->n_denied; i++) {
		const struct denied *n = &f->denied[i];
		char mode[8];

		snprintf(mode, sizeof(mode), "%04o", n->mode);
		json_open(j, '{');
		json_kv_string(j, "path", n->path);
		json_kv_string(j, "owner", n->owner[0] ? n->owner : NULL);
		json_kv_string(j, "group", n->owner[0] ? n->group : NULL);
		json_kv_string(j, "mode", n->owner[0] ? mode : NULL);
		json_kv_bool(j, "group_would_do", n->group_would_do);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_kv_string(j, "module", f->module[0] ? f->module_state : NULL);
	json_kv_string(j, "fix", f->fix[0] ? f->fix : NULL);
	json_kv_string(j, "would_give", f->gives[0] ? f->gives : NULL);
	json_close(j, '}');
}

static void print_json(const struct doctor *d)
{
	struct buf b = BUF_INIT;
	struct json j = JSON_INIT(&b);

	json_open(&j, '{');
	json_kv_u64(&j, "schema_version", SCHEMA_VERSION);
	json_kv_bool(&j, "measures", measures_something(d));
	put_person(&j, &d->person);
	json_key(&j, "sensors");
	json_open(&j, '[');
	for (size_t i = 0; i < d->n; i++)
		put_finding(&j, &d->findings[i]);
	json_close(&j, ']');
	json_close(&j, '}');
	puts(buf_text(&b));
	buf_finish(&b);
}

static void print_text(const struct doctor *d)
{
	print_person(&d->person);
	for (size_t i = 0; i < d->n; i++)
		print_finding(d, &d->findings[i]);
	printf("\n%s\n",
		measures_something(d)               ? "Something is measured here."
			: rig_n_domains(d->rig) > 0 ? "Nothing is measured here: the figures are "
						      "estimates."
						    : "Nothing is measured here.");
}

/* ---- the command -------------------------------------------------------------------------- */

static int examine_all(struct doctor *d, const struct rig_options *o)
{
	const char *bad_name;
	int r = rig_open(&d->rig, &d->host, o, &bad_name);

	if (r == -EINVAL)
		return cli_usage("doctor",
			"--sensors: \"%.*s\" is no sensor; `powermeasure list` names them all",
			(int) strcspn(bad_name, ","), bad_name);
	for (size_t i = 0; r == 0 && i < rig_n_verdicts(d->rig) && d->n < RIG_MAX_SENSORS; i++) {
		const struct rig_verdict *v = rig_verdict(d->rig, i);

		if (v->error != -ECANCELED && (v->ops->role != SENSOR_SIMULATED || v->used))
			r = examine(d, v->ops, o);
	}
	return r < 0 ? cli_fail("doctor", "%s", strerror(-r)) : CLI_DONE;
}

static int doctor(struct cli_sensors *sensors, bool json)
{
	/* Threads that were left behind may use it to the end. */
	static struct doctor d;
	struct rig_options o = cli_rig_options(sensors);
	int r = host_init(&d.host, sensors->root, &clock_system);
	bool all_closed;

	if (r == -ENOSYS)
		return cli_fail("doctor", "/proc is not mounted: mount -t proc proc /proc");
	if (r < 0)
		return cli_fail("doctor", "--root %s: %s", sensors->root ? sensors->root : "/",
			strerror(-r));
	look_at_person(&d.host, &d.person);
	r = examine_all(&d, &o);
	if (r == CLI_DONE) {
		if (json)
			print_json(&d);
		else
			print_text(&d);
		r = measures_something(&d) ? CLI_DONE : CLI_FAILED;
	}
	all_closed = rig_close(d.rig, CLOSE_NS);
	for (size_t i = 0; i < d.n; i++)
		all_closed &= rig_close(d.alone[i], CLOSE_NS);
	if (all_closed)
		host_finish(&d.host);
	return r;
}

int cmd_doctor(int argc, char **argv)
{
	struct cli_sensors sensors = { 0 };
	bool json = false;
	int option, r = CLI_DONE;

	while (r == CLI_DONE &&
		(option = cli_next_option("doctor", argc, argv, "+:h", options)) != -1) {
		switch (option) {
		case 'h':
			fputs(help, stdout);
			return CLI_DONE;
		case OPT_JSON:
			json = true;
			break;
		case CLI_OPT_BAD:
			r = CLI_USAGE;
			break;
		default:
			r = cli_take_sensor_option(&sensors, "doctor", option, optarg);
		}
	}
	if (r == CLI_DONE && optind < argc)
		r = cli_usage("doctor", "\"%s\" is no option", argv[optind]);
	return r == CLI_DONE ? doctor(&sensors, json) : r;
}
