// SPDX-License-Identifier: MIT
#include "machine/privacy.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "util/cleanup.h"

#define ADDRESS_LENGTH 17 /* of 01:23:45:67:89:ab */

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (strcasecmp(name, *names) == 0)
			return true;
	return false;
}

bool privacy_is_private(const char *path)
{
	static const char *const names[] = { "serial_number", "serial", "serial-number", "uniq",
		"unique_id", "uuid", "product_uuid", "product_serial", "board_serial",
		"chassis_serial", "address", "hostname", "cmdline", "environ", NULL };
	const char *slash = strrchr(path, '/');

	return is_one_of(slash ? slash + 1 : path, names);
}

static bool is_kept(const char *line, size_t n, const char *const *keys)
{
	for (; *keys; keys++)
		if (strlen(*keys) <= n && strncmp(line, *keys, strlen(*keys)) == 0)
			return true;
	return false;
}

static bool is_serial(const char *line, size_t n)
{
	size_t key = strcspn(line, ":");

	for (size_t i = 0; i + 6 <= key && i + 6 <= n; i++)
		if (strncasecmp(line + i, "serial", 6) == 0)
			return true;
	return false;
}

void privacy_filter(const char *path, struct buf *text)
{
	static const char *const keys[] = { "DRIVER=", "PCI_CLASS=", "PCI_ID=", "PCI_SLOT_NAME=",
		"OF_NAME=", "OF_FULLNAME=", NULL };
	const char *slash = strrchr(path, '/');
	bool uevent = slash && strcmp(slash, "/uevent") == 0;
	bool cpuinfo = slash && strcmp(slash, "/cpuinfo") == 0;
	struct buf old = *text;

	if (!uevent && !cpuinfo)
		return;
	*text = BUF_INIT;
	for (const char *at = buf_text(&old); *at;) {
		size_t n = strcspn(at, "\n");

		n += at[n] == '\n';
		if (uevent ? is_kept(at, n, keys) : !is_serial(at, n))
			buf_append(text, at, n);
		at += n;
	}
	buf_finish(&old);
}

/* Six pairs of hexadecimal digits with one mark between, : or - or _. */
static bool is_address(const char *text)
{
	char mark = '\0';

	if (text[0] && text[1])
		mark = text[2];
	if (mark != ':' && mark != '-' && mark != '_')
		return false;
	for (size_t i = 0; i < ADDRESS_LENGTH; i++)
		if (i % 3 == 2 ? text[i] != mark : !isxdigit((unsigned char) text[i]))
			return false;
	return !isxdigit((unsigned char) text[ADDRESS_LENGTH]);
}

void privacy_hide_addresses(char *text)
{
	bool within = false; /* a word that began before */

	for (; *text; text++) {
		if (!within && is_address(text)) {
			for (size_t i = 0; i < ADDRESS_LENGTH; i++)
				if (i % 3 != 2)
					text[i] = '0';
			text += ADDRESS_LENGTH - 1;
		}
		within = isxdigit((unsigned char) *text);
	}
}
