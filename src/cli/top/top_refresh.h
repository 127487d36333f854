// SPDX-License-Identifier: MIT
/*
 * What a refresh of the model amounts to, and why some kinds have no figure.
 */
#ifndef PM_CLI_TOP_TOP_REFRESH_H
#define PM_CLI_TOP_TOP_REFRESH_H

#include "cli/top/top_model.h"

/* Reads everything and makes the figures since the last refresh. */
void top_model_refresh(struct top_model *m);

/* Sets all joules back to 0. */
void top_model_reset(struct top_model *m);

/* Why nothing is known of a kind that no sensor tells: the sensor, its reason, and what would help.
 * false: a sensor tells it. */
bool top_model_why(const struct top_model *m, enum kind kind, char *ret, size_t n);

/* The number i of a curve, counted back from the last; TOP_UNKNOWN where there is none. */
uint64_t top_history_at(const struct top_history *h, size_t i);

#endif
