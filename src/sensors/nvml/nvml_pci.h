// SPDX-License-Identifier: MIT
/*
 * What the kernel tells of NVIDIA GPUs: nothing here wakes one.
 */
#ifndef PM_SENSORS_NVML_NVML_PCI_H
#define PM_SENSORS_NVML_NVML_PCI_H

#include "machine/host.h"

#define NVML_PCI_ID_SIZE 16 /* "0000:01:00.0" */

/* Finds them, in the driver's order. Returns how many there are, of which the first n at most are
 * in ret. */
size_t nvml_pci_gpus(const struct host *h, char (*ret)[NVML_PCI_ID_SIZE], size_t n);

/* The kernel's spelling of the driver's "00000000:01:00.0"; empty where it is no such id. */
void nvml_pci_id(const char *bus_id, char ret[NVML_PCI_ID_SIZE]);

/* Whether it sleeps, or is about to. False where that is not known. */
bool nvml_pci_sleeps(const struct host *h, const char *id);

#endif
