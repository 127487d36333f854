// SPDX-License-Identifier: MIT
/*
 * An older kernel, or a container's filter: oldkernel CALL=ERROR... -- COMMAND [ARGUMENTS]
 *
 * The command's system calls of these names fail with that error, in all that it starts, too. The
 * name "new" stands for all that came after Linux 4.9. Exits 77 where calls cannot be filtered, as
 * under emulation.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE 0 /* not known here */
#endif

#define CANNOT 77
#define CODE_MAX 64

/* From here on numbers are the same on all machines: pidfd_send_signal(), of Linux 5.1. */
#define COMMON_FIRST 424

/* Linux 4.14; headers may be older. */
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

static const struct {
	const char *name;
	uint32_t first, last; /* numbers */
	uint32_t argument;    /* only with this third argument; 0: whatever it is */
} calls[] = {
	{ "clone3", 435, 435, 0 },     /* Linux 5.3 */
	{ "faccessat2", 439, 439, 0 }, /* 5.8 */
	{ "openat2", 437, 437, 0 },    /* 5.6 */
	{ "perf_event_open", SYS_perf_event_open, SYS_perf_event_open, 0 },
	{ "pidfd_open", 434, 434, 0 }, /* 5.3 */
	{ "wipeonfork", SYS_madvise, SYS_madvise, MADV_WIPEONFORK },
	{ "new", COMMON_FIRST, 0x3fffffff, 0 },
	{ "new", SYS_statx, SYS_statx, 0 },
	{ "new", SYS_madvise, SYS_madvise, MADV_WIPEONFORK },
};

static const struct {
	const char *name;
	int number;
} errors[] = { { "EACCES", EACCES }, { "EINVAL", EINVAL }, { "ENOSYS", ENOSYS },
	{ "EPERM", EPERM } };

struct program {
	struct sock_filter code[CODE_MAX];
	unsigned short n;
};

static void add(struct program *p, struct sock_filter one)
{
	if (p->n < CODE_MAX)
		p->code[p->n++] = one;
}

static void load(struct program *p, size_t offset)
{
	add(p, (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t) offset));
}

/* Each refusal is five instructions, or seven with an argument, which the next ones begin behind. */
static void refuse(struct program *p, size_t call, int error)
{
	unsigned char rest = calls[call].argument ? 2 : 0;

	load(p, offsetof(struct seccomp_data, nr));
	add(p,
		(struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, calls[call].first, 0,
			(unsigned char) (rest + 2)));
	add(p,
		(struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, calls[call].last,
			(unsigned char) (rest + 1), 0));
	if (calls[call].argument) {
		load(p, offsetof(struct seccomp_data, args[2]));
		add(p,
			(struct sock_filter) BPF_JUMP(
				BPF_JMP | BPF_JEQ | BPF_K, calls[call].argument, 0, 1));
	}
	add(p,
		(struct sock_filter) BPF_STMT(
			BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t) error));
}

static int refuse_as_told(struct program *p, const char *word)
{
	const char *sign = strchr(word, '=');
	size_t len = sign ? (size_t) (sign - word) : 0;
	int error = 0, found = 0;

	for (size_t i = 0; sign && i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(errors[i].name, sign + 1) == 0)
			error = errors[i].number;
	for (size_t i = 0; error && i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strlen(calls[i].name) == len && memcmp(calls[i].name, word, len) == 0) {
			refuse(p, i, error);
			found = 1;
		}
	return found ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
	struct program p = { .n = 0 };
	struct sock_fprog filter = { .filter = p.code };
	int i;

	if (ARCHITECTURE == 0)
		return CANNOT;
	load(&p, offsetof(struct seccomp_data, arch));
	add(&p, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0));
	add(&p, (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (refuse_as_told(&p, argv[i]) < 0) {
			fprintf(stderr, "oldkernel: not a CALL=ERROR: '%s'\n", argv[i]);
			return 2;
		}
	add(&p, (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	filter.len = p.n;
	if (i + 1 >= argc || p.n == CODE_MAX) {
		fprintf(stderr, "usage: oldkernel CALL=ERROR... -- COMMAND [ARGUMENTS]\n");
		return 2;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
		return CANNOT;
	execvp(argv[i + 1], argv + i + 1);
	perror(argv[i + 1]);
	return 126;
}
