// SPDX-License-Identifier: MIT
/*
 * A limit on the size of files (ulimit -f): a write beyond it shall fail as on a full disk, and not end the
 * program by SIGXFSZ.
 */
#ifndef PM_TARGET_FILESIZE_H
#define PM_TARGET_FILESIZE_H

/* From now on. */
void filesize_survive(void);

/* In a child before it becomes another program: as it was before filesize_survive(). */
void filesize_restore(void);

#endif
