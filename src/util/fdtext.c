// SPDX-License-Identifier: MIT
#include "util/fdtext.h"

#include <errno.h>
#include <unistd.h>

int fdtext_read(int fd, char *ret, size_t n)
{
	ssize_t len;

	do
		len = pread(fd, ret, n - 1, 0);
	while (len < 0 && errno == EINTR);
	if (len < 0)
		return -errno;
	ret[len] = '\0';
	return (int) len;
}
