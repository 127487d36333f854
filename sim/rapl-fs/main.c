// SPDX-License-Identifier: MIT
/* rapl-fs SCRIPT DIRECTORY: shows a simulated machine's RAPL at a directory until it is ended, in
 * the foreground; "ready" on standard output once it is there. sim/on-rapl-fs shows it at its real
 * place. */
#include "fs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "fault.h"
#include "script.h"

/* Whether this is the machine's root and not that of a user namespace. */
static bool is_root(void)
{
	unsigned inside, outside, n = 0;
	FILE *map = fopen("/proc/self/uid_map", "re");

	if (map && fscanf(map, "%u %u %u", &inside, &outside, &n) != 3)
		n = 0;
	if (map)
		fclose(map);
	return geteuid() == 0 && n == UINT32_MAX;
}

/* Root lets other users in. What a user mounts in a namespace is seen by him also from outside of
 * it, but only if others are not let in. */
static int take_options(struct fuse_args *args)
{
	if (fuse_opt_add_arg(args, "rapl-fs") < 0 ||
		fuse_opt_add_arg(args, "-odefault_permissions,fsname=rapl-fs") < 0)
		return -ENOMEM;
	return is_root() && fuse_opt_add_arg(args, "-oallow_other") < 0 ? -ENOMEM : 0;
}

static int serve(struct fs *fs, const char *directory)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse *fuse = NULL;
	int r = take_options(&args);

	if (r == 0)
		fuse = fuse_new(&args, &fs_operations, sizeof(fs_operations), fs);
	if (!fuse || fuse_mount(fuse, directory) != 0) {
		fprintf(stderr, "rapl-fs: cannot mount at '%s'\n", directory);
		r = -EIO;
	} else {
		fuse_set_signal_handlers(fuse_get_session(fuse));
		puts("ready");
		fflush(stdout);
		r = fuse_loop_mt(fuse, 0);
		fuse_remove_signal_handlers(fuse_get_session(fuse));
		fuse_unmount(fuse);
		/* Ended by a signal is ended as it should be. */
		r = r > 0 ? 0 : r;
	}
	if (fuse)
		fuse_destroy(fuse);
	fuse_opt_free_args(&args);
	return r;
}

static int begin(struct world *w, const struct script *script)
{
	double phase = (double) (world_random(w, 0, UINT64_MAX - 2) >> 11) / (double) (1ULL << 53);
	uint64_t now_ns = world_now_ns();
	int r = w->loads ? loads_start(w->loads, now_ns, phase) : 0;

	world_begin(w, now_ns);
	if (r < 0) {
		fprintf(stderr, "rapl-fs: cannot watch loads: %s\n", strerror(-r));
		return r;
	}
	r = script_add_faults(script, w, now_ns);
	if (r < 0)
		fprintf(stderr, "rapl-fs: %s\n", w->refused);
	return r;
}

int main(int argc, char **argv)
{
	static struct world world;
	struct script script;
	struct fs fs = { .world = &world };
	struct tree *tree = NULL;
	char why[256];
	int r;

	/* A starter that is killed leaves no mount behind. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (argc != 3) {
		fprintf(stderr, "usage: rapl-fs SCRIPT DIRECTORY\n");
		return 2;
	}
	if (script_load(argv[1], &world, &script, why, sizeof(why)) < 0) {
		fprintf(stderr, "rapl-fs: %s\n", why);
		return 2;
	}
	r = begin(&world, &script);
	if (r == 0)
		r = tree_create(&world, script.files, &tree);
	fs.tree = tree;
	if (r == 0)
		r = serve(&fs, argv[2]);
	tree_destroy(tree);
	script_finish(&script);
	world_finish(&world);
	return r == 0 ? 0 : 1;
}
