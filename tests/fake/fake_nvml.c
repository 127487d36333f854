// SPDX-License-Identifier: MIT
/*
 * A driver library of no GPU at all: the functions. What they tell is made up in model.c.
 *
 * Built a second time with FAKE_NVML_OLD it lacks what drivers did not have before Volta.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "model.h"
#include "nvml_abi.h"

#define HANG_STEP_NS 5000000
#define LIST_SPARE 100
#define NS_PER_US 1000

#define FUNCTIONS(X)                                    \
	X(nvmlInit_v2)                                  \
	X(nvmlInitWithFlags)                            \
	X(nvmlShutdown)                                 \
	X(nvmlSystemGetDriverVersion)                   \
	X(nvmlSystemGetNVMLVersion)                     \
	X(nvmlDeviceGetCount_v2)                        \
	X(nvmlDeviceGetHandleByIndex_v2)                \
	X(nvmlDeviceGetHandleByUUID)                    \
	X(nvmlDeviceGetHandleByPciBusId_v2)             \
	X(nvmlDeviceGetName)                            \
	X(nvmlDeviceGetUUID)                            \
	X(nvmlDeviceGetPciInfo_v3)                      \
	X(nvmlDeviceGetIndex)                           \
	X(nvmlDeviceGetMinorNumber)                     \
	X(nvmlDeviceGetArchitecture)                    \
	X(nvmlDeviceGetPersistenceMode)                 \
	X(nvmlDeviceGetPowerUsage)                      \
	X(nvmlDeviceGetTotalEnergyConsumption)          \
	X(nvmlDeviceGetEnforcedPowerLimit)              \
	X(nvmlDeviceGetFieldValues)                     \
	X(nvmlDeviceGetSamples)                         \
	X(nvmlDeviceGetUtilizationRates)                \
	X(nvmlDeviceGetProcessUtilization)              \
	X(nvmlDeviceGetProcessesUtilizationInfo)        \
	X(nvmlDeviceGetComputeRunningProcesses_v3)      \
	X(nvmlDeviceGetGraphicsRunningProcesses_v3)     \
	X(nvmlDeviceGetMPSComputeRunningProcesses_v3)   \
	X(nvmlDeviceGetMigMode)                         \
	X(nvmlDeviceGetMaxMigDeviceCount)               \
	X(nvmlDeviceGetMigDeviceHandleByIndex)          \
	X(nvmlDeviceGetDeviceHandleFromMigDeviceHandle) \
	X(nvmlDeviceIsMigDeviceHandle)                  \
	X(nvmlDeviceGetGpuInstanceId)                   \
	X(nvmlDeviceGetComputeInstanceId)

#define ENUMERATOR(name) FN_##name,
enum function { FUNCTIONS(ENUMERATOR) N_FUNCTIONS };

#define NAME(name) #name,
static const char *const function_names[] = { FUNCTIONS(NAME) };

struct nvml_device {
	unsigned gpu;
	int mig; /* -1: the GPU itself */
};

/* One call of one function, and what faults make of it. */
struct call {
	struct fake_gpu *gpu;
	const struct nvml_device *device;
	uint64_t began_ns;
	uint64_t t_ns; /* the time whose values are shown */
	bool restarted;
	uint64_t counter_from_ns;
	int64_t plus_mj;
	int64_t plus_mw;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_model model;
static bool loaded;
static unsigned n_inits;
static uint64_t init_ns;
static uint64_t last_init_ns; /* when it was begun with from the start */
static struct nvml_device devices[FAKE_MAX_GPUS];
static struct nvml_device migs[FAKE_MAX_GPUS][FAKE_MAX_MIG];

/* ---- what every call goes through ------------------------------------------------------- */

static bool fault_is_on(const struct fake_fault *f, uint64_t now_ns)
{
	uint64_t since_ns = now_ns - init_ns;

	return since_ns >= f->from_ns && since_ns - f->from_ns < f->for_ns;
}

static bool fault_matches(
	const struct fake_fault *f, enum function fn, const struct nvml_device *device)
{
	const char *name = function_names[fn];

	if (f->gpu >= 0 && (!device || device->gpu != (unsigned) f->gpu))
		return false;
	if (f->is_prefix)
		return strncmp(name, f->call, strlen(f->call)) == 0;
	return f->call[0] == '\0' || strcmp(name, f->call) == 0;
}

static void sleep_ns(uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t) (ns / 1000000000),
		.tv_nsec = (long) (ns % 1000000000) };

	while (nanosleep(&ts, &ts) < 0)
		;
}

