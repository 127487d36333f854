// SPDX-License-Identifier: MIT
/*
 * What the channels of hwmon chips cover: their names are just "power1" and "energy1". Chips that
 * are not known here are shown and never counted. Channels of which one contains the other are of
 * one family, the wider one of the lower rank.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "sensors/hwmon/hwmon.h"
#include "util/cleanup.h"

#define GPU_MAX_MW UINT64_C(2000000)
#define ELSE_MAX_MW UINT64_C(20000000)

static const struct {
	const char *name; /* an asterisk at its end stands for anything */
	enum hwmon_class class;
	unsigned period_ms;
} chips[] = {
	{ "power_meter", HWMON_ACPI, 1000 },
	{ "ibmpowernv", HWMON_POWERNV, 1000 },
	{ "amd_energy", HWMON_AMD_ENERGY, 100 },
	{ "zenergy", HWMON_AMD_ENERGY, 1000 }, /* each value may be a second old */
	{ "apm_xgene", HWMON_XGENE, 1000 },
	{ "macsmc_hwmon", HWMON_MACSMC, 500 },
	{ "scmi_sensors", HWMON_SCMI, 100 },
	{ "scpi_sensors", HWMON_SCMI, 100 },
	{ "amdgpu", HWMON_AMDGPU, 100 },
	{ "i915", HWMON_INTEL_GPU, 100 },
	{ "i915_gt*", HWMON_INTEL_GPU, 100 },
	{ "xe", HWMON_INTEL_GPU, 100 },
	{ "ina3221", HWMON_IGNORED, 0 },
	{ "ina2*", HWMON_BOARD, 100 },
};

enum hwmon_class hwmon_class_of(const char *name, uint64_t *ret_period_ns)
{
	for (size_t i = 0; i < ARRAY_SIZE(chips); i++) {
		size_t n = strcspn(chips[i].name, "*");

		if (strncmp(name, chips[i].name, n) != 0 || (!chips[i].name[n] && name[n]))
			continue;
		*ret_period_ns = chips[i].period_ms * NS_PER_MS;
		return chips[i].class;
	}
	*ret_period_ns = NS_PER_S;
	return HWMON_UNKNOWN;
}

static void stands_for(struct hwmon_channel *c, enum kind kind, const char *scope)
{
	c->kind = kind;
	c->known = true;
	snprintf(c->scope, sizeof(c->scope), "%s", scope);
}

static void belongs_to(struct hwmon_channel *c, const char *family, unsigned rank)
{
	memccpy(c->family, family, 0, sizeof(c->family) - 1);
	c->rank = rank;
}

/* The meters of NVIDIA Grace say what they are: "Grace Power Socket 1". A module is a Grace with
 * its GPU and their memory; a Grace's total contains its memory and I/O. */
static bool judge_grace(struct hwmon_channel *c)
{
	static const struct {
		const char *begin;
		unsigned rank;
		enum kind kind;
		const char *scope;
	} meters[] = {
		{ "Module Power", 0, KIND_PLATFORM, "module: CPU, GPU and their memory" },
		{ "Grace Power", 1, KIND_CPU, "socket: CPU, memory and I/O" },
		{ "Total Power", 1, KIND_CPU, "socket: CPU, memory and I/O" },
		{ "CPU Power", 2, KIND_CPU, "CPU rail, part of the socket" },
		{ "CPU Rail Power", 2, KIND_CPU, "CPU rail, part of the socket" },
		{ "SysIO Power", 2, KIND_PLATFORM, "I/O, part of the socket" },
		{ "SoC Rail Power", 2, KIND_PLATFORM, "SoC rail, part of the socket" },
		{ "DRAM Power", 2, KIND_DRAM, "memory, part of the socket" },
	};
	const char *socket = strstr(c->label, "ocket ");

	for (size_t i = 0; socket && i < ARRAY_SIZE(meters); i++) {
		char family[32];

		if (strncmp(c->label, meters[i].begin, strlen(meters[i].begin)) != 0)
			continue;
		c->class = HWMON_GRACE;
		stands_for(c, meters[i].kind, meters[i].scope);
		/* Of the platform's kind is what contains sockets; the rest is just shown. */
		c->known = meters[i].kind != KIND_PLATFORM || meters[i].rank == 0;
		snprintf(family, sizeof(family), "socket %.16s", socket + 6);
		belongs_to(c, family, meters[i].rank);
		return true;
	}
	return false;
}

/* Whether one of the words stands in the text by itself, be it in capitals or not. */
static bool has_word(const char *text, const char *const *words)
{
	for (; *words; words++) {
		size_t n = strlen(*words);

		for (const char *at = text; (at = strcasestr(at, *words)); at++) {
			bool begins = at == text || !isalnum((unsigned char) at[-1]);

			if (begins && !isalpha((unsigned char) at[n]))
				return true;
		}
	}
	return false;
}

/* A firmware's names are its maker's; these are what the common ones mean. */
static void judge_scmi(struct hwmon_channel *c)
{
	static const char *const gpu[] = { "gpu", "mali", NULL };
	static const char *const dram[] = { "ddr", "dram", "dimm", NULL };
	static const char *const board[] = { "system", "board", "total", NULL };
	static const char *const cpu[] = { "cpu", "cpus", "cluster", "big", "little", "a5", "a7",
		NULL };

	if (has_word(c->label, gpu))
		stands_for(c, KIND_GPU, "GPU, says the firmware");
	else if (has_word(c->label, dram))
		stands_for(c, KIND_DRAM, "memory, says the firmware");
	else if (has_word(c->label, board))
		stands_for(c, KIND_PLATFORM, "board, says the firmware");
	else if (has_word(c->label, cpu))
		stands_for(c, KIND_CPU, "CPUs, says the firmware");
	/* The same thing may be told as energy and as power. */
	belongs_to(c, c->label, c->is_energy ? 0 : 1);
}

