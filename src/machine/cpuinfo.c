// SPDX-License-Identifier: MIT
#include "machine/cpuinfo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* If the line is "key<blanks>: value", returns the value. */
static const char *value_of(const char *line, const char *key)
{
	size_t n = strlen(key);

	if (strncmp(line, key, n) != 0)
		return NULL;
	line += n;
	while (*line == ' ' || *line == '\t')
		line++;
	if (*line != ':')
		return NULL;
	line++;
	return *line == ' ' ? line + 1 : line;
}

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
		if ((at == text || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
			return true;
	return false;
}

static enum cpu_vendor vendor_of(const char *id)
{
	if (strcmp(id, "GenuineIntel") == 0)
		return CPU_INTEL;
	if (strcmp(id, "AuthenticAMD") == 0)
		return CPU_AMD;
	if (strcmp(id, "HygonGenuine") == 0)
		return CPU_HYGON;
	return CPU_UNKNOWN;
}

static void take_line(struct cpuinfo *c, const char *line)
{
	const char *v;

	if ((v = value_of(line, "vendor_id"))) {
		c->vendor = vendor_of(v);
	} else if ((v = value_of(line, "cpu family"))) {
		c->family = atoi(v);
	} else if ((v = value_of(line, "model"))) {
		c->model = atoi(v);
	} else if ((v = value_of(line, "stepping"))) {
		c->stepping = atoi(v);
	} else if ((v = value_of(line, "model name"))) {
		snprintf(c->name, sizeof(c->name), "%s", v);
	} else if ((v = value_of(line, "flags"))) {
		c->hypervisor = has_word(v, "hypervisor");
	} else if ((v = value_of(line, "CPU implementer"))) {
		c->vendor = CPU_ARM;
		c->implementer = (int) strtol(v, NULL, 16);
	} else if ((v = value_of(line, "CPU part"))) {
		c->part = (int) strtol(v, NULL, 16);
	} else if ((v = value_of(line, "CPU architecture"))) {
		c->architecture = atoi(v);
	}
}

/* Whether the first processor was described. Old ARM kernels tell what all have in a block of its own, behind
 * those of the processors. */
static bool is_told(const struct cpuinfo *c)
{
	return c->vendor != CPU_UNKNOWN || c->family >= 0;
}

void cpuinfo_parse(const char *text, struct cpuinfo *ret)
{
	/* The longest line is that of the flags, about 2,000 characters. */
	char line[8192];

	bool any = false;

	*ret = (struct cpuinfo) { .family = -1,
		.model = -1,
		.stepping = -1,
		.implementer = -1,
		.part = -1,
		.architecture = -1 };
	while (*text && (*text != '\n' || !is_told(ret))) {
		size_t n = strcspn(text, "\n");
		size_t kept = n < sizeof(line) ? n : sizeof(line) - 1;

		memcpy(line, text, kept);
		line[kept] = '\0';
		take_line(ret, line);
		any |= strchr(line, ':') != NULL;
		text += n + (text[n] == '\n');
	}
	ret->other = any && !is_told(ret);
}
