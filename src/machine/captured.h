// SPDX-License-Identifier: MIT
/*
 * A copy of a machine that `powermeasure capture` made: two readings, about a second apart. What
 * differs in the second one is below later/ in the copy, and capture.json has the times.
 *
 * Files that differ are handed out as files in memory, so that turning to the other reading changes
 * what shows in all descriptors that are open: sensors see a counter that moves and know of nothing.
 */
#ifndef PM_MACHINE_CAPTURED_H
#define PM_MACHINE_CAPTURED_H

#include <stdbool.h>
#include <stdint.h>

#define CAPTURED_JSON "/capture.json"
#define CAPTURED_JSON_MAX (1024 * 1024)
#define CAPTURED_LATER "/later"
#define CAPTURED_TIME_MAX 64

struct captured;

/* Takes the text of capture.json. Returns 0; -EINVAL if that is of no capture; -ENOMEM. */
int captured_create(struct captured **ret, const char *json);

/* Takes NULL. */
void captured_destroy(struct captured *c);

/* A descriptor of its own for a file that shows what first_fd holds or, once turned, later_fd.
 * Returns it or -errno. From any thread. */
int captured_open_file(struct captured *c, const char *path, int first_fd, int later_fd);

/* Whether the file was there and its user was not allowed to read it. */
bool captured_is_denied(const struct captured *c, const char *path);

void captured_turn(struct captured *c, bool later);

/* From the first reading to the later one. */
uint64_t captured_interval_ns(const struct captured *c);

/* When the first reading was taken, as RFC 3339. */
const char *captured_time(const struct captured *c);

#endif
