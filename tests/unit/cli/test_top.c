// SPDX-License-Identifier: MIT
/* The figures of `top` over processes and sensors that are made up: sums, shares, who comes and goes. */
#include "test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/top/top_model.h"
#include "cli/top/top_refresh.h"
#include "cli/top/top_rows.h"
#include "fakeclock.h"
#include "files.h"
#include "random.h"

#define MOST 2500
#define TOOL 1

static struct tmpdir dir;
static char proc[PATH_SIZE], script_path[PATH_SIZE];
static struct fakeclock clock_;
static struct host host;
static struct sensor_options sensor_options;
static struct rig *rig;
static struct top_model *model;

/* CPU time by pid; UINT64_MAX: there is no such process. */
static uint64_t cpu_ns[MOST + 1];

/* What the next process that is put was told of its children. */
static uint64_t children_ns;

static int fake_cpu(pid_t pid, uint64_t *ret_ns)
{
	if (pid > MOST || cpu_ns[pid] == UINT64_MAX)
		return -ESRCH;
	*ret_ns = cpu_ns[pid];
	return 0;
}

/* A process that began so long after the machine did. */
static void put_process(pid_t pid, const char *name, uint64_t start_ns, uint64_t used_ns)
{
	char path[64], text[256];

	snprintf(path, sizeof(path), "%d/stat", (int) pid);
	snprintf(text, sizeof(text),
		"%d (%s) S 1 1 1 0 -1 0 0 0 0 0 0 0 %" PRIu64 " 0 20 0 1 0 %" PRIu64 " 0 0\n",
		(int) pid, name, children_ns / host.user_hz_ns, start_ns / host.user_hz_ns);
	children_ns = 0;
	file_put(proc, path, text);
	cpu_ns[pid] = used_ns;
}

static void remove_process(pid_t pid)
{
	char path[PATH_SIZE + 32];

	snprintf(path, sizeof(path), "%s/%d/stat", proc, (int) pid);
	unlink(path);
	snprintf(path, sizeof(path), "%s/%d", proc, (int) pid);
	rmdir(path);
	cpu_ns[pid] = UINT64_MAX;
}

static int set_up(void **state)
{
	(void) state;
	dir = tmpdir_make();
	fakeclock_init(&clock_, 1000 * NS_PER_S, 0);
	file_put(dir.path, "proc/cpuinfo", "vendor_id\t: GenuineIntel\ncpu family\t: 6\n");
	path_in(dir.path, "processes", proc);
	for (pid_t pid = 0; pid <= MOST; pid++)
		cpu_ns[pid] = UINT64_MAX;
	rig = NULL;
	model = NULL;
	assert_int_equal(host_init(&host, dir.path, &clock_.clock), 0);
	put_process(TOOL, "powermeasure", 0, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void) state;
	top_model_destroy(model);
	rig_close(rig, 10 * NS_PER_S);
	host_finish(&host);
	tmpdir_remove(&dir);
	return 0;
}

static void open_model(const char *sensors, const char *script)
{
	const struct top_model_options options = { .tool = TOOL, .proc = proc, .clock = fake_cpu };
	const struct rig_options rig_options = { .sensors = sensors, .sensor = &sensor_options };
	const char *bad_name;

	file_put(dir.path, "script.json", script);
	sensor_options = (struct sensor_options) { .file = path_in(
							   dir.path, "script.json", script_path) };
	assert_int_equal(rig_open(&rig, &host, &rig_options, &bad_name), 0);
	assert_int_equal(top_model_create(&model, &host, rig, &options), 0);
}

static const char flat[] =
	"{\"domains\": ["
	"{\"name\": \"package-0\", \"kind\": \"cpu\", \"curve\": [[1, 20]], \"stamped\": true},"
	"{\"name\": \"memory\", \"kind\": \"dram\", \"curve\": [[1, 5]], \"stamped\": true},"
	"{\"name\": \"gpu-0\", \"kind\": \"gpu\", \"curve\": [[1, 100]], \"stamped\": true}]}";

static void pass(uint64_t ns)
{
	fakeclock_advance(&clock_, ns);
	top_model_refresh(model);
}

static const struct top_process *process_of(pid_t pid)
{
	uint32_t slot = top_processes_find(&model->processes, pid);

	if (slot == UINT32_MAX)
		fail_msg("there is no process %d", (int) pid);
	return &model->processes.list[slot];
}

static uint64_t uw_of(pid_t pid)
{
	return model->slot_uw[process_of(pid) - model->processes.list];
}