/* With the lock held. */
static bool hangs(enum function fn, const struct nvml_device *device)
{
	fake_model_reload(&model);
	for (size_t i = 0; i < model.n_faults; i++) {
		const struct fake_fault *f = &model.faults[i];

		if (f->kind == FAKE_HANG && fault_matches(f, fn, device) &&
			fault_is_on(f, fake_mono_ns()))
			return true;
	}
	return false;
}

static uint64_t later_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Applies the faults but hangs. With the lock held. Returns the error of the call, and how long it
 * takes. */
static int apply_faults(enum function fn, struct call *c, uint64_t *ret_slow_ns, bool *ret_early)
{
	uint64_t now_ns = fake_mono_ns();
	int error = NVML_SUCCESS;

	for (size_t i = 0; i < model.n_faults; i++) {
		struct fake_fault *f = &model.faults[i];

		if (!fault_matches(f, fn, c->device) || !fault_is_on(f, now_ns))
			continue;
		if (f->every > 1 && ++f->n_matched % f->every != 0)
			continue;
		switch (f->kind) {
		case FAKE_ERROR:
			error = f->error;
			break;
		case FAKE_SLOW:
			*ret_slow_ns += f->slow_ns;
			*ret_early |= f->early;
			break;
		case FAKE_STUCK:
			c->t_ns = later_of(init_ns + f->from_ns, f->loaded_ns);
			break;
		case FAKE_RESTART:
			if (f->mono_ns > now_ns)
				break;
			c->restarted = true;
			c->counter_from_ns = f->mono_ns ? f->mono_ns : init_ns + f->from_ns;
			break;
		case FAKE_JUMP:
			c->plus_mj += f->plus_mj;
			c->plus_mw += f->plus_mw;
			break;
		case FAKE_RELOAD: {
			uint64_t at_ns = later_of(init_ns + f->from_ns, f->loaded_ns);

			c->restarted = true;
			c->counter_from_ns = at_ns;
			if (c->device && last_init_ns < at_ns)
				error = f->error;
			break;
		}
		case FAKE_HANG:
		case FAKE_FIELD:
		case FAKE_UNFILLED:
			break;
		}
	}
	return error;
}

static bool is_device(const struct nvml_device *d)
{
	for (size_t i = 0; i < model.n_gpus; i++) {
		if (d == &devices[i])
			return true;
		for (size_t k = 0; k < model.gpus[i].n_mig; k++)
			if (d == &migs[i][k])
				return true;
	}
	return false;
}

/* Counts the call, lets it take its time and finds out whether it fails. device: NULL for a
 * function of none. */
static int enter(enum function fn, bool wants_device, nvml_device device, struct call *ret)
{
	uint64_t slow_ns = 0;
	bool early = false;
	int error;

	*ret = (struct call) { .began_ns = fake_mono_ns() };
	pthread_mutex_lock(&lock);
	if (!loaded) {
		fake_model_load(&model);
		loaded = true;
		init_ns = ret->began_ns;
	}
	fake_count(&model, fn, function_names[fn], N_FUNCTIONS);
	if (wants_device && (n_inits == 0 || !is_device(device))) {
		error = n_inits == 0 ? NVML_ERROR_UNINITIALIZED : NVML_ERROR_INVALID_ARGUMENT;
		pthread_mutex_unlock(&lock);
		return error;
	}
	while (hangs(fn, device)) {
		pthread_mutex_unlock(&lock);
		sleep_ns(HANG_STEP_NS);
		pthread_mutex_lock(&lock);
	}
	ret->device = device;
	ret->gpu = device ? &model.gpus[device->gpu] : NULL;
	error = apply_faults(fn, ret, &slow_ns, &early);
	pthread_mutex_unlock(&lock);
	if (ret->t_ns == 0 && early)
		ret->t_ns = fake_mono_ns();
	if (slow_ns)
		sleep_ns(slow_ns);
	if (ret->t_ns == 0)
		ret->t_ns = fake_mono_ns();
	return error;
}

