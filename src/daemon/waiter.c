// SPDX-License-Identifier: MIT
#include "daemon/waiter.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

bool waiter_address(const char *create_ts, struct sockaddr_un *ret, socklen_t *ret_n)
{
	int n;

	if (*create_ts == '\0')
		return false;
	*ret = (struct sockaddr_un) { .sun_family = AF_UNIX };
	/* A name that begins with NUL is in no file system and goes with its owner. */
	n = snprintf(ret->sun_path + 1, sizeof(ret->sun_path) - 1, "powermeasure/%s", create_ts);
	if (n < 0 || (size_t) n >= sizeof(ret->sun_path) - 1)
		return false;
	*ret_n = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + (size_t) n);
	return true;
}

void waiter_tell(int fd, const char *create_ts, const char *what, const char *format, ...)
{
	struct sockaddr_un address;
	socklen_t size;
	char text[1024];
	va_list args;
	size_t len;

	if (!waiter_address(create_ts, &address, &size))
		return;
	len = (size_t) snprintf(text, sizeof(text), "%s", what);
	va_start(args, format);
	vsnprintf(text + len, sizeof(text) - len, format, args);
	va_end(args);
	sendto(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *) &address,
		size);
}
