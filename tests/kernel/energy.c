// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Answers RAPL's registers from a known curve, below the kernel's own drivers: they, perf and
 * /dev/cpu/N/msr then read a processor whose energy is known exactly. A probe at the entry of the
 * two functions through which the kernel reads registers returns from them at once; all other
 * registers are left to the (emulated) processor.
 *
 * Each counter holds a constant power until it is given another one; changes are remembered, so
 * that its energy is known at any time since the module was loaded.
 *
 * /proc/energy          reading: one line a counter, "NAME NOW_NS ENERGY_NJ MILLIWATTS RAW", times
 *                       by CLOCK_MONOTONIC; writing: one command a line, see run_command()
 * /proc/energy_history  every change so far: "NAME TIME_NS ENERGY_NJ MILLIWATTS"
 *
 * For a virtual machine that is thrown away; nothing here is meant for a machine that somebody uses.
 */
#include <linux/ctype.h>
#include <linux/kprobes.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <asm/cpufeature.h>
#include <asm/processor.h>

MODULE_DESCRIPTION("RAPL registers that follow a known curve");
MODULE_LICENSE("Dual MIT/GPL");

#define PACKAGES_MAX 2
#define CORES_MAX 8
#define COUNTERS_MAX 32
#define CHANGES_MAX 16384

enum { INTEL_UNIT = 0x606, INTEL_LIMIT = 0x610, INTEL_INFO = 0x614 };
#define AMD_UNIT 0xc0010299
#define AMD_CORE 0xc001029a
#define AMD_PACKAGE 0xc001029b

/* ---- parameters ------------------------------------------------------------------------- */

static uint esu = 14;
module_param(esu, uint, 0444);
MODULE_PARM_DESC(esu, "a count is 2^-esu joules, as the unit register shows");

static uint dram_esu = 99;
module_param(dram_esu, uint, 0444);
MODULE_PARM_DESC(dram_esu, "the memory counter's true unit where it is not the register's");

static uint psys_esu = 99;
module_param(psys_esu, uint, 0444);
MODULE_PARM_DESC(psys_esu, "psys' true unit where it is not the register's");

static uint tdp_w = 65;
module_param(tdp_w, uint, 0444);
MODULE_PARM_DESC(tdp_w, "what the power limit and the power information show");

static uint packages = 1;
module_param(packages, uint, 0444);
MODULE_PARM_DESC(packages, "how many packages count");

static uint start = 1000;
module_param(start, uint, 0444);
MODULE_PARM_DESC(start, "the first counter's value at the start, below the others'");

static uint mw = 20000;
module_param(mw, uint, 0444);
MODULE_PARM_DESC(mw, "every counter's power at the start");

static uint period_us = 976;
module_param(period_us, uint, 0644);
MODULE_PARM_DESC(period_us, "how often the registers are brought up to date");

static char *kinds = "package,cores,dram";
module_param(kinds, charp, 0444);
MODULE_PARM_DESC(kinds, "of package, cores, gpu, dram, psys: what counts; the others read 0");

/* ---- counters --------------------------------------------------------------------------- */

struct change {
	u64 t_ns;
	u64 energy_nj;
	u64 mw;
};

struct counter {
	char name[16];
	u32 msr;
	int package;
	int core; /* AMD's cores; -1: the package's */
	unsigned int esu;
	u32 raw_start;
	struct change *changes;
	unsigned int n_changes;
};

static struct counter counters[COUNTERS_MAX];
static unsigned int n_counters;
static bool frozen;
static u64 frozen_ns;
static bool failing;
static u64 start_ns;

/* Taken in the probe, where interrupts are off. */
static DEFINE_RAW_SPINLOCK(lock);

static u64 energy_nj(const struct counter *c, u64 t_ns)
{
	unsigned int i = c->n_changes - 1;
	const struct change *change;

	while (i > 0 && c->changes[i].t_ns > t_ns)
		i--;
	change = &c->changes[i];
	if (t_ns < change->t_ns)
		return 0;
	/* Milliwatts times nanoseconds are picojoules: too many for 64 bits within hours. */
	return change->energy_nj + mul_u64_u64_div_u64(t_ns - change->t_ns, change->mw, 1000);
}

static u32 raw_at(const struct counter *c, u64 now_ns)
{
	u64 t_ns = frozen ? frozen_ns : now_ns;

	if (period_us) {
		u64 rest;

		div64_u64_rem(t_ns - start_ns, (u64) period_us * 1000, &rest);
		t_ns -= rest;
	}
	return c->raw_start +
		(u32) mul_u64_u64_div_u64(energy_nj(c, t_ns), 1ULL << c->esu, 1000000000);
}

static int set_mw(struct counter *c, u64 now_ns, u64 new_mw)
{
	struct change *next = &c->changes[c->n_changes];

	if (c->n_changes == CHANGES_MAX)
		return -ENOSPC;
	*next = (struct change) { now_ns, c->n_changes ? energy_nj(c, now_ns) : 0, new_mw };
	c->n_changes++;
	return 0;
}