#define ENTER_DEVICE(fn, device, call)                           \
	do {                                                     \
		int error_ = enter(FN_##fn, true, device, call); \
		if (error_ != NVML_SUCCESS)                      \
			return error_;                           \
	} while (0)

#define ENTER(fn, call)                                         \
	do {                                                    \
		int error_ = enter(FN_##fn, false, NULL, call); \
		if (error_ != NVML_SUCCESS)                     \
			return error_;                          \
	} while (0)

static int put_text(const char *text, char *ret, unsigned n, bool unterminated)
{
	size_t len = strlen(text);

	if (unterminated) {
		for (unsigned i = 0; i < n; i++)
			ret[i] = i < len ? text[i] : 'x';
		return NVML_SUCCESS;
	}
	if (len >= n)
		return NVML_ERROR_INSUFFICIENT_SIZE;
	memcpy(ret, text, len + 1);
	return NVML_SUCCESS;
}

/* ---- the library ------------------------------------------------------------------------ */

static int start(enum function fn)
{
	struct call c;
	int error = enter(fn, false, NULL, &c);

	if (error != NVML_SUCCESS)
		return error;
	pthread_mutex_lock(&lock);
	if (n_inits++ == 0)
		last_init_ns = fake_mono_ns();
	for (unsigned i = 0; i < model.n_gpus; i++) {
		devices[i] = (struct nvml_device) { .gpu = i, .mig = -1 };
		for (int k = 0; k < FAKE_MAX_MIG; k++)
			migs[i][k] = (struct nvml_device) { .gpu = i, .mig = k };
	}
	pthread_mutex_unlock(&lock);
	return NVML_SUCCESS;
}

int nvmlInit_v2(void)
{
	return start(FN_nvmlInit_v2);
}

int nvmlShutdown(void)
{
	struct call c;
	int error;

	ENTER(nvmlShutdown, &c);
	pthread_mutex_lock(&lock);
	error = n_inits ? NVML_SUCCESS : NVML_ERROR_UNINITIALIZED;
	if (n_inits)
		n_inits--;
	pthread_mutex_unlock(&lock);
	return error;
}

const char *nvmlErrorString(int error)
{
	if (loaded && !model.error_string)
		return NULL;
	switch (error) {
	case NVML_SUCCESS:
		return "Success";
	case NVML_ERROR_UNINITIALIZED:
		return "Uninitialized";
	case NVML_ERROR_INVALID_ARGUMENT:
		return "Invalid Argument";
	case NVML_ERROR_NOT_SUPPORTED:
		return "Not Supported";
	case NVML_ERROR_NO_PERMISSION:
		return "Insufficient Permissions";
	case NVML_ERROR_NOT_FOUND:
		return "Not Found";
	case NVML_ERROR_DRIVER_NOT_LOADED:
		return "Driver Not Loaded";
	case NVML_ERROR_TIMEOUT:
		return "Timeout";
	case NVML_ERROR_IRQ_ISSUE:
		return "Interrupt Request Issue";
	case NVML_ERROR_LIBRARY_NOT_FOUND:
		return "NVML Shared Library Not Found";
	case NVML_ERROR_GPU_IS_LOST:
		return "GPU is lost";
	case NVML_ERROR_RESET_REQUIRED:
		return "GPU requires reset";
	case NVML_ERROR_OPERATING_SYSTEM:
		return "GPU access blocked by the operating system";
	case NVML_ERROR_LIB_RM_VERSION_MISMATCH:
		return "Driver/library version mismatch";
	case NVML_ERROR_MEMORY:
		return "Insufficient Memory";
	default:
		return "Unknown Error";
	}
}

int nvmlDeviceGetCount_v2(unsigned *n)
{
	struct call c;

	ENTER(nvmlDeviceGetCount_v2, &c);
	*n = (unsigned) model.n_gpus;
	return n_inits ? NVML_SUCCESS : NVML_ERROR_UNINITIALIZED;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, nvml_device *device)
{
	struct call c;
	int error;

	/* Faults of one GPU have to know which it is. */
	if (n_inits && index < model.n_gpus)
		error = enter(FN_nvmlDeviceGetHandleByIndex_v2, true, &devices[index], &c);
	else
		error = enter(FN_nvmlDeviceGetHandleByIndex_v2, false, NULL, &c);
	if (error != NVML_SUCCESS)
		return error;
	if (!c.device)
		return n_inits ? NVML_ERROR_INVALID_ARGUMENT : NVML_ERROR_UNINITIALIZED;
	*device = &devices[index];
	return NVML_SUCCESS;
}

int nvmlDeviceGetName(nvml_device device, char *text, unsigned n)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceGetName, device, &c);
	return put_text(c.gpu->name, text, n, c.gpu->unterminated);
}

