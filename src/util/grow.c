// SPDX-License-Identifier: MIT
#include "util/grow.h"

#include <stdlib.h>

void *grow_list(void *list, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 16;
	void *p;

	if (n < *cap)
		return list;
	p = realloc(list, more * size);
	if (p)
		*cap = more;
	return p;
}
