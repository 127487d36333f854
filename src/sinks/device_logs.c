// SPDX-License-Identifier: MIT
#include "sinks/device_logs.h"

#include <stdio.h>
#include <string.h>

int device_logs_open(
	struct device_logs *l, const struct sink *s, int which, char *ret_note, size_t n)
{
	char note[SINK_WHY_MAX];
	size_t len = strlen(ret_note);
	int r = jsonfile_open(
		&l->files[which], s->options.path, l->names[which], l->bracket, note, sizeof(note));

	/* Several files may have something to tell; the notes follow each other. */
	if (*note && len < n)
		snprintf(ret_note + len, n - len, "%s%s", len ? "; " : "", note);
	if (r == 0)
		l->begun[which] = true;
	return r;
}

bool device_logs_need(struct device_logs *l, const struct sink *s, int which)
{
	char note[SINK_WHY_MAX] = "";
	int r;

	if (l->files[which])
		return true;
	r = device_logs_open(l, s, which, note, sizeof(note));
	if (r == 0)
		return true;
	l->pending_error = r;
	l->lost++;
	return false;
}

void device_logs_add(struct device_logs *l, int which, const char *key, const char *entry, size_t n)
{
	jsonfile_add(l->files[which], key, entry, n);
	l->unsynced = true;
}

static int turn_over(struct device_logs *l, int which)
{
	int r = jsonfile_turn_over(l->files[which]);

	if (r == 0)
		l->begun[which] = true;
	return r;
}

void device_logs_turn_over(struct device_logs *l, int which)
{
	int r = turn_over(l, which);

	if (r < 0)
		l->pending_error = r;
}

int device_logs_flush(struct device_logs *l, struct sink *s, bool sync)
{
	uint64_t waiting = 0, lost = l->lost;
	int error = l->pending_error;

	l->pending_error = 0;
	for (int i = 0; i < LOG_COUNT; i++) {
		struct jsonfile *f = l->files[i];
		int r;

		if (!f)
			continue;
		r = jsonfile_flush(f);
		if (r == 0 && s->options.max_bytes && jsonfile_size(f) > s->options.max_bytes)
			r = turn_over(l, i);
		if (r == 0 && sync && l->unsynced)
			r = jsonfile_sync(f);
		if (r < 0)
			error = r;
		waiting += jsonfile_waiting(f);
		lost += jsonfile_lost(f);
	}
	if (sync && !error)
		l->unsynced = false;
	s->health.error = error;
	s->health.waiting = waiting;
	s->health.lost = lost;
	return error;
}

int device_logs_reopen(struct device_logs *l)
{
	int error = 0;

	for (int i = 0; i < LOG_COUNT; i++) {
		int r = l->files[i] ? jsonfile_reopen(l->files[i]) : 0;

		if (r < 0)
			error = r;
	}
	return error;
}

void device_logs_finish(struct device_logs *l)
{
	for (int i = 0; i < LOG_COUNT; i++)
		jsonfile_close(l->files[i]);
}