/* What a process gets of 25 W of CPUs and memory for its part of a second of one CPU. */
static uint64_t share_uw(uint64_t used_ns)
{
	return 25000000 * (used_ns / 1000) / 1000000 / host.usage.n_cpu;
}

static void assert_near(uint64_t got, uint64_t expected)
{
	if (got > expected + expected / 1000 + 2 || got + expected / 1000 + 2 < expected)
		fail_msg("%" PRIu64 " is not nearly %" PRIu64, got, expected);
}

/* ---- sums ------------------------------------------------------------------------------- */

static void check_sums(size_t round, uint64_t *given_uj)
{
	uint64_t sum_uw = 0, sum_uj = model->ended_uj;

	for (size_t i = 0; i < model->n_domains; i++) {
		const struct top_parts *p = &model->domains[i].parts;

		if (!model->domains[i].fresh)
			fail_msg("round %zu: domain %zu was not read", round, i);
		if (p->whole_uj !=
			p->processes_uj + p->ended_uj + p->tool_uj + p->idle_uj + p->other_uj)
			fail_msg("round %zu, domain %zu: the parts are not the whole", round, i);
		*given_uj += p->processes_uj + p->ended_uj + p->tool_uj;
	}
	for (uint32_t slot = 0; slot < model->processes.n_slots; slot++) {
		sum_uj += model->processes.list[slot].total_uj;
		sum_uw += slot != model->tool ? model->slot_uw[slot] : 0;
	}
	if (sum_uj != *given_uj)
		fail_msg("round %zu: %" PRIu64 " uJ were given and %" PRIu64 " are with somebody",
			round, *given_uj, sum_uj);
	/* Each figure is rounded to a microwatt, in each domain. */
	if (sum_uw > model->shares.processes_uw ||
		sum_uw + 3 * model->processes.n_slots < model->shares.processes_uw)
		fail_msg("round %zu: the processes have %" PRIu64 " uW of %" PRIu64, round, sum_uw,
			model->shares.processes_uw);
	assert_int_equal(model->machine_uw, 125000000);
	assert_int_equal(model->shares.whole_uw,
		model->shares.processes_uw + model->shares.ended_uw + model->shares.tool_uw +
			model->shares.idle_uw + model->shares.other_uw);
}

/* Processes come, work, and go, also where another one gets their pid. */
static void test_sums(void **state)
{
	struct rng rng = rng_make(rng_seed(), 1);
	uint64_t given_uj = 0;

	(void) state;
	open_model("sim", flat);
	for (size_t round = 0; round < 150; round++) {
		uint64_t ns = rng_between(&rng, 300, 3000) * NS_PER_MS;

		for (int i = 0; i < 20; i++) {
			pid_t pid = (pid_t) rng_between(&rng, 2, 150);

			children_ns = rng_one_in(&rng, 3) ? rng_below(&rng, ns) : 0;
			if (cpu_ns[pid] == UINT64_MAX || rng_one_in(&rng, 8))
				put_process(pid, "worker", clock_.mono_ns + rng_below(&rng, ns),
					rng_below(&rng, ns));
			else if (rng_one_in(&rng, 4))
				remove_process(pid);
			else
				cpu_ns[pid] += rng_below(&rng, ns / 8);
		}
		cpu_ns[TOOL] += NS_PER_MS;
		if (rng_one_in(&rng, 5)) {
			fakeclock_advance(&clock_, NS_PER_S);
			top_model_sample(model);
		}
		pass(ns);
		check_sums(round, &given_uj);
	}
	assert_true(model->processes.n_ended > 50);
}

static void test_shares(void **state)
{
	uint64_t used_ns = NS_PER_S / 4;

	(void) state;
	put_process(10, "big", 0, 7 * NS_PER_S);
	put_process(11, "small", 0, 0);
	put_process(12, "idle", 0, 5 * NS_PER_S);
	open_model("sim", flat);
	for (int i = 1; i <= 3; i++) {
		cpu_ns[10] += 3 * used_ns;
		cpu_ns[11] += used_ns;
		cpu_ns[TOOL] += used_ns / 10;
		pass(NS_PER_S);
		assert_near(uw_of(10), share_uw(3 * used_ns));
		assert_near(uw_of(11), share_uw(used_ns));
		assert_int_equal(uw_of(12), 0);
		assert_near(process_of(10)->total_uj, (uint64_t) i * share_uw(3 * used_ns));
		assert_int_equal(process_of(11)->busy_ppm, 250000);
		assert_near(model->shares.tool_uw, share_uw(used_ns / 10));
		assert_int_equal(model->tool_cpu_ns, used_ns / 10);
	}
	top_model_reset(model);
	assert_int_equal(process_of(10)->total_uj, 0);
	pass(NS_PER_S);
	assert_int_equal(process_of(10)->total_uj, 0);
	assert_int_equal(uw_of(10), 0);
}

