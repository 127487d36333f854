// SPDX-License-Identifier: MIT
#include "machine/cpulist.h"

#include <stdlib.h>

static bool take_number(const char **at, int *ret)
{
	char *end;
	unsigned long n;

	if (**at < '0' || **at > '9')
		return false;
	n = strtoul(*at, &end, 10);
	if (n >= CPULIST_MAX)
		return false;
	*at = end;
	*ret = (int) n;
	return true;
}

static bool take_range(struct cpulist *list)
{
	if (!take_number(&list->at, &list->next))
		return false;
	list->last = list->next;
	if (*list->at == '-') {
		list->at++;
		if (!take_number(&list->at, &list->last))
			return false;
	}
	if (*list->at == ',')
		list->at++;
	return list->next <= list->last;
}

bool cpulist_next(struct cpulist *list, int *ret)
{
	if (!list->in_range && !take_range(list)) {
		list->at = "";
		return false;
	}
	*ret = list->next++;
	list->in_range = list->next <= list->last;
	return true;
}
