// SPDX-License-Identifier: MIT
#include "cli/top/top_print.h"

#include <unistd.h>

#include "cli/top/top_refresh.h"
#include "util/buf.h"
#include "util/jw.h"
#include "session/schema.h"
#include "util/timestamp.h"
#include "util/u128.h"

static void put_micro(struct jw *j, const char *key, bool known, uint64_t micro)
{
	if (known)
		jw_kv_micro(j, key, (int64_t) micro);
	else
		jw_kv_null(j, key);
}

/* Percents from parts per million. */
static void put_percent(struct jw *j, const char *key, bool known, uint64_t ppm)
{
	put_micro(j, key, known, ppm * 100);
}

static void put_machine(struct jw *j, const struct top_model *m)
{
	uint64_t busy_ppm = 0;
	bool busy_known = top_busy_ppm(m, &busy_ppm);

	jw_key(j, "machine");
	jw_open(j, '{');
	put_micro(j, "power_w", m->machine_known, m->machine_uw);
	jw_kv_bool(j, "estimated", m->machine_estimated);
	jw_key(j, "domains");
	jw_open(j, '[');
	for (size_t i = 0; i < m->n_domains; i++)
		if (m->domains[i].outermost)
			jw_string(j, m->domains[i].domain->name);
	jw_close(j, ']');
	jw_kv_u64(j, "cpus", m->n_cpu);
	put_percent(j, "cpu_busy_percent", busy_known, busy_ppm);
	jw_close(j, '}');
}

static void put_parts(struct jw *j, const struct top_domain *d)
{
	const struct top_parts *p = &d->parts;

	jw_key(j, "parts");
	if (!d->known || !d->shared) {
		jw_null(j);
		return;
	}
	jw_open(j, '{');
	jw_kv_micro(j, "interval_s", (int64_t) (p->ns / 1000));
	jw_kv_micro(j, "energy_j", (int64_t) p->whole_uj);
	jw_kv_micro(j, "processes_j", (int64_t) p->processes_uj);
	jw_kv_micro(j, "ended_j", (int64_t) p->ended_uj);
	jw_kv_micro(j, "tool_j", (int64_t) p->tool_uj);
	put_micro(j, "idle_j", !p->has_rest, p->idle_uj);
	jw_kv_micro(j, "other_j", (int64_t) (p->other_uj + (p->has_rest ? p->idle_uj : 0)));
	jw_close(j, '}');
}

static void put_users(struct jw *j, const struct top_model *m, const struct top_domain *d)
{
	jw_key(j, "users");
	if (!d->domain->tells_users || !d->users.looked_ns) {
		jw_null(j);
		return;
	}
	jw_open(j, '[');
	for (size_t i = 0; i < d->users.n; i++) {
		uint32_t slot = top_processes_find(&m->processes, d->users.list[i].pid);

		jw_open(j, '{');
		jw_kv_i64(j, "pid", d->users.list[i].pid);
		jw_kv_string(j, "name", slot != UINT32_MAX ? m->processes.list[slot].name : NULL);
		put_percent(j, "percent", true, d->users.list[i].ppm);
		jw_close(j, '}');
	}
	jw_close(j, ']');
}

static void put_domain(struct jw *j, const struct top_model *m, const struct top_domain *d)
{
	jw_open(j, '{');
	jw_kv_string(j, "name", d->domain->name);
	jw_kv_string(j, "kind", kind_name(d->domain->kind));
	jw_kv_string(j, "sensor", d->domain->sensor);
	jw_kv_string(j, "scope", d->domain->scope);
	jw_kv_string(j, "id", d->domain->id[0] ? d->domain->id : NULL);
	jw_kv_string(j, "quality", rig_quality_name(d->domain));
	jw_kv_bool(j, "counted", d->domain->counted);
	put_micro(j, "power_w", d->known, d->power_uw);
	put_micro(j, "energy_j", d->known_at_ns != 0, d->total_uj);
	put_parts(j, d);
	if (d->domain->kind == KIND_GPU)
		put_users(j, m, d);
	jw_kv_string(j, "reason", d->known ? NULL : d->why);
	jw_close(j, '}');
}

static void put_unmeasured(struct jw *j, const struct top_model *m)
{
	char why[600];

	jw_key(j, "unmeasured");
	jw_open(j, '[');
	for (int k = 0; k < KIND_COUNT; k++) {
		if (!top_model_why(m, (enum kind) k, why, sizeof(why)))
			continue;
		jw_open(j, '{');
		jw_kv_string(j, "kind", kind_name((enum kind) k));
		jw_kv_string(j, "reason", why);
		jw_close(j, '}');
	}
	jw_close(j, ']');
}