int nvmlDeviceGetUUID(nvml_device device, char *text, unsigned n)
{
	struct call c;
	char mig[NVML_NAME_SIZE];

	ENTER_DEVICE(nvmlDeviceGetUUID, device, &c);
	if (device->mig < 0)
		return put_text(c.gpu->uuid, text, n, c.gpu->unterminated);
	snprintf(mig, sizeof(mig), "MIG-%08x-%04x-4000-8000-000000000000", c.gpu->index,
		(unsigned) device->mig);
	return put_text(mig, text, n, c.gpu->unterminated);
}

int nvmlDeviceGetPowerUsage(nvml_device device, unsigned *mw)
{
	struct call c;
	uint64_t update_ns;

	ENTER_DEVICE(nvmlDeviceGetPowerUsage, device, &c);
	if (!c.gpu->power || device->mig >= 0)
		return NVML_ERROR_NOT_SUPPORTED;
	update_ns = fake_update_ns(c.gpu, c.t_ns);
	*mw = (unsigned) ((int64_t) fake_power_mw(c.gpu, update_ns, c.gpu->window_ns) + c.plus_mw);
	return NVML_SUCCESS;
}

int nvmlDeviceGetEnforcedPowerLimit(nvml_device device, unsigned *mw)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceGetEnforcedPowerLimit, device, &c);
	*mw = c.gpu->limit_mw;
	return device->mig < 0 ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
}

#ifndef FAKE_NVML_OLD

int nvmlInitWithFlags(unsigned flags)
{
	(void) flags;
	return start(FN_nvmlInitWithFlags);
}

int nvmlSystemGetDriverVersion(char *text, unsigned n)
{
	struct call c;

	ENTER(nvmlSystemGetDriverVersion, &c);
	return put_text(model.driver, text, n, false);
}

int nvmlSystemGetNVMLVersion(char *text, unsigned n)
{
	struct call c;

	ENTER(nvmlSystemGetNVMLVersion, &c);
	return put_text("12.550.54.15", text, n, false);
}

/* ---- which GPU -------------------------------------------------------------------------- */

int nvmlDeviceGetHandleByUUID(const char *uuid, nvml_device *device)
{
	struct call c;

	ENTER(nvmlDeviceGetHandleByUUID, &c);
	for (size_t i = 0; i < model.n_gpus; i++) {
		if (strcmp(model.gpus[i].uuid, uuid) == 0) {
			*device = &devices[i];
			return NVML_SUCCESS;
		}
	}
	return NVML_ERROR_NOT_FOUND;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvml_device *device)
{
	struct call c;

	ENTER(nvmlDeviceGetHandleByPciBusId_v2, &c);
	for (size_t i = 0; i < model.n_gpus; i++) {
		if (strcmp(model.gpus[i].bus_id, bus_id) == 0) {
			*device = &devices[i];
			return NVML_SUCCESS;
		}
	}
	return NVML_ERROR_NOT_FOUND;
}

int nvmlDeviceGetPciInfo_v3(nvml_device device, struct nvml_pci_info *pci)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceGetPciInfo_v3, device, &c);
	*pci = (struct nvml_pci_info) { .device_vendor_id = 0x233010de };
	sscanf(c.gpu->bus_id, "%x:%x:%x", &pci->domain, &pci->bus, &pci->device);
	snprintf(pci->bus_id, sizeof(pci->bus_id), "%s", c.gpu->bus_id);
	snprintf(pci->bus_id_legacy, sizeof(pci->bus_id_legacy), "%04X:%02X:%02X.0",
		pci->domain & 0xffff, pci->bus & 0xff, pci->device & 0xff);
	return NVML_SUCCESS;
}

