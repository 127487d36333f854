// SPDX-License-Identifier: MIT
#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "answers.h"
#include "fault.h"
#include "util/cleanup.h"

#define TRUTH_DIR "/truth/"
#define NS_PER_S UINT64_C(1000000000)
/* Larger than any file of this machine that is shown. */
#define THERE_MAX (1024 * 1024)

/* An opened file. Its text is made by a read at 0 and kept for those behind it. */
struct handle {
	pthread_mutex_t lock;
	const struct node *node; /* NULL: truth/T */
	unsigned generation;     /* of the zone, when it was opened */
	uint64_t t_ns;           /* of truth/T */
	char *text;
	size_t n;
};

static struct fs *this_fs(void)
{
	return fuse_get_context()->private_data;
}

/* ---- what is there ---------------------------------------------------------------------- */

/* A zone's generation, and whether the zone is there. */
static bool zone_is_there(struct world *w, size_t zone, unsigned *ret_generation)
{
	struct effect effect;

	pthread_mutex_lock(&w->lock);
	faults_advance(w, world_now_ns());
	fault_effect(w, zone, &effect);
	*ret_generation = effect.generation;
	pthread_mutex_unlock(&w->lock);
	return !effect.vanished;
}

static const struct node *find_there(const char *path)
{
	const struct node *node = tree_find(this_fs()->tree, path);
	unsigned generation;

	if (node && node->zone != NO_ZONE &&
		!zone_is_there(this_fs()->world, node->zone, &generation))
		return NULL;
	return node;
}

static bool is_truth(const char *path, uint64_t *ret_ns)
{
	const char *name = path + strlen(TRUTH_DIR);
	char *end;

	if (strncmp(path, TRUTH_DIR, strlen(TRUTH_DIR)) != 0 || *name < '0' || *name > '9')
		return false;
	errno = 0;
	*ret_ns = strtoull(name, &end, 10);
	return *end == '\0' && errno == 0;
}

static int fs_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	const struct node *node = find_there(path);
	uint64_t t_ns;

	(void) fi;
	*st = (struct stat) { .st_uid = getuid(), .st_gid = getgid(), .st_nlink = 1 };
	if (!node && is_truth(path, &t_ns)) {
		st->st_mode = S_IFREG | 0444;
		return 0;
	}
	if (!node)
		return -ENOENT;
	st->st_mode = (node->type == NODE_DIR                   ? S_IFDIR
				      : node->type == NODE_LINK ? S_IFLNK
								: S_IFREG) |
		node->mode;
	/* As sysfs: a page, whatever is in it. */
	st->st_size = node->type == NODE_LINK ? (off_t) strlen(node->text)
		: node->type == NODE_DIR      ? 0
					      : 4096;
	return 0;
}

static int fs_readlink(const char *path, char *ret, size_t n)
{
	const struct node *node = find_there(path);

	if (!node || node->type != NODE_LINK)
		return node ? -EINVAL : -ENOENT;
	snprintf(ret, n, "%s", node->text);
	return 0;
}

static int fs_readdir(const char *path, void *to, fuse_fill_dir_t fill, off_t offset,
	struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	const struct tree *t = this_fs()->tree;

	(void) offset;
	(void) fi;
	(void) flags;
	fill(to, ".", NULL, 0, 0);
	fill(to, "..", NULL, 0, 0);
	for (size_t i = 0; i < t->n; i++) {
		const char *name = tree_name_in(&t->nodes[i], path);

		if (name && find_there(t->nodes[i].path))
			fill(to, name, NULL, 0, 0);
	}
	return 0;
}

/* ---- open files ------------------------------------------------------------------------- */

