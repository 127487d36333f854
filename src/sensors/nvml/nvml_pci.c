// SPDX-License-Identifier: MIT
#include "sensors/nvml/nvml_pci.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/dirscan.h"

#define DEVICES_DIR "/sys/bus/pci/devices"

struct search {
	const struct host *host;
	char (*ids)[NVML_PCI_ID_SIZE];
	size_t room;
	size_t n;
};

static int look_at_device(const char *name, void *ctx)
{
	struct search *search = ctx;
	char path[300], text[16];

	snprintf(path, sizeof(path), DEVICES_DIR "/%.200s/vendor", name);
	if (host_read_text(search->host, path, text, sizeof(text)) < 0 ||
		strcmp(text, "0x10de") != 0)
		return 0;
	snprintf(path, sizeof(path), DEVICES_DIR "/%.200s/class", name);
	/* 0x03....: a display controller, which is what the kernel calls any GPU. */
	if (host_read_text(search->host, path, text, sizeof(text)) <= 0 ||
		strncmp(text, "0x03", 4) != 0)
		return 0;
	if (search->n < search->room)
		snprintf(search->ids[search->n], NVML_PCI_ID_SIZE, "%.15s", name);
	search->n++;
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

size_t nvml_pci_gpus(const struct host *h, char (*ret)[NVML_PCI_ID_SIZE], size_t n)
{
	CLEANUP_FD int fd = host_open_file(h, DEVICES_DIR);
	struct search search = { .host = h, .ids = ret, .room = n };

	if (fd < 0 || dirscan(fd, look_at_device, &search) < 0)
		return 0;
	if (search.n > 1 && search.n <= n)
		qsort(ret, search.n, sizeof(ret[0]), compare);
	return search.n;
}

void nvml_pci_id(const char *bus_id, char ret[NVML_PCI_ID_SIZE])
{
	size_t n = strlen(bus_id);

	/* Domains have 16 bits, which the driver writes as 32. */
	if (n == strlen("00000000:01:00.0") && strncmp(bus_id, "0000", 4) == 0)
		bus_id += 4;
	snprintf(ret, NVML_PCI_ID_SIZE, "%.12s", bus_id);
	for (char *at = ret; *at; at++)
		*at = (char) tolower((unsigned char) *at);
	if (strlen(ret) != strlen("0000:01:00.0") || ret[4] != ':' || strchr(ret, '/'))
		ret[0] = '\0';
}

bool nvml_pci_sleeps(const struct host *h, const char *id)
{
	char path[64 + NVML_PCI_ID_SIZE], text[16];

	if (!id[0])
		return false;
	snprintf(path, sizeof(path), DEVICES_DIR "/%s/power/runtime_status", id);
	/* "suspended" or "suspending" */
	return host_read_text(h, path, text, sizeof(text)) > 0 && strncmp(text, "suspend", 7) == 0;
}
