// SPDX-License-Identifier: MIT
#include "cli/doctor/doctor.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

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

const char *doctor_module_state(const struct host *h, const char *module)
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
