// SPDX-License-Identifier: MIT
#include "target/filesize.h"

#include <signal.h>

static void (*before)(int) = SIG_DFL;

void filesize_survive(void)
{
	before = signal(SIGXFSZ, SIG_IGN);
}

void filesize_restore(void)
{
	signal(SIGXFSZ, before == SIG_ERR ? SIG_DFL : before);
}