int nvmlDeviceGetIndex(nvml_device device, unsigned *index)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceGetIndex, device, &c);
	*index = c.gpu->index;
	return NVML_SUCCESS;
}

int nvmlDeviceGetMinorNumber(nvml_device device, unsigned *minor)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceGetMinorNumber, device, &c);
	*minor = c.gpu->index;
	return NVML_SUCCESS;
}

int nvmlDeviceGetArchitecture(nvml_device device, unsigned *architecture)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceGetArchitecture, device, &c);
	*architecture = c.gpu->architecture;
	return NVML_SUCCESS;
}

int nvmlDeviceGetPersistenceMode(nvml_device device, int *mode)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceGetPersistenceMode, device, &c);
	*mode = 1;
	return NVML_SUCCESS;
}

/* ---- power and energy ------------------------------------------------------------------- */

/* Always by the same difference between the clocks: an update's stamp is taken once. */
static long long wall_us_of(uint64_t mono_ns)
{
	return ((long long) mono_ns + model.wall_offset_ns) / NS_PER_US;
}

static bool tells_energy(const struct call *c)
{
	return c->gpu->counter && c->device->mig < 0;
}

static uint64_t shown_energy_mj(const struct call *c)
{
	uint64_t update_ns = fake_update_ns(c->gpu, c->t_ns);

	if (c->restarted)
		return fake_energy_mj(c->gpu, c->counter_from_ns, update_ns) +
			(uint64_t) c->plus_mj;
	return fake_energy_mj(c->gpu, c->gpu->counter_from_ns, update_ns) +
		c->gpu->counter_plus_mj + (uint64_t) c->plus_mj;
}

static uint64_t shown_power_mw(const struct call *c, uint64_t window_ns)
{
	uint64_t update_ns = fake_update_ns(c->gpu, c->t_ns);

	return fake_power_mw(c->gpu, update_ns, window_ns) + (uint64_t) c->plus_mw;
}

int nvmlDeviceGetTotalEnergyConsumption(nvml_device device, unsigned long long *mj)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceGetTotalEnergyConsumption, device, &c);
	if (!tells_energy(&c) || c.gpu->module_only)
		return NVML_ERROR_NOT_SUPPORTED;
	*mj = shown_energy_mj(&c);
	return NVML_SUCCESS;
}

static unsigned value_type_of(const struct fake_gpu *g, unsigned id)
{
	for (size_t i = 0; i < g->n_value_types; i++)
		if (g->value_types[i].id == id)
			return g->value_types[i].type;
	return id == NVML_FIELD_TOTAL_ENERGY || id == NVML_FIELD_ENERGY_OF_SCOPE
		? NVML_VALUE_ULONGLONG
		: NVML_VALUE_UINT;
}

static void put_value(struct nvml_field_value *v, unsigned type, uint64_t number)
{
	v->value_type = type;
	memset(&v->value, 0, sizeof(v->value));
	switch (type) {
	case NVML_VALUE_DOUBLE:
		v->value.as_double = (double) (int64_t) number;
		break;
	case NVML_VALUE_UINT:
		v->value.as_uint = (unsigned) number;
		break;
	case NVML_VALUE_ULONG:
		v->value.as_ulong = (unsigned long) number;
		break;
	case NVML_VALUE_LONGLONG:
		v->value.as_longlong = (long long) number;
		break;
	case NVML_VALUE_INT:
		v->value.as_int = (int) number;
		break;
	case NVML_VALUE_USHORT:
		v->value.as_ushort = (unsigned short) number;
		break;
	default:
		v->value.as_ulonglong = number;
		break;
	}
}

static bool field_is_known(const struct fake_gpu *g, const struct nvml_field_value *v)
{
	unsigned scope = g->module_only ? NVML_SCOPE_MODULE : NVML_SCOPE_GPU;

	for (size_t i = 0; i < g->n_field_ids; i++)
		if (g->field_ids[i] == v->field_id)
			return v->scope_id == scope;
	return false;
}

