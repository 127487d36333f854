/* SPDX-License-Identifier: MIT */
/*
 * libpowermeasure: the energy of the machine, and of processes, over stretches of a program.
 *
 *     struct pm *pm;
 *     struct pm_result *result;
 *     struct pm_usage used = PM_USAGE_INIT;
 *
 *     if (pm_open(&pm, NULL) < 0)
 *             errx(1, "%s", pm_error());
 *     pm_begin_window(pm, "work");
 *     work();
 *     if (pm_end_window(pm, "work", &result) == 0) {
 *             pm_result_usage(result, PM_MACHINE, &used);
 *             if (used.cpu.known)
 *                     printf("%.3f J\n", used.cpu.energy_uj / 1e6);
 *             pm_result_free(result);
 *     }
 *     pm_close(pm);
 *
 * Every function that can fail returns 0 or a negative errno value, and pm_error() then tells the
 * reason in words. What a function hands out is written on success only.
 *
 * The library prints nothing, ends nothing, handles no signal, and makes no thread unless
 * pm_start_polling() is called. Its descriptors are closed on exec.
 *
 * Threads: any thread may use a handle, also at the same time as others, and end a window that
 * another one began; calls wait for each other. Nobody may use it during or after pm_close(). Not
 * to be called from signal handlers.
 *
 * Forks: a handle belongs to the process that opened it. In a child of that process every call
 * refuses it with -EPERM; a child opens its own.
 *
 * Units stand in the names: _uj microjoules, _uw microwatts, _ns nanoseconds.
 */
#ifndef POWERMEASURE_H
#define POWERMEASURE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PM_API __attribute__((visibility("default")))

/* The opened sensors of this machine, and the windows. */
struct pm;

/* What was used between two readings. */
struct pm_result;

enum pm_kind {
	PM_CPU = 0,
	PM_DRAM = 1,
	PM_GPU = 2,
	PM_PLATFORM = 3, /* the whole machine or board */
};

/* Why a figure is to be believed, or what is wrong with it. */
enum pm_flag {
	PM_MEASURED = 1 << 0,   /* a hardware counter said so */
	PM_INTEGRATED = 1 << 1, /* added up from power samples */
	PM_ESTIMATED = 1 << 2,  /* a model said so: no measurement */
	PM_GAP = 1 << 3,        /* readings failed meanwhile */
	PM_RESET = 1 << 4, /* a counter restarted, or may have wrapped unseen: energy is missing */
	PM_TAIL = 1 << 6,  /* a process was gone before its last CPU time could be read */
	PM_DISPUTED = 1 << 7, /* the hardware tells it in two ways that disagree by more than 5 % */
	PM_PARTIAL = 1 << 16, /* a sum that lacks a domain that could not be read */
};

/* ---- opening ------------------------------------------------------------------------------ */

/* All zero but the size is the default: PM_OPTIONS_INIT. Later versions may add members at the
 * end; size tells which there are. The texts are borrowed during pm_open() only. */
struct pm_options {
	size_t size;      /* sizeof(struct pm_options) */
	const char *root; /* directory in which the machine's /sys and /proc lie; NULL: "/" */

	/* Names with commas, as `powermeasure list` shows them; without "estimate" among them
	 * nothing is estimated. "sim" or "sim:FILE" simulates. NULL: all that the machine has, and
	 * the estimate where no sensor tells the CPUs' energy. */
	const char *sensors;

	const char *gpus; /* UUIDs or indexes with commas; NULL: all */

	/* Watts of one CPU for the estimate, idle and fully busy; 0: from a table of processors. */
	uint64_t estimate_idle_mw;
	uint64_t estimate_full_mw;

	uint32_t kinds; /* 1 << enum pm_kind of what is to be read; 0: all */
	uint32_t reserved;
};
#define PM_OPTIONS_INIT                           \
	{                                         \
		.size = sizeof(struct pm_options) \
	}

/* Opens the sensors and takes a first reading. options may be NULL. Also succeeds where nothing
 * can be measured: see pm_sensor(). Free the handle with pm_close().
 *
 * -EINVAL   an option makes no sense (a sensor that does not exist, idle above full)
 * -E2BIG    the caller was built for a later version and uses an option this one does not know
 * -ENOENT, -ENOTDIR  the root is no directory
 * -ENOSYS   /proc is not mounted
 * -ENOMEM */
