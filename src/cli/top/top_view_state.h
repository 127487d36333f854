// SPDX-License-Identifier: MIT
/*
 * The view's state, for cli/top_view*.c and cli/top/top_keys.c alone:
 *
 *   top_view.c   the terminal, and when what is done
 *   top_draw.c   what stands on the screen
 *   top_keys.c   what keys do
 */
#ifndef PM_CLI_TOP_TOP_VIEW_STATE_H
#define PM_CLI_TOP_TOP_VIEW_STATE_H

#include "cli/top/top_view.h"

enum top_prompt { PROMPT_NONE, PROMPT_SEARCH, PROMPT_FILTER, PROMPT_USER, PROMPT_DELAY };

struct top_view {
	struct top_model *model;
	struct top_order order;
	struct top_rows rows;
	size_t limit;
	uint64_t delay_ns;
	bool utf8;
	bool colours;

	size_t selected;
	size_t first; /* the row that is shown first */
	size_t page;  /* how many there is room for */
	bool paused;
	bool help;
	bool ended;
	enum top_prompt prompt;
	char typed[64];
	char search[64];
	char message[80]; /* shown until the next key */
};

enum top_colour { COLOUR_TITLE = 1, COLOUR_WATTS, COLOUR_WARNING, COLOUR_NONE };

/* Fills the screen. */
void top_draw(struct top_view *v);

/* Does what a key stands for. */
void top_key(struct top_view *v, int key);

/* Rows as they are to be shown now. */
void top_view_sort(struct top_view *v);

#endif