/* Returns the value's own error. */
static int field_value(const struct call *c, const struct nvml_field_value *v, uint64_t *ret)
{
	const struct fake_gpu *g = c->gpu;

	if (!field_is_known(g, v) || c->device->mig >= 0)
		return NVML_ERROR_NOT_SUPPORTED;
	switch (v->field_id) {
	case NVML_FIELD_TOTAL_ENERGY:
	case NVML_FIELD_ENERGY_OF_SCOPE:
		*ret = shown_energy_mj(c);
		return tells_energy(c) ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
	case NVML_FIELD_POWER_INSTANT:
		*ret = shown_power_mw(c, g->window_ns);
		return NVML_SUCCESS;
	case NVML_FIELD_POWER_AVERAGE:
		*ret = shown_power_mw(c, g->average_ns);
		return NVML_SUCCESS;
	case NVML_FIELD_POWER_LIMIT_MAX:
	case NVML_FIELD_POWER_LIMIT_DEFAULT:
	case NVML_FIELD_POWER_LIMIT_CURRENT:
	case NVML_FIELD_POWER_LIMIT_REQUESTED:
		*ret = g->limit_mw;
		return NVML_SUCCESS;
	default:
		return NVML_ERROR_NOT_SUPPORTED;
	}
}

static const struct fake_fault *fault_of_field(const struct call *c, unsigned id)
{
	const struct fake_fault *ret = NULL;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < model.n_faults; i++) {
		const struct fake_fault *f = &model.faults[i];

		if ((f->kind == FAKE_FIELD || f->kind == FAKE_UNFILLED) && f->field_id == id &&
			fault_matches(f, FN_nvmlDeviceGetFieldValues, c->device) &&
			fault_is_on(f, fake_mono_ns()))
			ret = f;
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

static long long stamp_of(const struct call *c)
{
	uint64_t shown_ns = fake_update_ns(c->gpu, c->t_ns);

	if (c->gpu->stamps == FAKE_STAMPS_NONE)
		return 0;
	return wall_us_of(c->gpu->stamps == FAKE_STAMPS_UPDATE ? shown_ns : fake_mono_ns()) +
		c->gpu->stamp_plus_ns / NS_PER_US;
}

int nvmlDeviceGetFieldValues(nvml_device device, int n, struct nvml_field_value *values)
{
	struct call c;
	int result = NVML_ERROR_INVALID_ARGUMENT;

	ENTER_DEVICE(nvmlDeviceGetFieldValues, device, &c);
	if (!c.gpu->fields)
		return NVML_ERROR_NOT_SUPPORTED;
	for (int i = 0; i < n; i++) {
		struct nvml_field_value *v = &values[i];
		const struct fake_fault *fault = fault_of_field(&c, v->field_id);
		uint64_t number = 0;

		if (fault && fault->kind == FAKE_UNFILLED) {
			result = NVML_SUCCESS;
			continue;
		}
		v->result = fault ? fault->error : field_value(&c, v, &number);
		v->latency_us = (long long) ((fake_mono_ns() - c.began_ns) / NS_PER_US);
		v->timestamp_us = stamp_of(&c);
		if (v->result == NVML_SUCCESS)
			put_value(v, value_type_of(c.gpu, v->field_id), number);
		/* The call has worked if any of its values has. */
		if (i == 0 || result != NVML_SUCCESS)
			result = v->result;
	}
	return result;
}

int nvmlDeviceGetSamples(nvml_device device, int type, unsigned long long last_seen_us,
	int *value_type, unsigned *n, struct nvml_sample *samples)
{
	struct call c;
	uint64_t update_ns;
	unsigned found = 0;

	ENTER_DEVICE(nvmlDeviceGetSamples, device, &c);
	if (device->mig >= 0 || c.gpu->update_ns == 0 ||
		type != (c.gpu->module_only ? NVML_SAMPLES_MODULE_POWER : NVML_SAMPLES_TOTAL_POWER))
		return NVML_ERROR_NOT_SUPPORTED;
	*value_type = NVML_VALUE_UINT;
	update_ns = fake_update_ns(c.gpu, c.t_ns);
	if (!samples) {
		*n = LIST_SPARE;
		return NVML_SUCCESS;
	}
	/* Oldest first. */
	for (unsigned i = LIST_SPARE; i-- > 0;) {
		uint64_t t_ns = fake_update_ns(c.gpu, update_ns - i * c.gpu->update_ns);
		unsigned long long stamp_us = (unsigned long long) wall_us_of(t_ns);

		if (stamp_us <= last_seen_us || found == *n)
			continue;
		samples[found].timestamp_us = stamp_us;
		samples[found].value.as_ulonglong = 0;
		samples[found++].value.as_uint = (unsigned) fake_power_mw(
			c.gpu, t_ns, c.gpu->window_ns);
	}
	*n = found;
	return found ? NVML_SUCCESS : NVML_ERROR_NOT_FOUND;
}

/* ---- who uses it ------------------------------------------------------------------------ */

int nvmlDeviceGetUtilizationRates(nvml_device device, struct nvml_utilization *rates)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceGetUtilizationRates, device, &c);
	if (c.gpu->n_mig > 0 || !c.gpu->tells_use)
		return NVML_ERROR_NOT_SUPPORTED;
	*rates = (struct nvml_utilization) { .gpu_percent = c.gpu->gpu_percent,
		.memory_percent = c.gpu->memory_percent };
	return NVML_SUCCESS;
}

