// SPDX-License-Identifier: MIT
/*
 * What a log is made of, for util/jsonfile*.c alone.
 *
 *   jsonfile.c        opening, repairing, turning over, opening again
 *   jsonfile_files.c  the two files: making them, and their names
 *   jsonfile_flush.c  bringing entries into them
 */
#ifndef PM_SINKS_JSONFILE_STATE_H
#define PM_SINKS_JSONFILE_STATE_H

#include "util/buf.h"
#include "sinks/jsonfile.h"

/* So much of a log is looked at when it is opened, and copied at a time. */
#define JSONFILE_TAIL_BYTES (64 * 1024)

struct jsonfile {
	char *dir; /* its name, for when it is deleted and made again */
	int dir_fd;
	char base[32];            /* "CPU" */
	char name[64];            /* "CPU.json" */
	char hidden_names[2][64]; /* ".CPU.json.0" and ".1" */
	int hidden;               /* which of them the hidden file has now */
	char bracket;
	bool in_place;
	char last_key[64];

	int fd;        /* the file that has the log's name ... */
	uint64_t body; /* ... and its length without what closes it */
	bool any;      /* it has entries, also without those that wait */
	int twin_fd;   /* the hidden file: the log without what is in `recent` */
	uint64_t twin_body;
	struct buf recent;

	struct buf waiting; /* added and not in the log yet; no comma at either end */
	uint64_t n_waiting;
	uint64_t n_lost;
	uint64_t reserved; /* in place: bytes of the file that have room on the disk */
	struct buf scratch;
};

static inline const char *jsonfile_closing(const struct jsonfile *f)
{
	return f->bracket == '{' ? "}\n" : "]\n";
}

static inline const char *jsonfile_comma(const struct jsonfile *f)
{
	return f->bracket == '{' ? ", " : ",\n";
}

/* Writes all of it or fails. */
int jsonfile_write_all(int fd, const char *data, size_t n, uint64_t offset);

/* Makes the file `name` a log of the first n bytes of `from` (-1: an empty log), and closes it in
 * the JSON sense. Returns the descriptor. */
int jsonfile_make_log(const struct jsonfile *f, const char *name, int from, uint64_t n);

/* Puts a copy that is ours in the place of a log that may only be read. Returns 0 or -errno. */
int jsonfile_adopt(const struct jsonfile *f);

/* Makes the hidden twin of the log as it is, or removes it. */
int jsonfile_make_twin(struct jsonfile *f);
void jsonfile_drop_twin(struct jsonfile *f);

/* Begins an empty log under the log's name, replacing nothing that is there. */
int jsonfile_begin_empty(struct jsonfile *f);

/* Gives the log another name beside it that is free: "CPU.MIDDLE.json", "CPU.MIDDLE.1.json" ... */
int jsonfile_move_aside(struct jsonfile *f, const char *middle, char *ret, size_t n);

#endif
