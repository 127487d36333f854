// SPDX-License-Identifier: MIT
#include "sensors/nvml/nvml_api.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "util/cleanup.h"

static void *find(void *library, const char *name)
{
	return dlsym(library, name);
}

/* ISO C has no cast from an object's to a function's address; POSIX promises that this works. */
#define RESOLVE(api, member, name)                                   \
	do {                                                         \
		void *address_ = find((api)->library, name);         \
		memcpy(&(api)->member, &address_, sizeof(address_)); \
	} while (0)

bool nvml_load(struct nvml_api *api)
{
	static const char *const places[] = { "libnvidia-ml.so.1",
		"/usr/lib/wsl/lib/libnvidia-ml.so.1", "libnvidia-ml.so" };

	for (size_t i = 0; i < ARRAY_SIZE(places) && !api->library; i++)
		api->library = dlopen(places[i], RTLD_LAZY | RTLD_LOCAL);
	if (!api->library)
		return false;
	RESOLVE(api, init, "nvmlInit_v2");
	RESOLVE(api, shutdown, "nvmlShutdown");
	RESOLVE(api, error_string, "nvmlErrorString");
	RESOLVE(api, device_count, "nvmlDeviceGetCount_v2");
	RESOLVE(api, device_by_index, "nvmlDeviceGetHandleByIndex_v2");
	RESOLVE(api, device_name, "nvmlDeviceGetName");
	RESOLVE(api, device_uuid, "nvmlDeviceGetUUID");
	RESOLVE(api, power_mw, "nvmlDeviceGetPowerUsage");
	RESOLVE(api, energy_mj, "nvmlDeviceGetTotalEnergyConsumption");
	RESOLVE(api, fields, "nvmlDeviceGetFieldValues");
	RESOLVE(api, power_limit_mw, "nvmlDeviceGetEnforcedPowerLimit");
	RESOLVE(api, pci_info, "nvmlDeviceGetPciInfo_v3");
	RESOLVE(api, utilization, "nvmlDeviceGetUtilizationRates");
	RESOLVE(api, process_utilization, "nvmlDeviceGetProcessUtilization");
	RESOLVE(api, mig_mode, "nvmlDeviceGetMigMode");
	return api->init && api->device_count && api->device_by_index;
}

void nvml_unload(struct nvml_api *api)
{
	if (api->library)
		dlclose(api->library);
	api->library = NULL;
}

const char *nvml_error_text(const struct nvml_api *api, int error)
{
	const char *text = api->error_string ? api->error_string(error) : NULL;

	return text ? text : "an error that it has no words for";
}

int nvml_errno(int error)
{
	switch (error) {
	case NVML_SUCCESS:
		return 0;
	case NVML_ERROR_NOT_SUPPORTED:
		return -EOPNOTSUPP;
	case NVML_ERROR_NO_PERMISSION:
		return -EACCES;
	case NVML_ERROR_TIMEOUT:
		return -ETIMEDOUT;
	case NVML_ERROR_GPU_IS_LOST:
	case NVML_ERROR_RESET_REQUIRED:
		return -ENODEV;
	default:
		return -EIO;
	}
}

const char *nvml_fix(int error)
{
	switch (error) {
	case NVML_ERROR_DRIVER_NOT_LOADED:
		return "sudo modprobe nvidia";
	case NVML_ERROR_LIB_RM_VERSION_MISMATCH:
	case NVML_ERROR_GPU_IS_LOST:
		return "sudo reboot";
	case NVML_ERROR_RESET_REQUIRED:
		return "sudo nvidia-smi --gpu-reset";
	case NVML_ERROR_NO_PERMISSION:
		return "sudo usermod -aG video $USER";
	default:
		return NULL;
	}
}

bool nvml_field_u64(const struct nvml_field *f, uint64_t *ret)
{
	if (f->error != NVML_SUCCESS)
		return false;
	switch (f->value_type) {
	case NVML_DOUBLE:
		if (!(f->value.d >= 0 && f->value.d < 1e18))
			return false;
		*ret = (uint64_t) f->value.d;
		return true;
	case NVML_UINT:
		*ret = f->value.ui;
		return true;
	case NVML_ULONG:
		*ret = f->value.ul;
		return true;
	case NVML_ULONGLONG:
		*ret = f->value.ull;
		return true;
	case NVML_LONGLONG:
		*ret = f->value.ll > 0 ? (uint64_t) f->value.ll : 0;
		return f->value.ll >= 0;
	case NVML_INT:
		*ret = f->value.i > 0 ? (uint64_t) f->value.i : 0;
		return f->value.i >= 0;
	case NVML_USHORT:
		*ret = f->value.us;
		return true;
	default:
		return false;
	}
}
