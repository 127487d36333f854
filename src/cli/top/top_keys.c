// SPDX-License-Identifier: MIT
#define NCURSES_NOMACROS
#include "cli/top/top_view_state.h"

#include <ncurses.h>
#include <string.h>

#include "cli/top/top_refresh.h"
#include "util/cleanup.h"
#include "util/parse.h"

#define KEY_ESCAPE 27
#define KEY_CTRL_L 12

static size_t n_rows(const struct top_view *v)
{
	return v->rows.n < v->limit ? v->rows.n : v->limit;
}

static void move_to(struct top_view *v, long row)
{
	long last = (long) n_rows(v) - 1;

	if (row > last)
		row = last;
	v->selected = row > 0 ? (size_t) row : 0;
}

/* The next row from `from` on, around the end, whose name has the text in it. */
static void find(struct top_view *v, size_t from)
{
	size_t n = n_rows(v);

	for (size_t i = 0; v->search[0] && i < n; i++) {
		size_t row = (from + i) % n;

		if (top_has_text(v->model->processes.list[v->rows.slots[row]].name, v->search)) {
			v->selected = row;
			return;
		}
	}
	if (v->search[0])
		snprintf(v->message, sizeof(v->message), "no \"%s\"", v->search);
}

static void change_delay(struct top_view *v, bool longer)
{
	static const uint64_t steps_ms[] = { 250, 500, 1000, 2000, 5000, 10000, 30000, 60000 };
	size_t n = ARRAY_SIZE(steps_ms), i = 0;

	if (longer) {
		while (i < n - 1 && steps_ms[i] * NS_PER_MS <= v->delay_ns)
			i++;
		if (steps_ms[i] * NS_PER_MS > v->delay_ns)
			v->delay_ns = steps_ms[i] * NS_PER_MS;
		return;
	}
	i = n - 1;
	while (i > 0 && steps_ms[i] * NS_PER_MS >= v->delay_ns)
		i--;
	if (steps_ms[i] * NS_PER_MS < v->delay_ns)
		v->delay_ns = steps_ms[i] * NS_PER_MS;
}

/* ---- what is typed -------------------------------------------------------------------------- */

static void begin_prompt(struct top_view *v, enum top_prompt prompt)
{
	v->prompt = prompt;
	v->typed[0] = '\0';
}

static void take_delay(struct top_view *v)
{
	uint64_t ns;

	if (parse_fixed(v->typed, 9, &ns) < 0 || ns < TOP_DELAY_MIN_NS || ns > TOP_DELAY_MAX_NS)
		snprintf(v->message, sizeof(v->message), "not 0.25 to 3600 seconds");
	else
		v->delay_ns = ns;
}

/* What a prompt does with each letter: a filter and a search show at once what they find. */
static void take_typed(struct top_view *v, bool done)
{
	switch (v->prompt) {
	case PROMPT_SEARCH:
		memcpy(v->search, v->typed, sizeof(v->search));
		v->message[0] = '\0';
		find(v, v->selected);
		break;
	case PROMPT_FILTER:
		memcpy(v->order.filter, v->typed, sizeof(v->order.filter));
		top_view_sort(v);
		break;
	case PROMPT_USER:
		memcpy(v->order.user, v->typed, sizeof(v->order.user));
		top_view_sort(v);
		break;
	case PROMPT_DELAY:
		if (done)
			take_delay(v);
		break;
	case PROMPT_NONE:
		break;
	}
	if (done)
		v->prompt = PROMPT_NONE;
}

static void prompt_key(struct top_view *v, int key)
{
	size_t n = strlen(v->typed);

	if (key == '\n' || key == '\r' || key == KEY_ENTER) {
		take_typed(v, true);
	} else if (key == KEY_ESCAPE) {
		v->typed[0] = '\0';
		if (v->prompt != PROMPT_DELAY)
			take_typed(v, true);
		v->prompt = PROMPT_NONE;
	} else if (key == KEY_F(3) && v->prompt == PROMPT_SEARCH) {
		find(v, v->selected + 1);
	} else if (key == KEY_BACKSPACE || key == 127 || key == 8) {
		if (n > 0)
			v->typed[n - 1] = '\0';
		take_typed(v, false);
	} else if (key >= ' ' && key < 256 && n + 1 < sizeof(v->typed)) {
		v->typed[n] = (char) key;
		v->typed[n + 1] = '\0';
		take_typed(v, false);
	}
}

/* ---- commands ------------------------------------------------------------------------------- */

static void sort_by(struct top_view *v, enum top_sort sort)
{
	v->order.sort = sort;
	top_view_sort(v);
}

static void sort_next(struct top_view *v, int step)
{
	sort_by(v, (enum top_sort)(((int) v->order.sort + step + TOP_SORTS) % TOP_SORTS));
	snprintf(v->message, sizeof(v->message), "by %s", top_sort_names[v->order.sort]);
}

static bool scroll_key(struct top_view *v, int key)
{
	long row = (long) v->selected, page = (long) v->page;

	switch (key) {
	case KEY_UP:
	case 'k':
		move_to(v, row - 1);
		return true;
	case KEY_DOWN:
	case 'j':
		move_to(v, row + 1);
		return true;
	case KEY_PPAGE:
		move_to(v, row - page);
		return true;
	case KEY_NPAGE:
		move_to(v, row + page);
		return true;
	case KEY_HOME:
	case 'g':
		move_to(v, 0);
		return true;
	case KEY_END:
	case 'G':
		move_to(v, (long) n_rows(v));
		return true;
	}
	return false;
}

static bool sort_key(struct top_view *v, int key)
{
	switch (key) {
	case KEY_F(6):
	case '>':
		sort_next(v, 1);
		return true;
	case '<':
		sort_next(v, -1);
		return true;
	case 'I':
		v->order.inverted = !v->order.inverted;
		top_view_sort(v);
		return true;
	case 'W':
		sort_by(v, TOP_BY_WATTS);
		return true;
	case 'P':
		sort_by(v, TOP_BY_CPU);
		return true;
	case 'J':
		sort_by(v, TOP_BY_JOULES);
		return true;
	case 'N':
		sort_by(v, TOP_BY_PID);
		return true;
	}
	return false;
}

static void other_key(struct top_view *v, int key)
{
	switch (key) {
	case 'q':
	case KEY_F(10):
		v->ended = true;
		break;
	case 'h':
	case '?':
	case KEY_F(1):
		v->help = true;
		break;
	case '/':
	case KEY_F(3):
		begin_prompt(v, PROMPT_SEARCH);
		break;
	case 'n':
		find(v, v->selected + 1);
		break;
	case '\\':
	case KEY_F(4):
		begin_prompt(v, PROMPT_FILTER);
		break;
	case 'u':
		begin_prompt(v, PROMPT_USER);
		break;
	case 'd':
		begin_prompt(v, PROMPT_DELAY);
		break;
	case 'p':
	case ' ':
		v->paused = !v->paused;
		break;
	case '+':
	case '-':
		change_delay(v, key == '+');
		break;
	case 'r':
		top_model_reset(v->model);
		break;
	case KEY_CTRL_L:
		clearok(stdscr, TRUE);
		break;
	}
}

void top_key(struct top_view *v, int key)
{
	if (key == KEY_RESIZE)
		return;
	if (v->prompt != PROMPT_NONE) {
		prompt_key(v, key);
		return;
	}
	v->message[0] = '\0';
	if (v->help)
		v->help = false;
	else if (!scroll_key(v, key) && !sort_key(v, key))
		other_key(v, key);
}
