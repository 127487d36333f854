// SPDX-License-Identifier: MIT
/*
 * What the fake driver library pretends: GPUs with a known power curve, how their driver shows it,
 * and what goes wrong. The environment variable FAKE_NVML holds it as JSON, or names a file:
 *
 *   { "gpus": [ {
 *       "name": "...", "uuid": "GPU-...", "bus_id": "00000000:01:00.0",
 *       "curve": [[1.0, 60], [0.5, 300]],  seconds and watts, repeated for ever from
 *                                          CLOCK_MONOTONIC 0, as the program's own "sim" does
 *       "update_ms": 100, "phase_ms": 0,   the driver updates what it shows at phase + n * update
 *       "jitter_ms": 0,                    ... and up to this much later, each time anew
 *       "window_ms": 0,                    power is the mean of so long before the update;
 *                                          0: as it is at the update
 *       "average_ms": 1000,                the same of field 185
 *       "counter": true,                   whether there is an energy counter
 *       "counter_from_s": 0,               it stood at 0 at this time of CLOCK_MONOTONIC ...
 *       "counter_plus_mj": 0,              ... or rather at this
 *       "power": true,                     whether nvmlDeviceGetPowerUsage answers
 *       "fields": [83, 185, 186, 191],     the field ids that are answered; false: the call
 *                                          itself is not supported
 *       "stamps": "update",                a field value's time: "update" (when the value was
 *                                          updated), "call" (now), "none" (0)
 *       "stamp_plus_ms": 0,                ... and this much off
 *       "value_types": {"83": 3},          how a field's value is told (0 double ... 6 ushort)
 *       "unterminated": false,             names fill their buffers to the last byte
 *       "limit_w": 700, "architecture": 9,
 *       "module_only": false,              fields answer for scope 1 alone, and there is no
 *                                          counter but theirs
 *       "mig": 0,                          MIG on with so many instances
 *       "utilization": [50, 20],           GPU and memory, percent; missing: neither that nor the
 *                                          processes' is told
 *       "process_stride": 24,              bytes of an entry in the lists of processes
 *                                          of these, "pid_file" names a file with the pid
 *       "processes": [ { "pid": 1, "type": "compute", "mib": 100, "sm": 30, "mem": 10 } ] } ],
 *     "driver": "550.54.15",
 *     "error_string": true,                false: nvmlErrorString returns NULL
 *     "counts": "FILE",                    where calls are counted, see below
 *     "faults": [ {
 *       "call": "nvmlDeviceGet*",          a function, or how its name begins; missing: all but
 *                                          nvmlErrorString
 *       "gpu": 0,                          missing: all
 *       "at": 2.0, "for": 0.5,             seconds since nvmlInit; missing: for ever, from before it
 *       "every": 1,                        only each so manieth call (of those that match)
 *       "what": "error",  "error": 15      the call fails
 *               "field", "id": 83, "error": 3   a field's value fails, its call does not
 *               "unfilled", "id": 83       ... or is left as the caller made it
 *               "slow", "ms": 30           the call takes so much longer; the value is the one
 *                                          at its end, with "early": true the one at its begin
 *               "hang"                     it does not return until the fault is over
 *               "stuck"                    values stand still
 *               "restart", "mono_s": 0     the counter begins anew at that time
 *               "jump", "mj": 0, "mw": 0   added to what is shown
 *               "reload", "error": 1       the driver is loaded anew: what was opened before it
 *                                          fails until it is opened again; the counter begins anew
 *             } ] }
 *
 * Where FAKE_NVML names a file, "faults" are read again when the file is replaced: a test can make
 * things go wrong and right again whenever it likes. The rest is read by nvmlInit.
 *
 * The file of counts has an entry of 64 bytes for each function: its name, filled up with NULs to
 * 56 bytes, and how often it was called, 8 bytes in the machine's order.
 */
#ifndef FAKE_MODEL_H
#define FAKE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_MAX_GPUS 128
#define FAKE_MAX_SEGMENTS 32
#define FAKE_MAX_FIELDS 16
#define FAKE_MAX_FAULTS 32
#define FAKE_MAX_PROCESSES 64
#define FAKE_MAX_MIG 7