static unsigned pid_of(const struct fake_process *p)
{
	FILE *f = p->pid_file[0] ? fopen(p->pid_file, "re") : NULL;
	unsigned pid = p->pid;

	if (f) {
		if (fscanf(f, "%u", &pid) != 1)
			pid = p->pid;
		fclose(f);
	}
	return pid;
}

/* Processes are sampled with the other figures; those that did nothing have no sample. */
int nvmlDeviceGetProcessUtilization(nvml_device device, struct nvml_process_sample *samples,
	unsigned *n, unsigned long long last_seen_us)
{
	struct call c;
	unsigned long long stamp_us;
	unsigned found = 0;

	ENTER_DEVICE(nvmlDeviceGetProcessUtilization, device, &c);
	if (c.gpu->n_mig > 0 || !c.gpu->tells_use)
		return NVML_ERROR_NOT_SUPPORTED;
	if (!samples) {
		*n = LIST_SPARE;
		return NVML_ERROR_INSUFFICIENT_SIZE;
	}
	stamp_us = (unsigned long long) wall_us_of(fake_update_ns(c.gpu, c.t_ns));
	for (size_t i = 0; i < c.gpu->n_processes; i++) {
		const struct fake_process *p = &c.gpu->processes[i];

		if (stamp_us <= last_seen_us || p->sm_percent + p->memory_percent == 0)
			continue;
		if (found == *n)
			return NVML_ERROR_INSUFFICIENT_SIZE;
		samples[found++] = (struct nvml_process_sample) { .pid = pid_of(p),
			.timestamp_us = stamp_us,
			.sm_percent = p->sm_percent,
			.memory_percent = p->memory_percent };
	}
	*n = found;
	return found ? NVML_SUCCESS : NVML_ERROR_NOT_FOUND;
}

int nvmlDeviceGetProcessesUtilizationInfo(
	nvml_device device, struct nvml_processes_utilization *list)
{
	struct call c;
	unsigned long long stamp_us;
	unsigned found = 0;

	ENTER_DEVICE(nvmlDeviceGetProcessesUtilizationInfo, device, &c);
	if (list->version != NVML_PROCESSES_UTILIZATION_V1)
		return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
	if (c.gpu->n_mig > 0 || !c.gpu->tells_use)
		return NVML_ERROR_NOT_SUPPORTED;
	if (!list->list || list->n < c.gpu->n_processes) {
		list->n = (unsigned) c.gpu->n_processes;
		return NVML_ERROR_INSUFFICIENT_SIZE;
	}
	stamp_us = (unsigned long long) wall_us_of(fake_update_ns(c.gpu, c.t_ns));
	for (size_t i = 0; i < c.gpu->n_processes && stamp_us > list->last_seen_us; i++) {
		const struct fake_process *p = &c.gpu->processes[i];

		list->list[found++] = (struct nvml_process_utilization) { .timestamp_us = stamp_us,
			.pid = p->pid,
			.sm_percent = p->sm_percent,
			.memory_percent = p->memory_percent };
	}
	list->n = found;
	return found ? NVML_SUCCESS : NVML_ERROR_NOT_FOUND;
}

