// SPDX-License-Identifier: MIT
#include "util/printable.h"

#include <stdbool.h>
#include <string.h>

#include "util/utf8.h"

/* A well-formed character of len bytes; len 0: there is none. */
static bool is_shown(const unsigned char *s, size_t len)
{
	if (len == 1)
		return *s >= 0x20 && *s < 0x7f;
	if (len == 2) /* U+0080 to U+009F */
		return !(s[0] == 0xc2 && s[1] < 0xa0);
	/* U+200B to U+200F, U+2028 to U+202E, U+2066 to U+2069 */
	if (len == 3 && s[0] == 0xe2 && s[1] == 0x80)
		return !((s[2] >= 0x8b && s[2] <= 0x8f) || (s[2] >= 0xa8 && s[2] <= 0xae));
	if (len == 3 && s[0] == 0xe2 && s[1] == 0x81)
		return !(s[2] >= 0xa6 && s[2] <= 0xa9);
	return len > 0;
}

void printable_copy(const char *text, char *ret, size_t n)
{
	const unsigned char *s = (const unsigned char *) text;
	size_t left = strlen(text), at = 0;

	while (left > 0) {
		size_t len = utf8_sequence(s, left);
		bool shown = is_shown(s, len);
		size_t put = shown ? len : 1;

		if (at + put >= n)
			break;
		len = len ? len : utf8_broken(s, left);
		if (shown)
			memmove(ret + at, s, put);
		else
			ret[at] = '?';
		at += put;
		s += len;
		left -= len;
	}
	ret[at] = '\0';
}

void printable(char *text)
{
	printable_copy(text, text, strlen(text) + 1);
}