static int fs_open(const char *path, struct fuse_file_info *fi)
{
	const struct node *node = find_there(path);
	struct handle *h;
	uint64_t t_ns = 0;

	if (!node && !is_truth(path, &t_ns))
		return -ENOENT;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	pthread_mutex_init(&h->lock, NULL);
	h->node = node;
	h->t_ns = t_ns;
	if (node && node->zone != NO_ZONE &&
		!zone_is_there(this_fs()->world, node->zone, &h->generation)) {
		free(h);
		return -ENOENT;
	}
	fi->fh = (uint64_t) (uintptr_t) h;
	/* Each read is answered anew, whatever the size that stat() shows. */
	fi->direct_io = 1;
	return 0;
}

static int fs_release(const char *path, struct fuse_file_info *fi)
{
	struct handle *h = (struct handle *) (uintptr_t) fi->fh;

	(void) path;
	pthread_mutex_destroy(&h->lock);
	free(h->text);
	free(h);
	return 0;
}

/* ---- reading ---------------------------------------------------------------------------- */

static void sleep_ns(uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t) (ns / NS_PER_S),
		.tv_nsec = (long) (ns % NS_PER_S) };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR)
		;
}

/* A read: what holds of the zone at its begin. Reads of a zone that has vanished count, too. */
static void begin_read(struct world *w, size_t zone, struct effect *ret, bool *ret_late)
{
	uint64_t now_ns = world_now_ns();

	pthread_mutex_lock(&w->lock);
	faults_advance(w, now_ns);
	faults_count_read(w, zone, now_ns);
	fault_effect(w, zone, ret);
	*ret_late = ret->late < 0 ? world_random(w, zone + ZONES_MAX, w->zones[zone].reads) & 1
				  : ret->late == 1;
	pthread_mutex_unlock(&w->lock);
}

static int count_now(struct world *w, size_t zone, const struct effect *effect, uint64_t *ret)
{
	int r = 0;

	pthread_mutex_lock(&w->lock);
	if (effect->stuck)
		*ret = effect->frozen;
	else
		r = world_count(w, zone, world_now_ns(), ret);
	if (r == 0)
		*ret = (*ret + effect->shift) & counter_mask(&w->zones[zone].counter);
	pthread_mutex_unlock(&w->lock);
	return r;
}

static int read_energy(struct world *w, const struct handle *h, char **ret)
{
	size_t zone = h->node->zone;
	struct effect effect;
	uint64_t count = 0;
	bool late;
	int r = 0;

	begin_read(w, zone, &effect, &late);
	if (effect.slow_ns > 0 && !late)
		r = count_now(w, zone, &effect, &count);
	if (effect.slow_ns > 0)
		sleep_ns(effect.slow_ns);
	if (effect.vanished || h->generation != effect.generation)
		return -ENODEV;
	if (effect.error)
		return -effect.error;
	if (r == 0 && (effect.slow_ns == 0 || late))
		r = count_now(w, zone, &effect, &count);
	if (r < 0)
		return r;
	return asprintf(ret, "%" PRIu64 "\n", counter_shown_uj(&w->zones[zone].counter, count)) < 0
		? -ENOMEM
		: 0;
}

static int read_there(const char *path, char **ret)
{
	CLEANUP_FREE char *text = malloc(THERE_MAX);
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t n = 0;
	ssize_t got = 1;

	if (!text || fd < 0)
		return text ? -errno : -ENOMEM;
	while (got > 0 && n < THERE_MAX - 1) {
		got = read(fd, text + n, THERE_MAX - 1 - n);
		n += got > 0 ? (size_t) got : 0;
	}
	if (got < 0)
		return -errno;
	text[n] = '\0';
	*ret = take_ptr(text);
	return 0;
}

static int make_text(struct world *w, const struct handle *h, char **ret)
{
	errno = 0;
	if (!h->node)
		*ret = answer_truth(w, h->t_ns);
	else if (h->node->type == NODE_ENERGY)
		return read_energy(w, h, ret);
	else if (h->node->type == NODE_THERE)
		return read_there(h->node->path, ret);
	else if (h->node->type == NODE_STATUS)
		*ret = answer_status(w);
	else if (h->node->type == NODE_TEXT)
		*ret = strdup(h->node->text);
	else
		return -EACCES;
	return *ret ? 0 : errno ? -errno : -ENOMEM;
}