/* A long refresh is made of samples, and is one all the same. */
static void test_samples_between(void **state)
{
	(void) state;
	put_process(10, "one", 0, 0);
	open_model("sim", flat);
	for (int i = 0; i < 3; i++) {
		fakeclock_advance(&clock_, NS_PER_S);
		cpu_ns[10] += NS_PER_S / 4;
		top_model_sample(model);
		assert_int_equal(model->refreshes, 0);
	}
	pass(NS_PER_S);
	assert_int_equal(model->elapsed_ns, 4 * NS_PER_S);
	assert_near(uw_of(10), share_uw(3 * NS_PER_S / 16));
	assert_int_equal(process_of(10)->busy_ppm, 187500);
	assert_int_equal(model->domains[0].power_uw, 20000000);
}

/* ---- who comes and goes ----------------------------------------------------------------- */

static void test_a_pid_that_is_used_again(void **state)
{
	uint64_t before_uj;

	(void) state;
	put_process(10, "old", 0, 0);
	put_process(11, "old", 0, NS_PER_S);
	open_model("sim", flat);
	cpu_ns[10] += NS_PER_S / 2;
	cpu_ns[11] += NS_PER_S / 2;
	pass(NS_PER_S);
	before_uj = process_of(10)->total_uj + process_of(11)->total_uj;
	assert_true(before_uj > 0);
	/* Once with a clock that goes on from there, once with one that begins anew. */
	put_process(10, "new", clock_.mono_ns + NS_PER_S / 2, NS_PER_S * 3 / 4);
	put_process(11, "new", clock_.mono_ns + NS_PER_S / 2, NS_PER_S / 4);
	pass(NS_PER_S);
	assert_int_equal(model->ended_uj, before_uj);
	assert_string_equal(process_of(10)->name, "new");
	assert_string_equal(process_of(11)->name, "new");
	assert_near(uw_of(11), share_uw(NS_PER_S / 4));
	assert_near(process_of(11)->total_uj, share_uw(NS_PER_S / 4));
	assert_int_equal(model->processes.n_ended, 2);
}

static void test_what_a_new_process_used_before_it_was_seen(void **state)
{
	(void) state;
	open_model("sim", flat);
	pass(NS_PER_S);
	put_process(10, "newborn", clock_.mono_ns + NS_PER_S / 2, NS_PER_S / 4);
	/* It was hidden before: what it used long ago is not of this second. */
	put_process(11, "hidden", 10 * NS_PER_S, 500 * NS_PER_S);
	pass(NS_PER_S);
	assert_near(uw_of(10), share_uw(NS_PER_S / 4));
	assert_int_equal(process_of(10)->busy_ppm, 250000);
	assert_int_equal(uw_of(11), 0);
	assert_int_equal(process_of(11)->busy_ppm, 0);
}

static void test_who_has_ended(void **state)
{
	uint64_t got_uj;

	(void) state;
	put_process(10, "one", 0, 0);
	open_model("sim", flat);
	cpu_ns[10] += NS_PER_S / 2;
	pass(NS_PER_S);
	got_uj = process_of(10)->total_uj;
	remove_process(10);
	pass(NS_PER_S);
	assert_int_equal(top_processes_find(&model->processes, 10), UINT32_MAX);
	assert_int_equal(model->ended_uj, got_uj);
	assert_int_equal(model->shares.processes_uw, 0);
	assert_int_equal(model->shares.ended_uw, 0);
	/* It ran in a first part of this refresh. */
	put_process(10, "two", clock_.mono_ns, NS_PER_S / 4);
	fakeclock_advance(&clock_, NS_PER_S);
	top_model_sample(model);
	remove_process(10);
	pass(NS_PER_S);
	assert_near(model->shares.ended_uw, share_uw(NS_PER_S / 4) / 2);
	assert_near(model->ended_uj, got_uj + share_uw(NS_PER_S / 4));
}

