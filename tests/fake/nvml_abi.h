// SPDX-License-Identifier: MIT
/*
 * The part of the NVIDIA driver library's published interface that the fake one offers, declared
 * anew: numbers, layouts and prototypes. It shares nothing with the program's own declarations, so
 * that a mistake in either shows.
 */
#ifndef FAKE_NVML_ABI_H
#define FAKE_NVML_ABI_H

enum {
	NVML_SUCCESS = 0,
	NVML_ERROR_UNINITIALIZED = 1,
	NVML_ERROR_INVALID_ARGUMENT = 2,
	NVML_ERROR_NOT_SUPPORTED = 3,
	NVML_ERROR_NO_PERMISSION = 4,
	NVML_ERROR_NOT_FOUND = 6,
	NVML_ERROR_INSUFFICIENT_SIZE = 7,
	NVML_ERROR_DRIVER_NOT_LOADED = 9,
	NVML_ERROR_TIMEOUT = 10,
	NVML_ERROR_IRQ_ISSUE = 11,
	NVML_ERROR_LIBRARY_NOT_FOUND = 12,
	NVML_ERROR_FUNCTION_NOT_FOUND = 13,
	NVML_ERROR_GPU_IS_LOST = 15,
	NVML_ERROR_RESET_REQUIRED = 16,
	NVML_ERROR_OPERATING_SYSTEM = 17,
	NVML_ERROR_LIB_RM_VERSION_MISMATCH = 18,
	NVML_ERROR_MEMORY = 20,
	NVML_ERROR_NO_DATA = 21,
	NVML_ERROR_ARGUMENT_VERSION_MISMATCH = 25,
	NVML_ERROR_GPU_NOT_FOUND = 28,
	NVML_ERROR_UNKNOWN = 999,
};

enum {
	NVML_VALUE_DOUBLE = 0,
	NVML_VALUE_UINT = 1,
	NVML_VALUE_ULONG = 2,
	NVML_VALUE_ULONGLONG = 3,
	NVML_VALUE_LONGLONG = 4,
	NVML_VALUE_INT = 5,
	NVML_VALUE_USHORT = 6,
};

enum {
	NVML_FIELD_TOTAL_ENERGY = 83,
	NVML_FIELD_POWER_AVERAGE = 185,
	NVML_FIELD_POWER_INSTANT = 186,
	NVML_FIELD_POWER_LIMIT_MIN = 187,
	NVML_FIELD_POWER_LIMIT_MAX = 188,
	NVML_FIELD_POWER_LIMIT_DEFAULT = 189,
	NVML_FIELD_POWER_LIMIT_CURRENT = 190,
	NVML_FIELD_ENERGY_OF_SCOPE = 191,
	NVML_FIELD_POWER_LIMIT_REQUESTED = 192,
};

enum { NVML_SCOPE_GPU = 0, NVML_SCOPE_MODULE = 1, NVML_SCOPE_MEMORY = 2 };

enum { NVML_SAMPLES_TOTAL_POWER = 0, NVML_SAMPLES_MODULE_POWER = 7 };

#define NVML_NO_INSTANCE 0xffffffffu
#define NVML_NAME_SIZE 96
#define NVML_VERSION_SIZE 80

typedef struct nvml_device *nvml_device;

union nvml_value {
	double as_double;
	int as_int;
	unsigned as_uint;
	unsigned long as_ulong;
	unsigned long long as_ulonglong;
	long long as_longlong;
	unsigned short as_ushort;
};

struct nvml_field_value {
	unsigned field_id;
	unsigned scope_id;
	long long timestamp_us; /* since 1970 */
	long long latency_us;
	unsigned value_type;
	int result;
	union nvml_value value;
};

struct nvml_sample {
	unsigned long long timestamp_us;
	union nvml_value value;
};

struct nvml_utilization {
	unsigned gpu_percent;
	unsigned memory_percent;
};

struct nvml_pci_info {
	char bus_id_legacy[16];
	unsigned domain;
	unsigned bus;
	unsigned device;
	unsigned device_vendor_id;
	unsigned subsystem_id;
	char bus_id[32];
};

/* What _v2 and _v3 of the process lists use in most drivers. Some have 8 bytes less at its end,
 * and the first 535 drivers had 8 more. */
struct nvml_process_info {
	unsigned pid;
	unsigned long long used_memory;
	unsigned gpu_instance_id;
	unsigned compute_instance_id;
};

