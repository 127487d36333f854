// SPDX-License-Identifier: MIT
/*
 * The parts of the hwmon backend: hwmon_scan.c finds channels, hwmon_chips.c knows what they stand
 * for, hwmon.c makes domains of them and reads them.
 */
#ifndef PM_SENSORS_HWMON_HWMON_H
#define PM_SENSORS_HWMON_HWMON_H

#include "meter/sensor.h"
#include "util/numfile.h"

#define HWMON_DIR "/sys/class/hwmon"
/* Domains that are made of channels; which ones is decided when all are known. */
#define HWMON_MAX_CHANNELS SENSOR_MAX_DOMAINS

/* Channels that are looked at: a chip of a large machine has one for each core. */
#define HWMON_SCAN_MAX 4096

/* The order is that of preference, see hwmon_settle(). */
enum hwmon_class {
	HWMON_GRACE, /* an ACPI meter that says which part of an NVIDIA Grace it measures */
	HWMON_ACPI,
	HWMON_POWERNV, /* the host of an IBM POWER machine */
	HWMON_AMD_ENERGY,
	HWMON_XGENE,
	HWMON_MACSMC,
	HWMON_SCMI,
	HWMON_AMDGPU,
	HWMON_INTEL_GPU,
	HWMON_BOARD,
	HWMON_UNKNOWN,
	HWMON_IGNORED, /* another sensor reads it */
};

/* One file of one chip. */
struct hwmon_channel {
	const struct host *host;
	char chip[32];   /* what the chip's name file says */
	char device[48]; /* its device, as far as that has a name of its own */
	char label[48];
	char file[32]; /* "power1_average" */
	char dir[64];  /* "hwmon3" or "hwmon3/device" */
	enum hwmon_class class;
	uint64_t period_ns; /* how often it is read */
	unsigned number;    /* 1 of power1 */
	bool is_energy;

	/* What it stands for; see hwmon_judge(). */
	enum kind kind;
	bool known;   /* else it is shown only */
	bool counted; /* see hwmon_settle() */
	char scope[64];
	char family[64]; /* empty: it contains nothing, and nothing contains it */
	unsigned rank;
	uint64_t max_power_mw;

	/* Reading it. */
	struct numfile numfile;
	uint64_t due_ns;
	struct reading last;
};

/* What a look at the class finds; freed by hwmon_scan_finish(). */
struct hwmon_scan {
	const struct host *host;
	struct hwmon_channel *channels;
	size_t n;
	size_t cap;
	size_t first;              /* channel of the chip that is looked at */
	struct hwmon_channel chip; /* what its channels have in common */
	bool ignored;              /* there are some that another sensor reads */
};

/* Finds all channels, in no order. Returns 0, or -errno without the class. */
int hwmon_scan(const struct host *h, struct hwmon_scan *ret);
void hwmon_scan_finish(struct hwmon_scan *scan);

/* Reads a file of the chip in its directory or in that of its device. Returns its length or -errno,
 * and then an empty text. */
int hwmon_read_text(const struct host *h, const char *hwmon, const char *file, char *ret, size_t n);

/* The class of a chip of that name, and how often it is worth reading. */
enum hwmon_class hwmon_class_of(const char *name, uint64_t *ret_period_ns);

/* Says what a channel stands for, from what is known of its chip. */
void hwmon_judge(struct hwmon_channel *c);

/* The nearest of its family that contains channel i, or -1. */
int hwmon_parent(const struct hwmon_channel *all, size_t n, size_t i);

/* Decides for all channels, which are in order, whether they count. */
void hwmon_settle(struct hwmon_channel *all, size_t n);

#endif
