// SPDX-License-Identifier: MIT
/*
 * A growing JSON log that is a finished JSON file whenever anybody opens it: after kill -9, on a
 * full disk, in the middle of a write.
 *
 * There are two files of the same content. Entries that the hidden one lacks are written into it;
 * then it takes the log's name by link and rename, and the two change places. Whoever opened the
 * log before may read on undisturbed until the next change but one. Where the file system has no
 * hard links the log is written over in place, with room reserved first.
 */
#ifndef PM_SINKS_JSONFILE_H
#define PM_SINKS_JSONFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Entries that wait for room on the disk: so many bytes of them at most. */
#define JSONFILE_WAIT_MAX (1024 * 1024)

struct jsonfile;

/* Opens or makes DIR/NAME.json; bracket is '{' or '['. An existing log is continued; one that is
 * torn is cut back to its last whole entry, and the torn file is kept as NAME.torn.N.json.
 * ret_note tells about that in words, or is empty. Returns 0, or -errno with the reason in
 * ret_note. */
int jsonfile_open(struct jsonfile **ret, const char *dir, const char *name, char bracket,
	char *ret_note, size_t n);

/* The key of the last entry, "" if there is none. */
const char *jsonfile_last_key(const struct jsonfile *f);

/* Adds an entry, without comma: "key": value for '{', a value for '['. It is in the file after the
 * next flush. key is its key, kept as the last. Returns false if there was no room for it. */
bool jsonfile_add(struct jsonfile *f, const char *key, const char *entry, size_t n);

/* Writes what waits. Returns 0 or -errno; then everything waits for the next time. */
int jsonfile_flush(struct jsonfile *f);

/* Brings the file onto the disk. Returns 0 or -errno. */
int jsonfile_sync(struct jsonfile *f);

/* Closes the log under the name NAME.KEY.json, KEY being its last key, and begins a new one. What
 * waits goes into the old one first. Returns 0 or -errno, and then nothing has changed. */
int jsonfile_turn_over(struct jsonfile *f);

/* Begins a new log if the old one was moved away or removed by somebody else. */
int jsonfile_reopen(struct jsonfile *f);

uint64_t jsonfile_size(const struct jsonfile *f);
uint64_t jsonfile_waiting(const struct jsonfile *f); /* entries */
uint64_t jsonfile_lost(const struct jsonfile *f);

/* Whether the file system makes it write in place. */
bool jsonfile_in_place(const struct jsonfile *f);

/* For tests: does so from now on. */
void jsonfile_force_in_place(struct jsonfile *f);

/* Closes without flushing; takes NULL. The hidden twin is removed. */
void jsonfile_close(struct jsonfile *f);

/* Whether a directory is on a file system with hard links. */
bool jsonfile_dir_has_links(int dir_fd);

#endif