enum fake_stamps { FAKE_STAMPS_UPDATE, FAKE_STAMPS_CALL, FAKE_STAMPS_NONE };

enum fake_process_type { FAKE_COMPUTE, FAKE_GRAPHICS, FAKE_MPS };

struct fake_process {
	unsigned pid;
	char pid_file[256];
	enum fake_process_type type;
	unsigned mib;
	unsigned sm_percent;
	unsigned memory_percent;
};

struct fake_gpu {
	unsigned index;
	char name[256];
	char uuid[256];
	char bus_id[32];
	struct {
		uint64_t ns;
		uint64_t mw;
	} segments[FAKE_MAX_SEGMENTS];
	size_t n_segments;
	uint64_t period_ns;
	uint64_t update_ns; /* 0: the values are always the present ones */
	uint64_t phase_ns;
	uint64_t jitter_ns;
	uint64_t window_ns;
	uint64_t average_ns;
	bool counter;
	uint64_t counter_from_ns;
	uint64_t counter_plus_mj;
	bool power;
	bool fields;
	unsigned field_ids[FAKE_MAX_FIELDS];
	size_t n_field_ids;
	struct {
		unsigned id;
		unsigned type;
	} value_types[FAKE_MAX_FIELDS];
	size_t n_value_types;
	enum fake_stamps stamps;
	int64_t stamp_plus_ns;
	bool unterminated;
	unsigned limit_mw;
	unsigned architecture;
	bool module_only;
	unsigned n_mig;
	bool tells_use;
	unsigned gpu_percent;
	unsigned memory_percent;
	size_t process_stride;
	struct fake_process processes[FAKE_MAX_PROCESSES];
	size_t n_processes;
};

enum fake_fault_kind {
	FAKE_ERROR,
	FAKE_FIELD,
	FAKE_UNFILLED,
	FAKE_SLOW,
	FAKE_HANG,
	FAKE_STUCK,
	FAKE_RESTART,
	FAKE_JUMP,
	FAKE_RELOAD,
};

struct fake_fault {
	enum fake_fault_kind kind;
	char call[64]; /* a name or its beginning; "": all */
	bool is_prefix;
	int gpu;          /* -1: all */
	uint64_t from_ns; /* since nvmlInit */
	uint64_t for_ns;
	unsigned every;
	unsigned n_matched; /* calls so far, for `every` */
	int error;
	unsigned field_id;
	uint64_t slow_ns;
	bool early;
	uint64_t mono_ns;
	int64_t plus_mj;
	int64_t plus_mw;
	uint64_t loaded_ns; /* when it was read: a stuck value is of that time or of from_ns */
};

struct fake_model {
	struct fake_gpu gpus[FAKE_MAX_GPUS];
	size_t n_gpus;
	char driver[80];
	bool error_string;
	char counts[512];
	int64_t wall_offset_ns; /* CLOCK_REALTIME less CLOCK_MONOTONIC */
	struct fake_fault faults[FAKE_MAX_FAULTS];
	size_t n_faults;
};

/* Reads what FAKE_NVML says. A mistake in it is told on stderr and ends the process: a test must
 * not go on with something that it did not ask for. */
void fake_model_load(struct fake_model *m);

/* Reads the faults again if the file was replaced since. */
void fake_model_reload(struct fake_model *m);

/* What a GPU shows at a time, to be used with the time of an update. */
uint64_t fake_energy_mj(const struct fake_gpu *g, uint64_t from_ns, uint64_t to_ns);
uint64_t fake_power_mw(const struct fake_gpu *g, uint64_t t_ns, uint64_t window_ns);

/* The last update that is not after t_ns. */
uint64_t fake_update_ns(const struct fake_gpu *g, uint64_t t_ns);

uint64_t fake_mono_ns(void);

/* Adds one to a function's count. index: a number that the caller gives it, below n. */
void fake_count(const struct fake_model *m, size_t index, const char *name, size_t n);

#endif