static int add_counter(const char *name, u32 msr, int package, int core, unsigned int unit)
{
	struct counter *c = &counters[n_counters];

	if (n_counters == COUNTERS_MAX)
		return -E2BIG;
	c->changes = vzalloc(CHANGES_MAX * sizeof(*c->changes));
	if (!c->changes)
		return -ENOMEM;
	if (core < 0)
		snprintf(c->name, sizeof(c->name), "%s-%d", name, package);
	else
		snprintf(c->name, sizeof(c->name), "%s-%d-%d", name, package, core);
	c->msr = msr;
	c->package = package;
	c->core = core;
	c->esu = unit;
	/* Registers with the same value all the time would be taken for one. */
	c->raw_start = start + n_counters * 12345;
	n_counters++;
	return set_mw(c, start_ns, mw);
}

/* ---- registers -------------------------------------------------------------------------- */

static bool is_amd(void)
{
	return boot_cpu_data.x86_vendor == X86_VENDOR_AMD;
}

static const struct counter *find_counter(u32 msr)
{
	int cpu = smp_processor_id();
	int package = topology_physical_package_id(cpu), core = topology_core_id(cpu);

	for (unsigned int i = 0; i < n_counters; i++)
		if (counters[i].msr == msr && counters[i].package == package &&
			(counters[i].core < 0 || counters[i].core == core))
			return &counters[i];
	return NULL;
}

static bool is_energy(u32 msr)
{
	return is_amd()
		? msr == AMD_CORE || msr == AMD_PACKAGE
		: msr == 0x611 || msr == 0x639 || msr == 0x641 || msr == 0x619 || msr == 0x64d;
}

/* Returns whether the register is one of RAPL's. */
static bool answer(u32 msr, u64 *ret)
{
	const struct counter *c;
	unsigned long flags;

	if (msr == (is_amd() ? AMD_UNIT : INTEL_UNIT)) {
		*ret = 0xa0003 | esu << 8; /* power in 2^-3 W, time in 2^-10 s */
		return true;
	}
	if (!is_amd() && msr == INTEL_INFO) {
		*ret = (u64) tdp_w << 3;
		return true;
	}
	if (!is_amd() && msr == INTEL_LIMIT) {
		*ret = (u64) tdp_w << 3 | 1 << 15 | 0xa << 17;
		return true;
	}
	if (!is_energy(msr))
		return false;
	raw_spin_lock_irqsave(&lock, flags);
	c = find_counter(msr);
	*ret = c ? raw_at(c, ktime_get_mono_fast_ns()) : 0;
	raw_spin_unlock_irqrestore(&lock, flags);
	return true;
}

/* Returns from the probed function: its caller's address is on top of the stack. */
static int leave(struct pt_regs *regs, u64 value)
{
	regs->ax = value;
	regs->ip = *(unsigned long *) regs->sp;
	regs->sp += sizeof(unsigned long);
	return 1;
}

/* native_read_msr(msr) */
static int read_plain(struct kprobe *p, struct pt_regs *regs)
{
	u64 value;

	return answer((u32) regs->di, &value) ? leave(regs, value) : 0;
}

/* native_read_msr_safe(msr, &error) */
static int read_safe(struct kprobe *p, struct pt_regs *regs)
{
	u64 value;

	if (!answer((u32) regs->di, &value))
		return 0;
	*(int *) regs->si = failing && is_energy((u32) regs->di) ? -EIO : 0;
	return leave(regs, value);
}

/* A probe with a function behind it is never turned into a jump, which could not be left early and
 * would be missed in an interrupt. */
