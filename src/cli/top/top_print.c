// SPDX-License-Identifier: MIT
#include "cli/top/top_print.h"

#include <string.h>

#include "cli/top/top_refresh.h"
#include "util/format.h"
#include "util/printable.h"
#include "util/u128.h"

const char *top_quality(const struct top_domain *d)
{
	if (d->domain->quality & FLAG_ESTIMATED)
		return "ESTIMATED";
	if (rig_is_simulated(d->domain->sensor))
		return "SIMULATED";
	if (d->flags & FLAG_DISPUTED)
		return "DISPUTED";
	return d->domain->quality & FLAG_INTEGRATED ? "integrated" : "measured";
}

const char *top_machine_quality(const struct top_model *m)
{
	return m->machine_simulated ? "SIMULATED" : m->machine_estimated ? "ESTIMATED" : "";
}

const char *top_figure(bool known, uint64_t micro, char *ret, size_t n)
{
	if (known)
		format_micro(micro, ret, n);
	else
		snprintf(ret, n, "n/a");
	return ret;
}

bool top_busy_ppm(const struct top_model *m, uint64_t *ret)
{
	if (m->capacity_ns == 0 || !rig_host(m->rig)->usage.idle_known)
		return false;
	*ret = muldiv_u64(m->capacity_ns - m->idle_ns, 1000000, m->capacity_ns);
	return true;
}

uint64_t top_tool_ppm(const struct top_model *m)
{
	return m->elapsed_ns ? muldiv_u64(m->tool_cpu_ns, 1000000, m->elapsed_ns) : 0;
}

const char *top_domain_name(const struct top_domain *d)
{
	return d->domain->kind == KIND_GPU && d->domain->id[0] ? d->domain->id : d->domain->name;
}

bool top_warning(const struct top_model *m, char *ret, size_t n)
{
	if (m->scan_error < 0)
		snprintf(ret, n, "the processes could not be read to the end: %s",
			strerror(-m->scan_error));
	else if (m->processes.too_many)
		snprintf(ret, n, "more than %d processes: the rest is in other", TOP_MAX_PROCESSES);
	else if (m->processes.hidden)
		snprintf(ret, n,
			"/proc hides others' processes (hidepid): what they use is in other");
	else if (m->tool == UINT32_MAX)
		snprintf(ret, n, "this program is not in /proc: what it uses is in other");
	else
		return host_scope_note(rig_host(m->rig), ret, n);
	return true;
}

static void print_head(const struct top_model *m, FILE *out)
{
	char machine[32], tool[32], warning[256], busy[32] = "";
	uint64_t busy_ppm;

	if (top_busy_ppm(m, &busy_ppm))
		snprintf(busy, sizeof(busy), ", %.1f %% busy", (double) busy_ppm / 1e4);
	top_figure(m->machine_known, m->machine_uw, machine, sizeof(machine));
	top_figure(m->shares_known, m->shares.tool_uw, tool, sizeof(tool));
	fprintf(out, "machine %s W%s%s over %.3f s; %u CPUs%s; %u processes\n", machine,
		*top_machine_quality(m) ? " " : "", top_machine_quality(m),
		(double) m->elapsed_ns / 1e9, (unsigned) m->n_cpu, busy,
		(unsigned) m->processes.n_live);
	fprintf(out, "this tool: %.2f %% of a CPU, %s W\n", (double) top_tool_ppm(m) / 1e4, tool);
	if (top_warning(m, warning, sizeof(warning)))
		fprintf(out, "warning: %s\n", warning);
	fputc('\n', out);
}

static void print_domains(const struct top_model *m, FILE *out)
{
	char watts[32], why[600];

	fprintf(out, "%-16s%-24s%-10s%12s\n", "SENSOR", "DOMAIN", "KIND", "W");
	for (size_t i = 0; i < m->n_domains; i++) {
		const struct top_domain *d = &m->domains[i];

		fprintf(out, "%-16s%-24s%-10s%12s  %s%s\n", d->domain->sensor, d->domain->name,
			kind_title(d->domain->kind),
			top_figure(d->known, d->power_uw, watts, sizeof(watts)),
			d->known ? top_quality(d) : d->why,
			d->domain->counted ? "" : ", part of another");
	}
	for (int k = 0; k < KIND_COUNT; k++)
		if (top_model_why(m, (enum kind) k, why, sizeof(why)))
			fprintf(out, "%-16s%-24s%-10s%12s  %s\n", "-", "-",
				kind_title((enum kind) k), "n/a", why);
}

static void print_users(const struct top_model *m, FILE *out)
{
	for (size_t i = 0; i < m->n_domains; i++) {
		const struct top_domain *d = &m->domains[i];

		if (d->domain->kind != KIND_GPU || !d->known)
			continue;
		fprintf(out, "%s is used by:", top_domain_name(d));
		if (!d->domain->tells_users)
			fprintf(out, " n/a, its sensor does not tell");
		for (size_t u = 0; u < d->users.n; u++) {
			uint32_t slot = top_processes_find(&m->processes, d->users.list[u].pid);
			char name[128] = "?";

			if (slot != UINT32_MAX)
				printable_copy(m->processes.list[slot].name, name, sizeof(name));
			fprintf(out, "%s %s (%d) %.0f %%", u ? "," : "", name,
				(int) d->users.list[u].pid, (double) d->users.list[u].ppm / 1e4);
		}
		fputc('\n', out);
	}
}

static void print_shares(const struct top_model *m, FILE *out)
{
	char whole[32], processes[32], ended[32], tool[32], idle[32], other[32];

	if (!m->shares_known)
		return;
	fprintf(out,
		"\nW of CPUs, memory and GPUs: processes %s + ended %s + tool %s + idle %s + other %s = "
		"%s\n",
		top_figure(true, m->shares.processes_uw, processes, sizeof(processes)),
		top_figure(true, m->shares.ended_uw, ended, sizeof(ended)),
		top_figure(true, m->shares.tool_uw, tool, sizeof(tool)),
		top_figure(true, m->shares.idle_uw, idle, sizeof(idle)),
		top_figure(true, m->shares.other_uw, other, sizeof(other)),
		top_figure(true, m->shares.whole_uw, whole, sizeof(whole)));
}

void top_report_text(const struct top_model *m, const struct top_rows *rows, size_t n, FILE *out)
{
	print_head(m, out);
	print_domains(m, out);
	print_users(m, out);
	print_shares(m, out);
	fprintf(out, "\n%9s %-16s%9s%12s%12s  %s\n", "PID", "USER", "CPU%", "W", "J", "NAME");
	for (size_t i = 0; i < rows->n && i < n; i++) {
		uint32_t slot = rows->slots[i];
		const struct top_process *p = &m->processes.list[slot];
		char watts[32], joules[32], name[128];

		printable_copy(p->name, name, sizeof(name));
		fprintf(out, "%9d %-16.16s%9.1f%12s%12s  %s\n", (int) p->pid, top_user(p->uid),
			(double) p->busy_ppm / 1e4,
			top_figure(m->shares_known, m->slot_uw[slot], watts, sizeof(watts)),
			top_figure(m->shares_known, p->total_uj, joules, sizeof(joules)), name);
	}
	fflush(out);
}
