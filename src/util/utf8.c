// SPDX-License-Identifier: MIT
#include "util/utf8.h"

#include <stdbool.h>

/* The range that the second byte must be in depends on the first (RFC 3629, section 4). Returns
 * the width that the first byte announces, 0 if no character begins with it. */
static size_t announced(unsigned char first, unsigned char *lowest, unsigned char *highest)
{
	*lowest = 0x80;
	*highest = 0xbf;
	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if (first >= 0xe0 && first <= 0xef) {
		if (first == 0xe0)
			*lowest = 0xa0;
		if (first == 0xed)
			*highest = 0x9f;
		return 3;
	}
	if (first >= 0xf0 && first <= 0xf4) {
		if (first == 0xf0)
			*lowest = 0x90;
		if (first == 0xf4)
			*highest = 0x8f;
		return 4;
	}
	return 0;
}

/* How many of the bytes at s belong to the character that begins there. */
static size_t matching(const unsigned char *s, size_t n, bool *complete)
{
	unsigned char lowest, highest;
	size_t width, have;

	*complete = false;
	if (n == 0)
		return 0;
	width = announced(s[0], &lowest, &highest);
	if (width == 0)
		return 0;
	for (have = 1; have < width && have < n; have++) {
		if (s[have] < lowest || s[have] > highest)
			return have;
		lowest = 0x80;
		highest = 0xbf;
	}
	*complete = have == width;
	return have;
}

size_t utf8_sequence(const unsigned char *s, size_t n)
{
	bool complete;
	size_t have = matching(s, n, &complete);

	return complete ? have : 0;
}

size_t utf8_broken(const unsigned char *s, size_t n)
{
	bool complete;
	size_t have = matching(s, n, &complete);

	return have > 0 ? have : 1;
}