static void judge_mac(struct hwmon_channel *c)
{
	if (strcmp(c->label, "Total System Power") == 0) {
		stands_for(c, KIND_PLATFORM, "whole machine");
		belongs_to(c, "mac", 0);
	} else if (!strcasestr(c->label, "AC ") && !strcasestr(c->label, "battery")) {
		belongs_to(c, "mac", 1);
	}
}

/* "System", "Chip 8 " and parts of a chip like "Chip 8 Vdd"; a chip has a counter and power beside it. */
static void judge_powernv(struct hwmon_channel *c)
{
	char family[32];
	unsigned chip;
	int end = 0;

	if (strcmp(c->label, "System") == 0) {
		stands_for(c, KIND_PLATFORM, "whole machine");
		belongs_to(c, "system", c->is_energy ? 0 : 1);
		return;
	}
	if (sscanf(c->label, "Chip %4u %n", &chip, &end) != 1)
		return;
	snprintf(family, sizeof(family), "chip %u", chip);
	if (c->label[end] == '\0') {
		stands_for(c, KIND_CPU, "chip");
		belongs_to(c, family, c->is_energy ? 0 : 1);
	} else {
		snprintf(c->scope, sizeof(c->scope), "part of chip %u", chip);
		belongs_to(c, family, 2);
	}
}

/* The two parts of the chip, which do not contain each other. */
static void judge_xgene(struct hwmon_channel *c)
{
	if (strcmp(c->label, "CPU power") == 0)
		stands_for(c, KIND_CPU, "CPUs");
	else if (strcmp(c->label, "IO power") == 0)
		snprintf(c->scope, sizeof(c->scope), "I/O of the chip, beside its CPUs");
}

/* The second voltage, of the north bridge, is only there where the GPU shares a chip with CPUs. */
static bool is_apu(const struct hwmon_channel *c)
{
	char text[16];

	if (hwmon_read_text(c->host, c->dir, "in1_label", text, sizeof(text)) > 0 &&
		strcmp(text, "vddnb") == 0)
		return true;
	/* The MI300A has none. */
	return hwmon_read_text(c->host, c->dir, "device", text, sizeof(text)) > 0 &&
		strcmp(text, "0x74a0") == 0;
}

static void judge_gpu(struct hwmon_channel *c)
{
	const char *family = c->class == HWMON_AMDGPU ? "AMD" : "Intel";
	bool is_part = strchr(c->chip, '_'); /* i915_gt0 */

	c->max_power_mw = GPU_MAX_MW;
	if (c->class == HWMON_AMDGPU && is_apu(c))
		stands_for(c, KIND_CPU, "socket: CPU and GPU together");
	else if (c->class == HWMON_AMDGPU)
		stands_for(c, KIND_GPU, c->number > 1 ? "GPU, by another measure" : "GPU");
	else if (is_part)
		stands_for(c, KIND_GPU, "part of the GPU");
	else
		stands_for(c, KIND_GPU, c->number > 1 ? "GPU package" : "whole GPU card");
	/* Channels are numbered from the whole to the part. */
	belongs_to(c, *c->device ? c->device : family,
		2 * c->number + !c->is_energy + (is_part ? 1000 : 0));
}

void hwmon_judge(struct hwmon_channel *c)
{
	c->kind = KIND_PLATFORM;
	c->max_power_mw = ELSE_MAX_MW;
	snprintf(c->scope, sizeof(c->scope), "not known what it covers");
	switch (c->class) {
	case HWMON_ACPI:
		if (!judge_grace(c))
			stands_for(c, KIND_PLATFORM, "whole machine, at its input");
		break;
	case HWMON_AMD_ENERGY:
		stands_for(c, KIND_CPU, "package");
		break;
	case HWMON_POWERNV:
		judge_powernv(c);
		break;
	case HWMON_XGENE:
		judge_xgene(c);
		break;
	case HWMON_MACSMC:
		judge_mac(c);
		break;
	case HWMON_SCMI:
		judge_scmi(c);
		break;
	case HWMON_AMDGPU:
	case HWMON_INTEL_GPU:
		judge_gpu(c);
		break;
	case HWMON_BOARD:
		snprintf(c->scope, sizeof(c->scope), "a rail of the board: see its plan");
		break;
	default:
		break;
	}
}

int hwmon_parent(const struct hwmon_channel *all, size_t n, size_t i)
{
	const struct hwmon_channel *c = &all[i];
	int parent = -1;

	for (size_t k = 0; k < n; k++)
		if (*c->family && strcmp(all[k].family, c->family) == 0 && all[k].rank < c->rank &&
			(parent < 0 || all[k].rank > all[parent].rank))
			parent = (int) k;
	return parent;
}

static bool is_contained(const struct hwmon_channel *all, size_t n, size_t i)
{
	for (int p = hwmon_parent(all, n, i); p >= 0; p = hwmon_parent(all, n, (size_t) p))
		if (all[p].kind == all[i].kind && all[p].known)
			return true;
	return false;
}

/* A machine has its CPUs, its memory and itself once: chips of another class tell the same again,
 * and so may another meter of the whole. GPUs it may have many. */
static bool is_told_before(const struct hwmon_channel *all, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (all[k].counted && all[k].kind == all[i].kind && all[i].kind != KIND_GPU &&
			(all[k].class != all[i].class || all[i].class == HWMON_ACPI))
			return true;
	return false;
}

void hwmon_settle(struct hwmon_channel *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		all[i].counted = all[i].known && !is_contained(all, n, i) &&
			!is_told_before(all, i);
}
