// SPDX-License-Identifier: MIT
/*
 * Fuzz targets. Each fuzz_*.c has one function that takes any bytes. Linked with replay.c it is an
 * ordinary test; built with clang and -Dfuzzers=true it is a libFuzzer program (see README.md).
 */
#ifndef PM_FUZZ_H
#define PM_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((visibility("default"))) int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What must hold whatever the bytes are. */
#define MUST(condition)                                                                         \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                \
		}                                                                               \
	} while (0)

#endif
