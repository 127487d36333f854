// SPDX-License-Identifier: MIT
/* What /proc/cpuinfo says about the first processor, on x86 and on ARM. */
#ifndef PM_MACHINE_CPUINFO_H
#define PM_MACHINE_CPUINFO_H

#include <stdbool.h>

enum cpu_vendor { CPU_UNKNOWN, CPU_INTEL, CPU_AMD, CPU_HYGON, CPU_ARM };

struct cpuinfo {
	enum cpu_vendor vendor;
	int family; /* x86; -1: not told */
	int model;
	int stepping;
	int implementer; /* ARM */
	int part;
	int architecture; /* ARM: 7 of ARMv7; -1: not told */
	bool other;       /* neither x86 nor ARM */
	bool hypervisor;  /* this is a virtual machine, and says so */
	char name[64];    /* "Intel(R) Xeon(R) ..."; may be empty */
};

/* Reads the first block of the text; what is not there stays unknown. */
void cpuinfo_parse(const char *text, struct cpuinfo *ret);

#endif
