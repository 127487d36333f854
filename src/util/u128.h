// SPDX-License-Identifier: MIT
/* The compiler's 128-bit integer under a name that pedantic warnings accept: products of energy
 * and time do not fit into 64 bits. */
#ifndef PM_UTIL_U128_H
#define PM_UTIL_U128_H

#include <stdint.h>

__extension__ typedef unsigned __int128 u128;

/* a * b / c, rounded down; c is not 0 and the result fits. */
static inline uint64_t muldiv_u64(uint64_t a, uint64_t b, uint64_t c)
{
	return (uint64_t) ((u128) a * b / c);
}

#endif
