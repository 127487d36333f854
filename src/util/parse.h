// SPDX-License-Identifier: MIT
/*
 * Numbers out of text, strictly: the whole text must be the number, overflow is an error. All
 * return 0, -EINVAL (no number) or -ERANGE (too large), and leave the output alone on error.
 */
#ifndef PM_UTIL_PARSE_H
#define PM_UTIL_PARSE_H

#include <stddef.h>
#include <stdint.h>

/* Decimal digits only; one trailing newline (and blanks before it) is allowed, as sysfs writes it. */
int parse_u64(const char *text, uint64_t *ret);

/* As parse_u64, with an optional sign: currents and temperatures may be negative. */
int parse_i64(const char *text, int64_t *ret);

/* A decimal fraction such as "0.5" or "12", as an integer in units of 10^-digits, rounded down.
 * No exponent, no sign. */
int parse_fixed(const char *text, unsigned digits, uint64_t *ret);

/* A decimal with or without fraction and exponent, times 10^shift, exactly, as a reduced fraction:
 * "2.5e-1" with shift 1 is 5/2. No sign. -ERANGE also where numerator or denominator need more than
 * 64 bits. */
int parse_ratio(const char *text, int shift, uint64_t *ret_num, uint64_t *ret_den);

/* Bytes: digits and an optional K, M or G (powers of 1024). */
int parse_size(const char *text, uint64_t *ret);

/* Hexadecimal digits without prefix. */
int parse_hex_u64(const char *text, uint64_t *ret);

#endif
