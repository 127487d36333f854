// SPDX-License-Identifier: MIT
/*
 * What `top` shows, without a terminal: all processes and all domains, as they were between two
 * refreshes. The books (books/account.h) share each domain's energy out, as everywhere else; of processes
 * that lived too short to be seen the sum is known (TOP_ENDED_SLOT).
 */
#ifndef PM_CLI_TOP_TOP_MODEL_H
#define PM_CLI_TOP_TOP_MODEL_H

#include "cli/top/top_processes.h"
#include "books/account.h"
#include "meter/rig.h"
#include "books/snapshot.h"

/* So many refreshes are kept for the curves. */
#define TOP_HISTORY 240

#define TOP_UNKNOWN UINT64_MAX

/* A counter must be read this often, or it may wrap unseen: longer refreshes are made of several
 * samples. */
#define TOP_SAMPLE_NS (5 * NS_PER_S)

/* Power, a value a refresh; TOP_UNKNOWN where there is none. */
struct top_history {
	uint64_t uw[TOP_HISTORY];
	size_t n;    /* how many there are */
	size_t next; /* where the next goes */
};

/* Who got a domain's energy: these add up to `whole_uj` exactly. */
struct top_parts {
	uint64_t whole_uj;
	uint64_t processes_uj; /* of those that still run; the tool is none of them */
	uint64_t ended_uj;     /* of those that are gone */
	uint64_t tool_uj;
	uint64_t idle_uj;
	uint64_t other_uj;
	bool has_rest;  /* too short to tell idle and other apart: both are in `other` */
	uint64_t ns;    /* the time that this is of */
	unsigned flags; /* FLAG_* */
};

struct top_domain {
	const struct domain *domain;
	bool known;     /* its power is known */
	bool shared;    /* ... and who used it: `parts` holds */
	bool outermost; /* it is part of the machine's sum */
	bool fresh;     /* it was read in this refresh: else the figures are the last ones */
	unsigned flags; /* FLAG_* */
	uint64_t power_uw;
	uint64_t total_uj;      /* since the beginning, or since joules were set back */
	uint64_t known_at_ns;   /* when it was known last */
	struct top_parts parts; /* of the last refresh in which it was read */
	char why[160];          /* where it is not known: why */
	struct top_history history;
	struct domain_users users; /* where its sensor tells them */

	/* The model's own: the refresh that goes on. */
	struct top_parts going;
	uint64_t *going_uj; /* by slot */
	uint64_t *slot_uw;  /* by slot, of the last refresh in which it was read */
	size_t column;      /* of usages' used_ppm */
	struct account_mark *mark;
};

struct top_model {
	struct host *host;
	struct rig *rig;
	uint64_t begun_ns;
	uint64_t t_ns;       /* of the last refresh */
	uint64_t elapsed_ns; /* between it and the one before; 0: there was none */
	uint64_t refreshes;  /* 0: only the beginning was read */
	uint32_t n_cpu;
	uint64_t capacity_ns; /* CPU time that the machine could have given in the refresh ... */
	uint64_t idle_ns;     /* ... and did not */

	bool machine_known;
	bool machine_estimated; /* some of it is */
	bool machine_simulated;
	uint64_t machine_uw; /* of the outermost domains */
	struct top_history machine;

	/* Of the domains whose energy processes can get: CPUs, memory, GPUs. */
	bool shares_known;
	struct {
		uint64_t whole_uw, processes_uw, ended_uw, tool_uw, idle_uw, other_uw;
	} shares;

	struct top_domain *domains;
	size_t n_domains;
	struct top_processes processes;
	uint64_t *slot_uw; /* by slot: all domains together */
	pid_t tool_pid;    /* this program ... */
	uint32_t tool;     /* ... and its slot; UINT32_MAX: not found */
	uint64_t tool_cpu_ns;
	uint64_t ended_uj; /* what those got that have ended */
	int scan_error;

	/* The model's own. */
	struct series series;
	struct account *account;
	struct snapshot *snapshot;
	uint32_t cap_slots; /* of all arrays by slot */
	uint64_t last_capacity_ns;
	uint64_t last_idle_ns;
};

struct top_model_options {
	pid_t tool;                                /* this program */
	const char *proc;                          /* NULL: /proc */
	int (*clock)(pid_t pid, uint64_t *ret_ns); /* NULL: the process's clock */
};

/* Begins: reads everything once. host and rig must live as long. Returns 0 or -errno. */
int top_model_create(struct top_model **ret, struct host *host, struct rig *rig,
	const struct top_model_options *options);
void top_model_destroy(struct top_model *m);

/* Reads everything, without an end of the refresh. */
void top_model_sample(struct top_model *m);

/* Whether all that is read has told something: a sensor with a thread of its own may need a moment. */
bool top_model_is_ready(const struct top_model *m);

/* Whether processes get any of what this domain used. */
bool top_model_is_shared_kind(const struct domain *d);

#endif