/* A file of a zone that has vanished, or had since it was opened. */
static bool is_dead(struct world *w, const struct handle *h)
{
	unsigned generation;

	if (!h->node || h->node->zone == NO_ZONE || h->node->type == NODE_ENERGY)
		return false;
	return !zone_is_there(w, h->node->zone, &generation) || generation != h->generation;
}

/* The handle's lock is held. */
static int read_handle(struct handle *h, char *to, size_t n, off_t offset)
{
	struct world *w = this_fs()->world;
	char *text = NULL;
	int r = is_dead(w, h) ? -ENODEV : 0;

	if (r == 0 && (offset == 0 || !h->text)) {
		r = make_text(w, h, &text);
		if (r == 0) {
			free(h->text);
			h->text = text;
			h->n = strlen(text);
		}
	}
	if (r < 0)
		return r;
	if ((size_t) offset >= h->n)
		return 0;
	if (n > h->n - (size_t) offset)
		n = h->n - (size_t) offset;
	memcpy(to, h->text + offset, n);
	return (int) n;
}

static int fs_read(const char *path, char *to, size_t n, off_t offset, struct fuse_file_info *fi)
{
	struct handle *h = (struct handle *) (uintptr_t) fi->fh;
	int r;

	(void) path;
	pthread_mutex_lock(&h->lock);
	r = read_handle(h, to, n, offset);
	pthread_mutex_unlock(&h->lock);
	return r;
}

/* ---- writing ---------------------------------------------------------------------------- */

/* "PID WATTS" */
static int add_load(struct world *w, const char *line)
{
	double watts;
	int pid;

	if (sscanf(line, "%d %lf", &pid, &watts) != 2 || pid <= 0 || !(watts >= 0 && watts <= 1e6))
		return -EINVAL;
	if (!w->loads)
		return -ENODEV;
	return loads_add(w->loads, pid, (uint64_t) llround(watts * 1e3));
}

static int write_line(struct world *w, const struct node *node, const char *line)
{
	uint64_t now_ns = world_now_ns();
	int r = -EACCES;

	if (node->type == NODE_LOAD)
		return add_load(w, line);
	pthread_mutex_lock(&w->lock);
	if (node->type == NODE_FAULT)
		r = fault_add(w, node->fault, line, now_ns);
	else if (node->type == NODE_BACK || node->type == NODE_CLEAR)
		r = fault_end(w, line, node->type == NODE_BACK, now_ns);
	pthread_mutex_unlock(&w->lock);
	return r;
}

static int fs_write(
	const char *path, const char *from, size_t n, off_t offset, struct fuse_file_info *fi)
{
	struct handle *h = (struct handle *) (uintptr_t) fi->fh;
	char line[256];
	int r;

	(void) path;
	(void) offset;
	if (n >= sizeof(line))
		return -EINVAL;
	memcpy(line, from, n);
	line[n] = '\0';
	r = h->node ? write_line(this_fs()->world, h->node, line) : -EACCES;
	return r < 0 ? r : (int) n;
}

/* A shell's > does that first. */
static int fs_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
	(void) path;
	(void) size;
	(void) fi;
	return 0;
}

static void *fs_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
	(void) connection;
	/* The kernel remembers nothing: zones come and go. */
	config->entry_timeout = 0;
	config->attr_timeout = 0;
	config->negative_timeout = 0;
	config->direct_io = 1;
	return this_fs();
}

const struct fuse_operations fs_operations = {
	.getattr = fs_getattr,
	.readlink = fs_readlink,
	.readdir = fs_readdir,
	.open = fs_open,
	.release = fs_release,
	.read = fs_read,
	.write = fs_write,
	.truncate = fs_truncate,
	.init = fs_init,
};
