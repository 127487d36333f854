// SPDX-License-Identifier: MIT
#include "machine/captured.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine/clock.h"
#include "util/cleanup.h"

/* Those that move hold a number or a few lines. */
#define TEXT_MAX 4096
#define FILES_MAX 1024

/* One file that differs, in memory. */
struct moving {
	char *path;
	int fd;
	char *texts[2];
	size_t lengths[2];
};

struct captured {
	pthread_mutex_t lock;
	uint64_t interval_ns;
	char time[CAPTURED_TIME_MAX];
	json_t *denied; /* paths */
	bool later;
	struct moving *files;
	size_t n_files;
};

static bool read_json(const char *text, struct captured *c)
{
	json_t *json = json_loads(text, 0, NULL);
	const json_t *interval = json_object_get(json, "interval_s");
	const char *time = json_string_value(
		json_object_get(json_array_get(json_object_get(json, "readings"), 0), "time"));
	double seconds = json_number_value(interval);
	bool fits = json_is_number(interval) && seconds > 0.001 && seconds < 3600 && time;

	if (fits) {
		c->interval_ns = (uint64_t) (seconds * 1e9);
		snprintf(c->time, sizeof(c->time), "%s", time);
	}
	c->denied = json_incref(json_object_get(json, "denied"));
	json_decref(json);
	return fits;
}

int captured_create(struct captured **ret, const char *json)
{
	struct captured *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	if (!read_json(json, c)) {
		captured_destroy(c);
		return -EINVAL;
	}
	*ret = c;
	return 0;
}

static void free_file(struct moving *m)
{
	close_fd(&m->fd);
	free(m->path);
	free(m->texts[0]);
	free(m->texts[1]);
}

void captured_destroy(struct captured *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_files; i++)
		free_file(&c->files[i]);
	free(c->files);
	json_decref(c->denied);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static int read_whole(int fd, char *ret, size_t *ret_n)
{
	size_t len = 0;

	while (len < TEXT_MAX) {
		ssize_t n = pread(fd, ret + len, TEXT_MAX - len, (off_t) len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) {
			*ret_n = len;
			return 0;
		}
		len += (size_t) n;
	}
	return -EFBIG;
}

static int show(const struct moving *m, bool later)
{
	size_t length = m->lengths[later];
	ssize_t n = pwrite(m->fd, m->texts[later], length, 0);

	if (n < 0 || ftruncate(m->fd, (off_t) length) < 0)
		return -errno;
	return (size_t) n == length ? 0 : -EIO;
}

static int read_both(struct moving *m, int first_fd, int later_fd)
{
	const int fds[2] = { first_fd, later_fd };

	for (size_t i = 0; i < 2; i++) {
		int r;

		m->texts[i] = malloc(TEXT_MAX);
		if (!m->texts[i])
			return -ENOMEM;
		r = read_whole(fds[i], m->texts[i], &m->lengths[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static struct moving *find(struct captured *c, const char *path)
{
	for (size_t i = 0; i < c->n_files; i++)
		if (strcmp(c->files[i].path, path) == 0)
			return &c->files[i];
	return NULL;
}

/* With the lock held. */
static int add(struct captured *c, const char *path, int first_fd, int later_fd)
{
	struct moving m = { .fd = -1 }, *files;
	int r = c->n_files == FILES_MAX ? -EMFILE : 0;

	if (r == 0)
		r = read_both(&m, first_fd, later_fd);
	if (r == 0) {
		m.path = strdup(path);
		m.fd = m.path ? memfd_create("captured", MFD_CLOEXEC) : -1;
		r = m.fd >= 0 ? show(&m, c->later) : m.path ? -errno : -ENOMEM;
	}
	files = r == 0 ? realloc(c->files, (c->n_files + 1) * sizeof(*files)) : NULL;
	if (!files) {
		free_file(&m);
		return r < 0 ? r : -ENOMEM;
	}
	c->files = files;
	c->files[c->n_files++] = m;
	return 0;
}

int captured_open_file(struct captured *c, const char *path, int first_fd, int later_fd)
{
	char own[40];
	int r = 0;

	pthread_mutex_lock(&c->lock);
	if (!find(c, path))
		r = add(c, path, first_fd, later_fd);
	if (r == 0) {
		/* A descriptor with a position of its own, as each opening of a file gives. */
		snprintf(own, sizeof(own), "/proc/self/fd/%d", find(c, path)->fd);
		r = open(own, O_RDONLY | O_CLOEXEC);
		r = r < 0 ? -errno : r;
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

bool captured_is_denied(const struct captured *c, const char *path)
{
	for (size_t i = 0; i < json_array_size(c->denied); i++) {
		const char *denied = json_string_value(json_array_get(c->denied, i));

		if (denied && strcmp(denied, path) == 0)
			return true;
	}
	return false;
}

void captured_turn(struct captured *c, bool later)
{
	pthread_mutex_lock(&c->lock);
	c->later = later;
	for (size_t i = 0; i < c->n_files; i++)
		show(&c->files[i], later);
	pthread_mutex_unlock(&c->lock);
}

uint64_t captured_interval_ns(const struct captured *c)
{
	return c->interval_ns;
}

const char *captured_time(const struct captured *c)
{
	return c->time;
}
