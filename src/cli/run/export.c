// SPDX-License-Identifier: MIT
#include "cli/run/export.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/report/report.h"

void export_json(const struct run_set *set, FILE *out)
{
	if (set->named)
		report_set_json(set, out);
	else
		report_runs_json(&set->reports[0], out);
}

static const struct {
	const char *option;
	void (*write)(const struct run_set *set, FILE *out);
} formats[EXPORT_COUNT] = {
	[EXPORT_JSON] = { "--export-json", export_json },
	[EXPORT_CSV] = { "--export-csv", export_csv },
	[EXPORT_MARKDOWN] = { "--export-markdown", export_markdown },
};

static int open_one(struct export *e)
{
	int fd = cli_open_for_writing(e->path, O_EXCL);

	e->made = fd >= 0 && strcmp(e->path, "-") != 0 && strncmp(e->path, "/dev/", 5) != 0;
	if (fd == -EEXIST)
		fd = cli_open_for_writing(e->path, 0);
	if (fd < 0) {
		errno = -fd;
		return -1;
	}
	e->file = fdopen(fd, "w");
	if (!e->file)
		close(fd);
	return e->file ? 0 : -1;
}

int export_open(struct export *exports)
{
	for (int i = 0; i < EXPORT_COUNT; i++) {
		if (!exports[i].path || open_one(&exports[i]) == 0)
			continue;
		cli_fail("run", "%s %s: %s; the command was not run", formats[i].option,
			exports[i].path, strerror(errno));
		return -1;
	}
	return 0;
}

static int write_one(struct export *e, const struct run_set *set,
	void (*write)(const struct run_set *set, FILE *out))
{
	FILE *file = e->file;
	bool failed = cli_empty_file(e->path, file) < 0;
	int error = errno;

	e->file = NULL;
	e->made = false;
	if (!failed) {
		write(set, file);
		failed = fflush(file) != 0 || ferror(file);
		error = errno;
	}
	if (fclose(file) != 0 && !failed) {
		failed = true;
		error = errno;
	}
	errno = error;
	return failed ? -1 : 0;
}

int export_write(struct export *exports, const struct run_set *set)
{
	int r = 0;

	for (int i = 0; i < EXPORT_COUNT; i++) {
		if (!exports[i].file || write_one(&exports[i], set, formats[i].write) == 0)
			continue;
		cli_fail("run", "%s: %s cannot be written: %s", formats[i].option, exports[i].path,
			strerror(errno));
		r = -1;
	}
	return r;
}

void export_close(struct export *exports)
{
	for (int i = 0; i < EXPORT_COUNT; i++) {
		if (exports[i].file)
			fclose(exports[i].file);
		exports[i].file = NULL;
		if (exports[i].made)
			unlink(exports[i].path);
		exports[i].made = false;
	}
}
