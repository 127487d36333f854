// SPDX-License-Identifier: MIT
/*
 * Temporary directories and the files in them. Everything here fails the test that calls it when
 * something goes wrong, so that tests need no error paths of their own.
 */
#ifndef PM_TEST_FILES_H
#define PM_TEST_FILES_H

#include <stdbool.h>
#include <stddef.h>

#define TMPDIR_MAX 256

struct tmpdir {
	char path[TMPDIR_MAX];
};

/* A new empty directory below $TMPDIR or /tmp. */
struct tmpdir tmpdir_make(void);

/* Removes it with all that is in it; links are not followed. */
void tmpdir_remove(const struct tmpdir *t);

/* DIR/NAME, in a buffer of the caller's. */
#define PATH_SIZE 512
const char *path_in(const char *dir, const char *name, char ret[PATH_SIZE]);

/* Writes a file; directories that are missing are made. */
void file_put(const char *dir, const char *name, const char *text);
void file_put_bytes(const char *dir, const char *name, const void *bytes, size_t n);

/* Makes a directory, with those above it that are missing. */
void dir_put(const char *dir, const char *name);

/* Makes a symbolic link; directories that are missing are made. */
void link_put(const char *dir, const char *name, const char *target);

/* The whole file with a NUL behind it; free() it. ret_n may be NULL. NULL if there is none. */
char *file_get(const char *dir, const char *name, size_t *ret_n);

bool file_exists(const char *dir, const char *name);
void file_remove(const char *dir, const char *name);

/* How many names are in a directory, hidden ones too. */
size_t dir_count(const char *dir);

/* Gives the path of a folder of the sources. */
void source_folder(const char *name, char ret[PATH_SIZE]);

#endif