PM_API int pm_open(struct pm **ret, const struct pm_options *options);

/* Frees everything, windows that were never ended too, and ends the threads of
 * pm_start_polling(). A thread that hangs in a driver is left behind after half a second. Results
 * live on. Takes NULL. In a child of the process that opened it, it does nothing. */
PM_API void pm_close(struct pm *pm);

/* Lets sensors that answer slowly, or tell power instead of energy (GPUs, most boards), be read by
 * threads of the library: without them they are not opened. One more thread reads everything once
 * in a while, so that no counter wraps unseen in a window however long.
 * The machine's figures of pm_read() begin anew. A second call does nothing. What pm_sensor() and
 * pm_domain() told before is not valid any more. Takes as long as the drivers need.
 *
 * -EBUSY    a window is open, or a process was added: call it right after pm_open()
 * -EPERM    after a fork
 * -ENOMEM, -EAGAIN (no thread can be made) */
PM_API int pm_start_polling(struct pm *pm);

/* The longest time in nanoseconds that may lie between two readings (any beginning or end of a
 * window, pm_read()) without a counter wrapping unseen; 0: there is no such limit. Over a longer
 * time figures are marked PM_RESET. With pm_start_polling() nobody needs to care. -EPERM makes it
 * 0, too. */
PM_API uint64_t pm_longest_gap_ns(struct pm *pm);

/* ---- what there is ------------------------------------------------------------------------ */

/* A way to read energy. The texts are valid until pm_close() or pm_start_polling(). */
struct pm_sensor {
	size_t size; /* set by the caller: sizeof(struct pm_sensor) */
	const char *name;
	int usable;         /* whether it could be used */
	int used;           /* whether it is */
	int needs_polling;  /* usable only after pm_start_polling() */
	int error;          /* a negative errno value where it is not usable; else 0 */
	const char *reason; /* why it is not usable or not used; else NULL */
	const char *fix; /* the exact command, or call, that would change that; NULL: none does */
};
#define PM_SENSOR_INIT                           \
	{                                        \
		.size = sizeof(struct pm_sensor) \
	}

/* How many sensors there are, usable or not. 0 after a fork. */
PM_API size_t pm_sensor_count(struct pm *pm);

/* Tells sensor number i. -EINVAL: there is no such number, or size is wrong. -EPERM */
PM_API int pm_sensor(struct pm *pm, size_t i, struct pm_sensor *ret);

/* One thing that is metered. The texts are valid until pm_close() or pm_start_polling(). */
struct pm_domain {
	size_t size;      /* set by the caller: sizeof(struct pm_domain) */
	const char *name; /* "package-0" */
	const char *sensor;
	const char *scope;  /* what it covers, for people */
	const char *id;     /* what the hardware calls itself, like a GPU's UUID; NULL: nothing */
	const char *model;  /* the model behind an estimate; else NULL */
	int kind;           /* enum pm_kind */
	int parent;         /* the number of the domain that contains this one; -1: none */
	int counted;        /* 0 where another domain of its kind contains it */
	unsigned quality;   /* PM_MEASURED, PM_INTEGRATED or PM_ESTIMATED */
	uint64_t update_ns; /* how often the hardware updates the value; 0: not known */
};
#define PM_DOMAIN_INIT                           \
	{                                        \
		.size = sizeof(struct pm_domain) \
	}

/* How many domains there are. 0 after a fork. */
PM_API size_t pm_domain_count(struct pm *pm);

/* Tells domain number i. -EINVAL: there is no such number, or size is wrong. -EPERM */
PM_API int pm_domain(struct pm *pm, size_t i, struct pm_domain *ret);

/* "cpu", "dram", "gpu", "platform"; NULL for another number. */
PM_API const char *pm_kind_name(int kind);

/* ---- who ---------------------------------------------------------------------------------- */

/* Whose energy a result is asked for: one of these, or what pm_add_process() gave. */
#define PM_MACHINE 0 /* all of it */
#define PM_SELF 1    /* the process that opened the handle, all its threads */

#define PM_MAX_PROCESSES 256

/* Has the energy of another process told, too: its part of the CPUs' and memory's, by the CPU time
 * that it uses. From its first reading, taken now, on: windows that are open already do not have
 * it. A process that is known already keeps its number.
 *
 * -ESRCH    there is no such process, or only a zombie is left of it
 * -EINVAL   pid is no pid
 * -E2BIG    there are PM_MAX_PROCESSES already
 * -EPERM, -ENOMEM */
