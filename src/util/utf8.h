// SPDX-License-Identifier: MIT
/*
 * UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF.
 */
#ifndef PM_UTIL_UTF8_H
#define PM_UTIL_UTF8_H

#include <stddef.h>

/* The length in bytes of the well-formed character at s (n bytes are there), or 0 if there is none. */
size_t utf8_sequence(const unsigned char *s, size_t n);

/* How many bytes at s one U+FFFD stands for: the longest start of a well-formed character that is
 * there, at least 1 (the practice that the Unicode standard recommends, chapter 3.9). */
size_t utf8_broken(const unsigned char *s, size_t n);

#endif