static void put_shares(struct jw *j, const struct top_model *m)
{
	jw_key(j, "shares_w");
	if (!m->shares_known) {
		jw_null(j);
		return;
	}
	jw_open(j, '{');
	jw_kv_micro(j, "whole", (int64_t) m->shares.whole_uw);
	jw_kv_micro(j, "processes", (int64_t) m->shares.processes_uw);
	jw_kv_micro(j, "ended", (int64_t) m->shares.ended_uw);
	jw_kv_micro(j, "tool", (int64_t) m->shares.tool_uw);
	jw_kv_micro(j, "idle", (int64_t) m->shares.idle_uw);
	jw_kv_micro(j, "other", (int64_t) m->shares.other_uw);
	jw_close(j, '}');
}

static void put_process(struct jw *j, const struct top_model *m, uint32_t slot)
{
	const struct top_process *p = &m->processes.list[slot];

	jw_open(j, '{');
	jw_kv_i64(j, "pid", p->pid);
	if (p->uid == (uid_t) -1)
		jw_kv_null(j, "user");
	else
		jw_kv_string(j, "user", top_user(p->uid));
	jw_kv_string(j, "name", p->name);
	put_percent(j, "cpu_percent", m->elapsed_ns != 0, p->busy_ppm);
	put_micro(j, "power_w", m->shares_known, m->slot_uw[slot]);
	put_micro(j, "energy_j", m->shares_known, p->total_uj);
	jw_close(j, '}');
}

static void put_tool(struct jw *j, const struct top_model *m)
{
	bool found = m->tool != UINT32_MAX;

	jw_key(j, "tool");
	jw_open(j, '{');
	put_percent(j, "cpu_percent", found && m->elapsed_ns, top_tool_ppm(m));
	put_micro(j, "power_w", found && m->shares_known, m->shares.tool_uw);
	put_micro(j, "energy_j", found && m->shares_known,
		found ? m->processes.list[m->tool].total_uj : 0);
	jw_close(j, '}');
}

void top_report_json(const struct top_model *m, const struct top_rows *rows, size_t n, FILE *out)
{
	struct buf b = BUF_INIT;
	struct jw j = JW_INIT(&b);
	char time[TIMESTAMP_MAX], host[256] = "", warning[160];

	gethostname(host, sizeof(host) - 1);
	timestamp_rfc3339(clock_wall_ns(m->host->clock), time, sizeof(time));
	jw_open(&j, '{');
	jw_kv_u64(&j, "schema_version", SCHEMA_TOP);
	jw_kv_string(&j, "version", PM_VERSION);
	jw_kv_string(&j, "time", time);
	jw_kv_u64(&j, "t_ns", m->t_ns);
	jw_kv_string(&j, "host", host);
	jw_kv_micro(&j, "interval_s", (int64_t) (m->elapsed_ns / 1000));
	jw_kv_micro(&j, "elapsed_s", (int64_t) ((m->t_ns - m->begun_ns) / 1000));
	jw_kv_string(&j, "attribution", "capacity-share");
	put_machine(&j, m);
	jw_key(&j, "domains");
	jw_open(&j, '[');
	for (size_t i = 0; i < m->n_domains; i++)
		put_domain(&j, m, &m->domains[i]);
	jw_close(&j, ']');
	put_unmeasured(&j, m);
	put_shares(&j, m);
	jw_key(&j, "processes");
	jw_open(&j, '[');
	for (size_t i = 0; i < rows->n && i < n; i++)
		put_process(&j, m, rows->slots[i]);
	jw_close(&j, ']');
	jw_kv_u64(&j, "n_processes", m->processes.n_live);
	put_micro(&j, "ended_energy_j", m->shares_known, m->ended_uj);
	put_tool(&j, m);
	jw_key(&j, "warnings");
	jw_open(&j, '[');
	if (top_warning(m, warning, sizeof(warning)))
		jw_string(&j, warning);
	jw_close(&j, ']');
	jw_close(&j, '}');
	fputs(b.failed ? "{\"error\": \"no memory for the report\"}" : buf_text(&b), out);
	fputc('\n', out);
	fflush(out);
	buf_finish(&b);
}