PM_API int pm_add_process(struct pm *pm, pid_t pid, int *ret_who);

/* Forgets a process. -ENOENT: there is none of that number; -EINVAL: it is PM_MACHINE or PM_SELF;
 * -EBUSY: an open window has it; -EPERM */
PM_API int pm_remove_process(struct pm *pm, int who);

/* ---- windows ------------------------------------------------------------------------------ */

#define PM_MAX_WINDOWS 4096

/* Begins a window with a reading. Windows may lie within each other and overlap.
 *
 * -EEXIST   a window of that name is open
 * -EINVAL   the name is NULL or empty
 * -E2BIG    PM_MAX_WINDOWS are open
 * -EPERM, -ENOMEM */
PM_API int pm_begin_window(struct pm *pm, const char *key);

/* Ends a window with a reading. Free the result with pm_result_free().
 *
 * -ENOENT   no window of that name is open: it was never begun, or has been ended
 * -EINVAL   the name is NULL or empty
 * -EPERM
 * -ENOMEM   the window is still open */
PM_API int pm_end_window(struct pm *pm, const char *key, struct pm_result **ret);

/* Forgets a window, without a reading. -ENOENT, -EINVAL, -EPERM as above. */
PM_API int pm_cancel_window(struct pm *pm, const char *key);

/* Takes a reading: what was used since pm_open(), or since the process was added. Free the result
 * with pm_result_free(). -EPERM, -ENOMEM */
PM_API int pm_read(struct pm *pm, struct pm_result **ret);

/* ---- results ------------------------------------------------------------------------------ */

/* Energy between two readings, with the range in which it lies. What is not known is 0 and has
 * known 0; a known 0 is a measured 0. */
struct pm_energy {
	uint32_t known;
	uint32_t flags; /* enum pm_flag */
	uint64_t energy_uj;
	uint64_t low_uj;
	uint64_t high_uj;
	uint64_t power_uw;    /* mean over interval_ns */
	uint64_t interval_ns; /* the time that the energy was used in, by the sensor's own times */
	uint64_t reserved[2];
};

/* What the machine or a process used. */
struct pm_usage {
	size_t size;         /* set by the caller: sizeof(struct pm_usage) */
	uint64_t elapsed_ns; /* between the two readings */

	/* CPU time. A process's: its own clock. The machine's: of all CPUs, in steps of 10 ms. */
	uint64_t cpu_ns;

	/* The sums of the kinds' counted domains. A process's cpu and dram go by its CPU time, its
	 * gpu by who used it, where the driver reports that, over 2 s at least; how much of the
	 * platform was its is not known. */
	struct pm_energy cpu;
	struct pm_energy dram;
	struct pm_energy gpu;
	struct pm_energy platform;

	/* All kinds: the sum of the domains that no other one contains. PM_PARTIAL where some of
	 * it is not known, like a process's part of a GPU. */
	struct pm_energy total;

	uint32_t ended; /* the process has ended */
	uint32_t reserved;
};
#define PM_USAGE_INIT                           \
	{                                       \
		.size = sizeof(struct pm_usage) \
	}

/* Tells what somebody used: PM_MACHINE, PM_SELF or a number of pm_add_process().
 * -ENOENT   the result does not have it: the process was added after the beginning
 * -EINVAL   size is wrong */
PM_API int pm_result_usage(const struct pm_result *result, int who, struct pm_usage *ret);

/* The same for one domain, by its number (see pm_domain()). -ENOENT as above; -EINVAL: there is no
 * such domain. */
PM_API int pm_result_domain(
	const struct pm_result *result, int who, size_t domain, struct pm_energy *ret);

/* Takes NULL. */
PM_API void pm_result_free(struct pm_result *result);

/* ---- reasons ------------------------------------------------------------------------------ */

/* In words, why the last call of this thread that failed did so and what to do; "" if none did.
 * Valid until this thread's next call that fails. */
PM_API const char *pm_error(void);

/* What an error of this library means in general. Never NULL; static. */
PM_API const char *pm_strerror(int error);

/* The version of the library that is loaded: "0.1.0". */
PM_API const char *pm_version(void);

#ifdef __cplusplus
}
#endif

#endif