/* Who lived too short to be seen, and what a process used at its end, is known from who waited for it. */
static void test_what_parents_were_told(void **state)
{
	(void) state;
	children_ns = 77 * NS_PER_S;
	put_process(10, "make", 0, 0);
	put_process(11, "cc", 0, 5 * NS_PER_S);
	open_model("sim", flat);
	pass(NS_PER_S);
	assert_int_equal(model->shares.ended_uw, 0);
	/* A quarter of a second by somebody who was never seen. */
	children_ns = 77 * NS_PER_S + NS_PER_S / 4;
	put_process(10, "make", 0, NS_PER_MS);
	pass(NS_PER_S);
	assert_near(model->shares.ended_uw, share_uw(NS_PER_S / 4));
	assert_near(model->ended_uj, share_uw(NS_PER_S / 4));
	/* The other one had 5 s before, 1/4 s now, and 1/10 s more until its end. */
	cpu_ns[11] += NS_PER_S / 4;
	pass(NS_PER_S);
	assert_int_equal(model->shares.ended_uw, 0);
	remove_process(11);
	children_ns = 77 * NS_PER_S + NS_PER_S / 4 + 5 * NS_PER_S + NS_PER_S / 4 + NS_PER_S / 10;
	put_process(10, "make", 0, 2 * NS_PER_MS);
	pass(NS_PER_S);
	assert_near(model->shares.ended_uw, share_uw(NS_PER_S / 10));
	pass(NS_PER_S);
	assert_int_equal(model->shares.ended_uw, 0);
	/* Somebody who was hidden all the time: no more than what there was. */
	children_ns = 100000 * NS_PER_S;
	put_process(10, "make", 0, 2 * NS_PER_MS + NS_PER_US);
	pass(NS_PER_S);
	assert_true(model->shares.ended_uw <= 25000000);
	assert_near(uw_of(10), share_uw(NS_PER_US));
	pass(NS_PER_S);
	assert_int_equal(model->shares.ended_uw, 0);
}

/* The parent was looked at before it waited; or it never waits. */
static void test_parents_that_are_told_late_or_never(void **state)
{
	(void) state;
	put_process(10, "late", 0, 0);
	put_process(11, "child", 0, NS_PER_S);
	put_process(12, "child of nobody", 0, 3 * NS_PER_S);
	open_model("sim", flat);
	remove_process(11);
	pass(NS_PER_S);
	assert_int_equal(model->shares.ended_uw, 0);
	children_ns = NS_PER_S + NS_PER_S / 5;
	put_process(10, "late", 0, NS_PER_MS);
	pass(NS_PER_S);
	assert_near(model->shares.ended_uw, share_uw(NS_PER_S / 5));
	remove_process(12);
	pass(NS_PER_S);
	pass(NS_PER_S);
	children_ns = NS_PER_S + NS_PER_S * 2 / 5;
	put_process(10, "late", 0, 2 * NS_PER_MS);
	pass(NS_PER_S);
	assert_near(model->shares.ended_uw, share_uw(NS_PER_S / 5));
}

/* Of those that do nothing only the clock is read. */
static void test_thousands(void **state)
{
	char path[PATH_SIZE + 32];

	(void) state;
	for (pid_t pid = 2; pid <= MOST; pid++)
		put_process(pid, "many", 0, (uint64_t) pid * NS_PER_S);
	open_model("sim", flat);
	assert_int_equal(model->processes.n_live, MOST);
	snprintf(path, sizeof(path), "%s/77/stat", proc);
	assert_int_equal(unlink(path), 0);
	for (pid_t pid = 1000; pid < 2000; pid++)
		cpu_ns[pid] += 100 * NS_PER_US;
	pass(NS_PER_S);
	assert_int_equal(model->processes.n_live, MOST);
	for (pid_t pid = 2; pid <= MOST; pid++)
		assert_near(uw_of(pid), pid < 1000 || pid >= 2000 ? 0 : share_uw(100 * NS_PER_US));
	cpu_ns[77] += 1;
	pass(NS_PER_S);
	assert_int_equal(model->processes.n_live, MOST - 1);
	for (pid_t pid = 2; pid <= MOST; pid++)
		remove_process(pid);
	pass(NS_PER_S);
	assert_int_equal(model->processes.n_live, 1);
}

/* ---- what is not known ------------------------------------------------------------------ */

