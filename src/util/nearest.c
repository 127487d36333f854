// SPDX-License-Identifier: MIT
#include "util/nearest.h"

#include <string.h>

#define MAX_LETTERS 32 /* no name of ours is longer */

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* The distance of Damerau and Levenshtein, in which each pair of letters is swapped at most once. */
static unsigned distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	unsigned d[MAX_LETTERS + 1][MAX_LETTERS + 1];

	for (size_t i = 0; i <= n_a; i++)
		d[i][0] = (unsigned) i;
	for (size_t k = 0; k <= n_b; k++)
		d[0][k] = (unsigned) k;
	for (size_t i = 1; i <= n_a; i++)
		for (size_t k = 1; k <= n_b; k++) {
			d[i][k] = least(d[i - 1][k], d[i][k - 1]) + 1;
			d[i][k] = least(d[i][k], d[i - 1][k - 1] + (a[i - 1] != b[k - 1]));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				d[i][k] = least(d[i][k], d[i - 2][k - 2] + 1);
		}
	return d[n_a][n_b];
}

void nearest_try(struct nearest *n, const char *candidate)
{
	size_t n_word = strlen(n->word), n_candidate = strlen(candidate);
	unsigned far;

	if (n_word > MAX_LETTERS || n_candidate > MAX_LETTERS)
		return;
	far = distance(n->word, n_word, candidate, n_candidate);
	if (n_word > 1 && strncmp(n->word, candidate, n_word) == 0)
		far = least(far, 1);
	if (far > (n_word + 2) / 3 || (n->best && far >= n->distance))
		return;
	n->best = candidate;
	n->distance = far;
}
