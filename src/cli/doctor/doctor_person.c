// SPDX-License-Identifier: MIT
#include "cli/doctor/doctor.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "machine/self.h"

#define GROUPS_MAX 64

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

void doctor_look_at_person(const struct host *h, struct doctor_person *ret)
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
