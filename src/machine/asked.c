// SPDX-License-Identifier: MIT
#include "machine/asked.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/grow.h"

struct entry {
	char *path;
	int error;
	struct buf text;
};

struct asked {
	struct host_watch watch;
	pthread_mutex_t lock;
	/* Under the lock: */
	bool failed; /* no memory for something */
	struct entry *entries;
	size_t n;
	size_t cap;
	/* A hash table of the entries by path, at most half full: an entry's number plus one in the
	 * first free slot from where its hash says; 0 is a free slot. */
	uint32_t *slots;
	size_t n_slots; /* a power of 2 */
};

/* FNV-1a. */
static uint32_t hash_of(const char *path)
{
	uint32_t hash = 2166136261U;

	for (; *path; path++)
		hash = (hash ^ (unsigned char) *path) * 16777619U;
	return hash;
}

/* The slot of a path, or the free one where it belongs. There are slots. */
static uint32_t *slot_of(const struct asked *r, const char *path)
{
	size_t i = hash_of(path) & (r->n_slots - 1);

	while (r->slots[i] && strcmp(r->entries[r->slots[i] - 1].path, path) != 0)
		i = (i + 1) & (r->n_slots - 1);
	return &r->slots[i];
}

/* Makes the table twice as large when it is half full. False without memory for it. */
static bool grow_slots(struct asked *r)
{
	size_t n_slots = r->n_slots ? r->n_slots * 2 : 128;
	uint32_t *slots;

	if (r->n < r->n_slots / 2)
		return true;
	slots = calloc(n_slots, sizeof(*slots));
	if (!slots)
		return false;
	free(r->slots);
	r->slots = slots;
	r->n_slots = n_slots;
	for (uint32_t i = 0; i < r->n; i++)
		*slot_of(r, r->entries[i].path) = i + 1;
	return true;
}

/* One more entry; NULL if there is no room. */
static struct entry *add(struct asked *r, const char *path)
{
	struct entry *entries;
	char *copy;

	if (r->n == ASKED_MAX_PATHS || !grow_slots(r))
		return NULL;
	entries = grow_list(r->entries, r->n, &r->cap, sizeof(*entries));
	if (!entries)
		return NULL;
	r->entries = entries;
	copy = strdup(path);
	if (!copy)
		return NULL;
	*slot_of(r, path) = (uint32_t) r->n + 1;
	entries[r->n] = (struct entry) { .path = copy, .text = BUF_INIT };
	return &entries[r->n++];
}

/* With the lock held. NULL if there is no room. */
static struct entry *find(struct asked *r, const char *path)
{
	uint32_t number = r->n_slots ? *slot_of(r, path) : 0;
	struct entry *e = number ? &r->entries[number - 1] : add(r, path);

	r->failed |= !e;
	return e;
}

static void asked(void *ctx, const char *path, int error)
{
	struct asked *r = ctx;
	struct entry *e;

	/* Nothing outside of the root is to be copied, and no path that would be cut. */
	if (*path != '/' || strstr(path, "/..") ||
		strlen(path) >= sizeof(((struct asked_path *) 0)->path))
		return;
	pthread_mutex_lock(&r->lock);
	e = find(r, path);
	if (e)
		e->error = error;
	pthread_mutex_unlock(&r->lock);
}

/* The text with the line that begins with key replaced, or with one more. */
static void put_line(struct buf *text, const char *key, const char *line)
{
	struct buf old = *text;

	*text = BUF_INIT;
	for (const char *at = buf_text(&old); *at;) {
		size_t n = strcspn(at, "\n");

		if (strncmp(at, key, strlen(key)) != 0) {
			buf_append(text, at, n);
			buf_char(text, '\n');
		}
		at += n + (at[n] == '\n');
	}
	buf_str(text, line);
	buf_finish(&old);
}

static void told(void *ctx, const char *path, const char *key, const char *text)
{
	struct asked *r = ctx;
	struct entry *e;

	pthread_mutex_lock(&r->lock);
	e = find(r, path);
	if (e) {
		if (key) {
			put_line(&e->text, key, text);
		} else {
			buf_reset(&e->text);
			buf_str(&e->text, text);
		}
		buf_char(&e->text, '\n');
		r->failed |= e->text.failed;
	}
	pthread_mutex_unlock(&r->lock);
}

int asked_create(struct asked **ret)
{
	struct asked *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	pthread_mutex_init(&r->lock, NULL);
	r->watch = (struct host_watch) { .asked = asked, .told = told, .ctx = r };
	*ret = r;
	return 0;
}

void asked_destroy(struct asked *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++) {
		free(r->entries[i].path);
		buf_finish(&r->entries[i].text);
	}
	free(r->entries);
	free(r->slots);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

const struct host_watch *asked_watch(const struct asked *r)
{
	return &r->watch;
}

size_t asked_n(struct asked *r)
{
	size_t n;

	pthread_mutex_lock(&r->lock);
	n = r->n;
	pthread_mutex_unlock(&r->lock);
	return n;
}

int asked_get(struct asked *r, size_t i, struct asked_path *ret)
{
	int error = 0;

	pthread_mutex_lock(&r->lock);
	if (r->failed) {
		error = -ENOMEM;
	} else {
		struct entry *e = &r->entries[i];

		ret->error = e->error;
		ret->text = e->text.data ? strdup(e->text.data) : NULL;
		snprintf(ret->path, sizeof(ret->path), "%s", e->path);
		if (e->text.data && !ret->text)
			error = -ENOMEM;
	}
	pthread_mutex_unlock(&r->lock);
	return error;
}