static int list_processes(const struct call *c, enum fake_process_type type, unsigned *n,
	struct nvml_process_info *list)
{
	size_t stride = c->gpu->process_stride;
	unsigned room = *n, found = 0;

	for (size_t i = 0; i < c->gpu->n_processes; i++) {
		const struct fake_process *p = &c->gpu->processes[i];
		/* 8 bytes more than the longest that is known. */
		unsigned char entry[40] = { 0 };
		struct nvml_process_info info = { .pid = p->pid,
			.used_memory = (unsigned long long) p->mib << 20,
			.gpu_instance_id = c->gpu->n_mig ? 0 : NVML_NO_INSTANCE,
			.compute_instance_id = c->gpu->n_mig ? 0 : NVML_NO_INSTANCE };

		if (p->type != type)
			continue;
		memcpy(entry, &info, sizeof(info));
		if (list && found < room && stride <= sizeof(entry))
			memcpy((unsigned char *) list + found * stride, entry, stride);
		found++;
	}
	*n = found;
	return found > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(
	nvml_device device, unsigned *n, struct nvml_process_info *list)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceGetComputeRunningProcesses_v3, device, &c);
	return list_processes(&c, FAKE_COMPUTE, n, list);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(
	nvml_device device, unsigned *n, struct nvml_process_info *list)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceGetGraphicsRunningProcesses_v3, device, &c);
	return list_processes(&c, FAKE_GRAPHICS, n, list);
}

int nvmlDeviceGetMPSComputeRunningProcesses_v3(
	nvml_device device, unsigned *n, struct nvml_process_info *list)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceGetMPSComputeRunningProcesses_v3, device, &c);
	return list_processes(&c, FAKE_MPS, n, list);
}

/* ---- parts of a GPU --------------------------------------------------------------------- */

int nvmlDeviceGetMigMode(nvml_device device, unsigned *current, unsigned *pending)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceGetMigMode, device, &c);
	/* Only some data centre GPUs know the mode at all. */
	if (c.gpu->architecture < 7)
		return NVML_ERROR_NOT_SUPPORTED;
	*current = *pending = c.gpu->n_mig > 0;
	return NVML_SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(nvml_device device, unsigned *n)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceGetMaxMigDeviceCount, device, &c);
	*n = c.gpu->architecture < 7 ? 0 : FAKE_MAX_MIG;
	return NVML_SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(nvml_device device, unsigned index, nvml_device *mig)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceGetMigDeviceHandleByIndex, device, &c);
	if (device->mig >= 0)
		return NVML_ERROR_INVALID_ARGUMENT;
	if (index >= c.gpu->n_mig)
		return NVML_ERROR_NOT_FOUND;
	*mig = &migs[device->gpu][index];
	return NVML_SUCCESS;
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvml_device mig, nvml_device *device)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceGetDeviceHandleFromMigDeviceHandle, mig, &c);
	if (mig->mig < 0)
		return NVML_ERROR_INVALID_ARGUMENT;
	*device = &devices[mig->gpu];
	return NVML_SUCCESS;
}

int nvmlDeviceIsMigDeviceHandle(nvml_device device, unsigned *is_mig)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceIsMigDeviceHandle, device, &c);
	*is_mig = device->mig >= 0;
	return NVML_SUCCESS;
}

static int instance_id(const struct call *c, unsigned *id)
{
	if (c->device->mig < 0)
		return NVML_ERROR_INVALID_ARGUMENT;
	*id = (unsigned) c->device->mig;
	return NVML_SUCCESS;
}

int nvmlDeviceGetGpuInstanceId(nvml_device mig, unsigned *id)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceGetGpuInstanceId, mig, &c);
	return instance_id(&c, id);
}

int nvmlDeviceGetComputeInstanceId(nvml_device mig, unsigned *id)
{
	struct call c;

	ENTER_DEVICE(nvmlDeviceGetComputeInstanceId, mig, &c);
	return instance_id(&c, id);
}

#endif
