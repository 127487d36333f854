// SPDX-License-Identifier: MIT
/*
 * Reading one GPU: its value, and when that became true.
 */
#ifndef PM_SENSORS_NVML_NVML_GPU_H
#define PM_SENSORS_NVML_NVML_GPU_H

#include "sensors/nvml/nvml_api.h"
#include "sensors/nvml/nvml_check.h"
#include "sensors/nvml/nvml_pci.h"
#include "meter/sensor.h"
#include "sensors/nvml/pace.h"

/* Every GPU since Kepler but few updates its figures ten times a second; Volta and Pascal do it
 * fifty times (Yang et al., "Part-time Power Measurements", SC 2024). */
#define GPU_UPDATE_DEFAULT_NS (100 * NS_PER_MS)
/* Faster ones are not followed: what they tell is as good as present. */
#define GPU_UPDATE_LEAST_NS (8 * NS_PER_MS)

/* A single call may fail; so many in a row are a GPU that cannot be read. */
#define GPU_FAILURES_MIN 3

/* What the driver calls average power is that of so long. */
#define GPU_AVERAGE_NS NS_PER_S

enum gpu_source { SOURCE_COUNTER, SOURCE_POWER };

/* What is seen of a GPU when it is opened. */
struct gpu_watch {
	bool done;
	int error;
	unsigned n_errors; /* in a row */
	uint64_t due_ns;
	long long stamp_us;   /* at the last read ... */
	long long first_us;   /* ... and at the first update */
	unsigned n_updates;   /* changes of the value */
	uint64_t shortest_ns; /* between two of them; 0: not known */
	unsigned stamps_good; /* the stamp moved with the value, and to a time that can be */
	unsigned stamps_bad;  /* anything else */
};

struct gpu {
	nvml_device device;
	unsigned index;
	char name[96];
	char uuid[96];
	char pci_id[NVML_PCI_ID_SIZE]; /* empty: not known */
	uint64_t max_power_mw;
	enum gpu_source source;
	bool module;      /* it tells of its module alone, which other chips are on, too */
	bool parted;      /* it is divided into MIG instances, of which nothing is told */
	bool averaged;    /* its power is told as a mean over GPU_AVERAGE_NS */
	bool has_fields;  /* field values have told something that calls of their own tell else */
	bool stamped;     /* the driver tells when the value was updated */
	bool live;        /* it is updated too fast to be followed */
	unsigned n_odd;   /* stamps in a row that cannot be */
	struct pace pace; /* of a counter without stamps: when it is updated; else just how often */
	bool has_value;
	uint64_t value;      /* as of the last read */
	uint64_t changed_ns; /* the read that found it new */
	unsigned n_vain;     /* reads since */
	unsigned n_rough;    /* updates passed by because their time was not known well enough */
	uint64_t due_ns;
	struct reading last;
	unsigned failures; /* in a row */
	struct gpu_check check;
	bool tells_users;
	uint64_t users_ns;                /* when it was looked last who uses it */
	unsigned long long users_seen_us; /* the last sample of that, by the driver's clock */
	unsigned busy_percent;            /* then */
	struct gpu_watch watch;
};

/* What one read of a GPU gives. */
struct gpu_sample {
	bool has_energy;
	bool has_power;
	bool from_fields; /* one of them at least */
	bool averaged;    /* the power is a mean over GPU_AVERAGE_NS */
	uint64_t energy_mj;
	uint64_t power_mw;
	long long stamp_us; /* of the value that counts, as the driver tells it; 0: not told */
	uint64_t t_ns;      /* the middle of the call */
	uint64_t t_err_ns;
};

/* Reads the GPU now, and dates what was read; g->last is then the latest reading that is known to be
 * true at its time, g->due_ns when the next one is wanted. */
void gpu_read(const struct host *h, const struct nvml_api *api, struct gpu *g);

/* The GPU sleeps: it is not read, for that would wake it. */
void gpu_let_sleep(const struct host *h, struct gpu *g);

/* Nobody wanted readings for a while: nothing that was read before counts any more. */
void gpu_begin_anew(struct gpu *g);

/* Asks for energy and power in one call where the driver can; what is missing then in calls of
 * their own. Returns 0 or -errno. */
int gpu_take_sample(const struct host *h, const struct nvml_api *api, const struct gpu *g,
	struct gpu_sample *ret);

/* Which of the two counts. */
uint64_t gpu_value(const struct gpu *g, const struct gpu_sample *s);

/* Notes a read's value; tells whether it is another than the last. */
bool gpu_note_value(struct gpu *g, uint64_t value, uint64_t t_ns);

/* Learns from the value that was noted last when the counter is updated. */
void gpu_follow_pace(struct gpu *g, const struct gpu_sample *sample);

/* The driver's stamp is wall time. Returns false where it cannot be true. */
bool gpu_stamp_to_mono_ns(const struct host *h, long long stamp_us, uint64_t *ret);

#endif
