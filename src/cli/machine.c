// SPDX-License-Identifier: MIT
/*
 * The machine and its sensors, opened for a command, and what is wrong with that said in its name.
 */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "util/fdroom.h"

/* What a command needs on a small machine, with a margin. */
#define FEWEST_FILES 24

int cli_open_host(struct host *ret, const char *command, const char *root)
{
	char why[128];
	int r = fdroom_check(FEWEST_FILES, why, sizeof(why));

	/* Else sensors would name other reasons: what cannot be opened looks as if it were not there. */
	if (r < 0)
		return cli_fail(command, "%s", why);
	r = host_init(ret, root, &clock_system);
	if (r == -ENOSYS)
		return cli_fail(command, HOST_NO_PROC_FIX);
	if (r < 0)
		return cli_fail(command, "--root %s: %s", root ? root : "/", strerror(-r));
	return CLI_DONE;
}

int cli_open_rig(
	struct rig **ret, struct host *host, const char *command, const struct rig_options *options)
{
	const char *bad_name;
	int r = rig_open(ret, host, options, &bad_name);

	if (r < 0)
		return cli_fail(command, "%s", strerror(-r));
	return CLI_DONE;
}