struct nvml_process_sample {
	unsigned pid;
	unsigned long long timestamp_us;
	unsigned sm_percent;
	unsigned memory_percent;
	unsigned encoder_percent;
	unsigned decoder_percent;
};

struct nvml_process_utilization {
	unsigned long long timestamp_us;
	unsigned pid;
	unsigned sm_percent;
	unsigned memory_percent;
	unsigned encoder_percent;
	unsigned decoder_percent;
	unsigned jpeg_percent;
	unsigned ofa_percent;
};

struct nvml_processes_utilization {
	unsigned version;
	unsigned n;
	unsigned long long last_seen_us;
	struct nvml_process_utilization *list;
};

#define NVML_PROCESSES_UTILIZATION_V1 0x01000018u

_Static_assert(sizeof(struct nvml_field_value) == 40, "layout");
_Static_assert(sizeof(struct nvml_sample) == 16, "layout");
_Static_assert(sizeof(struct nvml_pci_info) == 68, "layout");
_Static_assert(sizeof(struct nvml_process_info) == 24, "layout");
_Static_assert(sizeof(struct nvml_process_sample) == 32, "layout");
_Static_assert(sizeof(struct nvml_process_utilization) == 40, "layout");
_Static_assert(sizeof(struct nvml_processes_utilization) == 24, "layout");

int nvmlInit_v2(void);
int nvmlInitWithFlags(unsigned flags);
int nvmlShutdown(void);
const char *nvmlErrorString(int error);
int nvmlSystemGetDriverVersion(char *text, unsigned n);
int nvmlSystemGetNVMLVersion(char *text, unsigned n);

int nvmlDeviceGetCount_v2(unsigned *n);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, nvml_device *device);
int nvmlDeviceGetHandleByUUID(const char *uuid, nvml_device *device);
int nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvml_device *device);
int nvmlDeviceGetName(nvml_device device, char *text, unsigned n);
int nvmlDeviceGetUUID(nvml_device device, char *text, unsigned n);
int nvmlDeviceGetPciInfo_v3(nvml_device device, struct nvml_pci_info *pci);
int nvmlDeviceGetIndex(nvml_device device, unsigned *index);
int nvmlDeviceGetMinorNumber(nvml_device device, unsigned *minor);
int nvmlDeviceGetArchitecture(nvml_device device, unsigned *architecture);
int nvmlDeviceGetPersistenceMode(nvml_device device, int *mode);

int nvmlDeviceGetPowerUsage(nvml_device device, unsigned *mw);
int nvmlDeviceGetTotalEnergyConsumption(nvml_device device, unsigned long long *mj);
int nvmlDeviceGetEnforcedPowerLimit(nvml_device device, unsigned *mw);
int nvmlDeviceGetFieldValues(nvml_device device, int n, struct nvml_field_value *values);
int nvmlDeviceGetSamples(nvml_device device, int type, unsigned long long last_seen_us,
	int *value_type, unsigned *n, struct nvml_sample *samples);
int nvmlDeviceGetUtilizationRates(nvml_device device, struct nvml_utilization *rates);

int nvmlDeviceGetProcessUtilization(nvml_device device, struct nvml_process_sample *samples,
	unsigned *n, unsigned long long last_seen_us);
int nvmlDeviceGetProcessesUtilizationInfo(
	nvml_device device, struct nvml_processes_utilization *list);
int nvmlDeviceGetComputeRunningProcesses_v3(
	nvml_device device, unsigned *n, struct nvml_process_info *list);
int nvmlDeviceGetGraphicsRunningProcesses_v3(
	nvml_device device, unsigned *n, struct nvml_process_info *list);
int nvmlDeviceGetMPSComputeRunningProcesses_v3(
	nvml_device device, unsigned *n, struct nvml_process_info *list);

int nvmlDeviceGetMigMode(nvml_device device, unsigned *current, unsigned *pending);
int nvmlDeviceGetMaxMigDeviceCount(nvml_device device, unsigned *n);
int nvmlDeviceGetMigDeviceHandleByIndex(nvml_device device, unsigned index, nvml_device *mig);
int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvml_device mig, nvml_device *device);
int nvmlDeviceIsMigDeviceHandle(nvml_device device, unsigned *is_mig);
int nvmlDeviceGetGpuInstanceId(nvml_device mig, unsigned *id);
int nvmlDeviceGetComputeInstanceId(nvml_device mig, unsigned *id);

#endif