static void behind(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe probes[] = {
	{ .symbol_name = "native_read_msr", .pre_handler = read_plain, .post_handler = behind },
	{ .symbol_name = "native_read_msr_safe", .pre_handler = read_safe, .post_handler = behind },
};

/* ---- /proc ------------------------------------------------------------------------------ */

static int show_now(struct seq_file *m, void *unused)
{
	for (unsigned int i = 0; i < n_counters; i++) {
		const struct counter *c = &counters[i];
		unsigned long flags;
		u64 now_ns, nj, last_mw;
		u32 raw;

		raw_spin_lock_irqsave(&lock, flags);
		now_ns = ktime_get_mono_fast_ns();
		nj = energy_nj(c, now_ns);
		last_mw = c->changes[c->n_changes - 1].mw;
		raw = raw_at(c, now_ns);
		raw_spin_unlock_irqrestore(&lock, flags);
		seq_printf(m, "%s %llu %llu %llu %u\n", c->name, now_ns, nj, last_mw, raw);
	}
	seq_printf(m, "missed %lu %lu\n", probes[0].nmissed, probes[1].nmissed);
	return 0;
}

static int show_history(struct seq_file *m, void *unused)
{
	for (unsigned int i = 0; i < n_counters; i++)
		for (unsigned int k = 0; k < READ_ONCE(counters[i].n_changes); k++)
			seq_printf(m, "%s %llu %llu %llu\n", counters[i].name,
				counters[i].changes[k].t_ns, counters[i].changes[k].energy_nj,
				counters[i].changes[k].mw);
	return 0;
}

static bool is_meant(const struct counter *c, const char *name)
{
	size_t n = strlen(name);

	return strcmp(name, "all") == 0 || strcmp(name, c->name) == 0 ||
		(strncmp(name, c->name, n) == 0 && c->name[n] == '-');
}

/*
 * "mw NAME N"    a counter's power from now on: package-0, package, all
 * "raw NAME N"   the register jumps to N, as after a restart; the energy goes on
 * "freeze 0|1"   the registers stand still while the energy goes on
 * "fail 0|1"     reading a register fails where the reader can be told
 */
static int run_command(const char *line)
{
	char what[8], name[16];
	u64 value, now_ns = ktime_get_mono_fast_ns();
	int r = 0, n_meant = 0;

	if (sscanf(line, "freeze %llu", &value) == 1) {
		frozen = value != 0;
		frozen_ns = now_ns;
		return 0;
	}
	if (sscanf(line, "fail %llu", &value) == 1) {
		failing = value != 0;
		return 0;
	}
	if (sscanf(line, "%7s %15s %llu", what, name, &value) != 3)
		return -EINVAL;
	for (unsigned int i = 0; i < n_counters && r == 0; i++) {
		struct counter *c = &counters[i];

		if (!is_meant(c, name))
			continue;
		n_meant++;
		if (strcmp(what, "mw") == 0)
			r = set_mw(c, now_ns, value);
		else if (strcmp(what, "raw") == 0)
			c->raw_start += (u32) value - raw_at(c, now_ns);
		else
			r = -EINVAL;
	}
	return r ? r : n_meant ? 0 : -ENOENT;
}

static ssize_t write_commands(struct file *f, const char __user *data, size_t n, loff_t *pos)
{
	char text[512], *rest = text, *line;
	unsigned long flags;
	int r = 0;

	if (n >= sizeof(text))
		return -E2BIG;
	if (copy_from_user(text, data, n))
		return -EFAULT;
	text[n] = '\0';
	while (r == 0 && (line = strsep(&rest, "\n"))) {
		if (*line == '\0')
			continue;
		raw_spin_lock_irqsave(&lock, flags);
		r = run_command(line);
		raw_spin_unlock_irqrestore(&lock, flags);
	}
	return r ? r : (ssize_t) n;
}

static int open_now(struct inode *inode, struct file *f)
{
	return single_open(f, show_now, NULL);
}

static const struct proc_ops now_ops = {
	.proc_open = open_now,
	.proc_read = seq_read,
	.proc_write = write_commands,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
};

/* ---- beginning and end ------------------------------------------------------------------ */

static int make_intel(int package)
{
	static const struct {
		const char *name;
		u32 msr;
	} all[] = { { "package", 0x611 }, { "cores", 0x639 }, { "gpu", 0x641 }, { "dram", 0x619 },
		{ "psys", 0x64d } };

	for (unsigned int i = 0; i < ARRAY_SIZE(all); i++) {
		unsigned int unit = esu;
		int r;

		if (!strstr(kinds, all[i].name))
			continue;
		if (all[i].msr == 0x619 && dram_esu < 64)
			unit = dram_esu;
		if (all[i].msr == 0x64d && psys_esu < 64)
			unit = psys_esu;
		r = add_counter(all[i].name, all[i].msr, package, -1, unit);
		if (r < 0)
			return r;
	}
	return 0;
}

static int make_amd(int package)
{
	int r = add_counter("package", AMD_PACKAGE, package, -1, esu);

	for (int core = 0; r == 0 && core < CORES_MAX; core++)
		r = add_counter("core", AMD_CORE, package, core, esu);
	return r;
}

static void free_counters(void)
{
	for (unsigned int i = 0; i < n_counters; i++)
		vfree(counters[i].changes);
}

static int __init energy_init(void)
{
	int r = 0;

	start_ns = ktime_get_mono_fast_ns();
	packages = clamp(packages, 1U, (uint) PACKAGES_MAX);
	for (unsigned int i = 0; r == 0 && i < packages; i++)
		r = is_amd() ? make_amd((int) i) : make_intel((int) i);
	if (r < 0)
		goto fail;
	/* The emulated processor does not show the bit by which the drivers know AMD's RAPL. */
	if (is_amd())
		set_cpu_cap(&boot_cpu_data, X86_FEATURE_RAPL);
	for (unsigned int i = 0; i < ARRAY_SIZE(probes); i++) {
		r = register_kprobe(&probes[i]);
		if (r < 0) {
			if (i > 0)
				unregister_kprobe(&probes[0]);
			goto fail;
		}
	}
	proc_create("energy", 0666, NULL, &now_ops);
	proc_create_single("energy_history", 0444, NULL, show_history);
	return 0;
fail:
	free_counters();
	return r;
}

static void __exit energy_exit(void)
{
	remove_proc_entry("energy_history", NULL);
	remove_proc_entry("energy", NULL);
	for (unsigned int i = 0; i < ARRAY_SIZE(probes); i++)
		unregister_kprobe(&probes[i]);
	free_counters();
}

module_init(energy_init);
module_exit(energy_exit);
