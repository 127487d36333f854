// SPDX-License-Identifier: MIT
/*
 * NVIDIA's management library as far as it is used here: prototypes and structures declared from
 * the published interface, since the library is loaded at run time and its header may not be there.
 */
#ifndef PM_SENSORS_NVML_NVML_API_H
#define PM_SENSORS_NVML_NVML_API_H

#include <stdbool.h>
#include <stdint.h>

enum {
	NVML_SUCCESS = 0,
	NVML_ERROR_NOT_SUPPORTED = 3,
	NVML_ERROR_NO_PERMISSION = 4,
	NVML_ERROR_NOT_FOUND = 6,
	NVML_ERROR_INSUFFICIENT_SIZE = 7,
	NVML_ERROR_DRIVER_NOT_LOADED = 9,
	NVML_ERROR_TIMEOUT = 10,
	NVML_ERROR_GPU_IS_LOST = 15,
	NVML_ERROR_RESET_REQUIRED = 16,
	NVML_ERROR_LIB_RM_VERSION_MISMATCH = 18,
	NVML_ERROR_UNKNOWN = 999,

	NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION = 83,
	NVML_FI_DEV_POWER_AVERAGE = 185,
	NVML_FI_DEV_POWER_INSTANT = 186,
	NVML_FI_DEV_SCOPED_ENERGY_CONSUMPTION = 191,

	NVML_SCOPE_GPU = 0,
	NVML_SCOPE_MODULE = 1,
};

enum nvml_value_type {
	NVML_DOUBLE,
	NVML_UINT,
	NVML_ULONG,
	NVML_ULONGLONG,
	NVML_LONGLONG,
	NVML_INT,
	NVML_USHORT,
};

typedef void *nvml_device;

union nvml_value {
	double d;
	int i;
	unsigned ui;
	unsigned long ul;
	unsigned long long ull;
	long long ll;
	unsigned short us;
};

struct nvml_field {
	unsigned id;
	unsigned scope;
	long long timestamp_us; /* since 1970 */
	long long latency_us;
	unsigned value_type;
	int error;
	union nvml_value value;
};

struct nvml_pci_info {
	char bus_id_legacy[16];
	unsigned domain;
	unsigned bus;
	unsigned device;
	unsigned device_vendor_id;
	unsigned subsystem_id;
	char bus_id[32]; /* "00000000:01:00.0" */
};

struct nvml_utilization {
	unsigned gpu_percent;
	unsigned memory_percent;
};

struct nvml_process_sample {
	unsigned pid;
	unsigned long long timestamp_us;
	unsigned sm_percent;
	unsigned memory_percent;
	unsigned encoder_percent;
	unsigned decoder_percent;
};

/* Functions that a driver may be too old for are optional. */
struct nvml_api {
	void *library;
	int (*init)(void);
	int (*shutdown)(void);
	const char *(*error_string)(int);
	int (*device_count)(unsigned *);
	int (*device_by_index)(unsigned, nvml_device *);
	int (*device_name)(nvml_device, char *, unsigned);
	int (*device_uuid)(nvml_device, char *, unsigned);
	int (*power_mw)(nvml_device, unsigned *);
	int (*energy_mj)(nvml_device, unsigned long long *);
	int (*fields)(nvml_device, int, struct nvml_field *);
	int (*power_limit_mw)(nvml_device, unsigned *);
	int (*pci_info)(nvml_device, struct nvml_pci_info *);
	int (*utilization)(nvml_device, struct nvml_utilization *);
	int (*process_utilization)(nvml_device, struct nvml_process_sample *, unsigned *n,
		unsigned long long last_seen_us);
	int (*mig_mode)(nvml_device, unsigned *current, unsigned *pending);
};

/* Loads the library and resolves what is used of it. Returns false if it is not there or lacks what
 * nothing works without; takes an api that is all zero. */
bool nvml_load(struct nvml_api *api);

/* Takes an api that was not loaded, too. */
void nvml_unload(struct nvml_api *api);

/* The library's own words for one of its errors. */
const char *nvml_error_text(const struct nvml_api *api, int error);

/* 0 or -errno for one of its errors. */
int nvml_errno(int error);

/* The command that helps against one of its errors, or NULL. */
const char *nvml_fix(int error);

/* The value as a number; false where there is none, or a negative one. */
bool nvml_field_u64(const struct nvml_field *f, uint64_t *ret);

#endif