static void test_no_sensor(void **state)
{
	char why[600];

	(void) state;
	put_process(10, "one", 0, 0);
	open_model("nvml", flat);
	cpu_ns[10] += NS_PER_S / 4;
	pass(NS_PER_S);
	assert_false(model->machine_known);
	assert_false(model->shares_known);
	assert_int_equal(process_of(10)->busy_ppm, 250000);
	assert_true(top_model_why(model, KIND_GPU, why, sizeof(why)));
	assert_non_null(strstr(why, "nvml: "));
	assert_true(top_model_why(model, KIND_CPU, why, sizeof(why)));
	assert_non_null(strstr(why, "not in the list"));
}

static void test_a_sensor_that_fails(void **state)
{
	(void) state;
	put_process(10, "one", 0, 0);
	open_model("sim",
		"{\"domains\": [{\"name\": \"package-0\", \"kind\": \"cpu\", \"curve\": [[1, 20]],"
		" \"stamped\": true, \"faults\": [{\"at\": 1.5, \"for\": 2, \"what\": \"eio\"}]}]}");
	for (int i = 1; i <= 5; i++) {
		cpu_ns[10] += NS_PER_S / 4;
		pass(NS_PER_S);
		assert_int_equal(model->domains[0].known, i == 1 || i >= 4);
		assert_int_equal(model->machine_known, i == 1 || i >= 4);
		if (model->domains[0].known) {
			assert_int_equal(model->machine_uw, 20000000);
			assert_near(uw_of(10), 20000000 / 4 / host.usage.n_cpu);
		} else {
			assert_non_null(strstr(model->domains[0].why, "cannot be read: Input"));
			assert_int_equal(uw_of(10), 0);
		}
	}
	/* The curve has a hole of two refreshes. */
	assert_int_equal(top_history_at(&model->machine, 0), 20000000);
	assert_int_equal(top_history_at(&model->machine, 2), TOP_UNKNOWN);
	assert_int_equal(top_history_at(&model->machine, 3), TOP_UNKNOWN);
	assert_int_equal(top_history_at(&model->machine, 4), 20000000);
	assert_int_equal(top_history_at(&model->machine, 5), TOP_UNKNOWN);
}

/* The whole board contains the package. */
static void test_each_joule_once(void **state)
{
	(void) state;
	open_model("sim",
		"{\"domains\": [{\"name\": \"psys\", \"kind\": \"platform\", \"curve\": [[1, 50]],"
		" \"stamped\": true}, {\"name\": \"package-0\", \"kind\": \"cpu\", \"curve\": [[1, 20]],"
		" \"stamped\": true, \"parent\": \"psys\"}]}");
	pass(NS_PER_S);
	assert_int_equal(model->machine_uw, 50000000);
	assert_true(model->domains[0].outermost && !model->domains[1].outermost);
	assert_int_equal(model->shares.whole_uw, 20000000);
}

/* ---- rows ------------------------------------------------------------------------------- */

static void test_rows(void **state)
{
	struct top_order order = { .sort = TOP_BY_WATTS };
	struct top_rows rows = { 0 };

	(void) state;
	put_process(10, "Python", 0, 0);
	put_process(11, "sh", 0, 0);
	put_process(12, "python3", 0, 0);
	open_model("sim", flat);
	cpu_ns[12] += NS_PER_S / 2;
	cpu_ns[11] += NS_PER_S / 4;
	pass(NS_PER_S);
	assert_int_equal(top_rows_make(&rows, model, &order), 0);
	assert_int_equal(rows.n, 3); /* the tool is none of them */
	assert_int_equal(model->processes.list[rows.slots[0]].pid, 12);
	assert_int_equal(model->processes.list[rows.slots[1]].pid, 11);
	order.inverted = true;
	top_rows_make(&rows, model, &order);
	assert_int_equal(model->processes.list[rows.slots[2]].pid, 12);
	order = (struct top_order) { .sort = TOP_BY_PID, .filter = "PYTH" };
	top_rows_make(&rows, model, &order);
	assert_int_equal(rows.n, 2);
	assert_int_equal(model->processes.list[rows.slots[0]].pid, 10);
	order = (struct top_order) { .pid = 11 };
	top_rows_make(&rows, model, &order);
	assert_int_equal(rows.n, 1);
	order = (struct top_order) { .user = "nobody-of-that-name" };
	top_rows_make(&rows, model, &order);
	assert_int_equal(rows.n, 0);
	top_rows_finish(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sums, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shares, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_samples_between, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_pid_that_is_used_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_what_a_new_process_used_before_it_was_seen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_who_has_ended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_parents_were_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_parents_that_are_told_late_or_never, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_thousands, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_sensor, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_sensor_that_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_joule_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rows, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
