// SPDX-License-Identifier: MIT
/* Of several words the one that was probably meant by a mistyped one. */
#ifndef PM_UTIL_NEAREST_H
#define PM_UTIL_NEAREST_H

/* Begins with the mistyped word and zeros. */
struct nearest {
	const char *word;
	const char *best; /* NULL: no candidate is near enough */
	unsigned distance;
};

/* Takes the candidate if it is nearer than the best one: by the letters left out, added, changed or
 * swapped with their neighbour, of which a third of the word may be wrong. A candidate that begins
 * with the word is near. */
void nearest_try(struct nearest *n, const char *candidate);

#endif
