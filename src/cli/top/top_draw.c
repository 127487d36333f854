// SPDX-License-Identifier: MIT
#define NCURSES_NOMACROS
#include "cli/top/top_view_state.h"

#include <ncurses.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "cli/top/top_print.h"
#include "cli/top/top_refresh.h"
#include "util/cleanup.h"
#include "util/printable.h"

/* Below this there is room for one figure. */
#define LEAST_LINES 5
#define LEAST_COLUMNS 27

/* ---- text that never leaves its place ------------------------------------------------------- */

/* Writes at most `width` columns; what is no character of the terminal's is "?". Returns the columns
 * that it took. */
static int put(int y, int x, int width, const char *text)
{
	size_t left = strlen(text);
	mbstate_t state = { 0 };
	int used = 0;

	while (left > 0 && used < width) {
		wchar_t c;
		size_t n = mbrtowc(&c, text, left, &state);
		int columns = n == (size_t) -1 || n == (size_t) -2 || n == 0 ? -1 : wcwidth(c);

		if (columns < 0) {
			mvaddnstr(y, x + used, "?", 1);
			columns = 1;
			if (n == (size_t) -1 || n == (size_t) -2 || n == 0)
				n = 1;
			memset(&state, 0, sizeof(state));
		} else if (used + columns > width) {
			break;
		} else {
			mvaddnstr(y, x + used, text, (int) n);
		}
		used += columns;
		text += n;
		left -= n;
	}
	return used;
}

__attribute__((format(printf, 4, 5))) static int putf(
	int y, int x, int width, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return put(y, x, width, text);
}

static void colour(const struct top_view *v, enum top_colour c, bool on)
{
	attr_t bold = c == COLOUR_NONE ? A_NORMAL : A_BOLD;
	attr_t a = v->colours ? (attr_t) COLOR_PAIR((int) c) | bold : bold;

	if (on)
		attron((int) a);
	else
		attroff((int) a);
}

/* Pieces of a line with two blanks between, as many as there is room for. */
struct line {
	int y;
	int x;
};

__attribute__((format(printf, 2, 3))) static void piece(struct line *l, const char *format, ...)
{
	char text[256];
	va_list args;
	int gap = l->x > 0 ? 2 : 0;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (l->x + gap + (int) strlen(text) > COLS)
		return;
	l->x += gap;
	l->x += put(l->y, l->x, COLS - l->x, text);
}

/* ---- head ----------------------------------------------------------------------------------- */

static void draw_title(const struct top_view *v)
{
	const struct top_model *m = v->model;
	uint64_t up_s = (m->t_ns - m->begun_ns) / NS_PER_S;
	struct line l = { 0 };
	char clock[16] = "", host[256] = "", watts[32];
	time_t now = (time_t) (clock_wall_ns(m->host->clock) / (int64_t) NS_PER_S);
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	gethostname(host, sizeof(host) - 1);
	colour(v, COLOUR_TITLE, true);
	piece(&l, "%s", COLS < 60 ? "top" : "powermeasure top");
	if (v->paused)
		piece(&l, "PAUSED");
	piece(&l, "tool %.2f %% %s W", (double) top_tool_ppm(m) / 1e4,
		top_figure(m->shares_known, m->shares.tool_uw, watts, sizeof(watts)));
	piece(&l, "every %.4g s", (double) v->delay_ns / 1e9);
	piece(&l, "%s", clock);
	piece(&l, "%s", host);
	piece(&l, "since %u:%02u:%02u", (unsigned) (up_s / 3600), (unsigned) (up_s / 60 % 60),
		(unsigned) (up_s % 60));
	colour(v, COLOUR_TITLE, false);
}

static void piece_share(struct line *l, const struct top_model *m, const char *name, uint64_t uw)
{
	char watts[32];

	piece(l, "%s %s", name, top_figure(m->shares_known, uw, watts, sizeof(watts)));
}

static void draw_shares(const struct top_view *v)
{
	const struct top_model *m = v->model;
	struct line l = { .y = 1 };
	uint64_t busy_ppm;

	if (top_busy_ppm(m, &busy_ppm))
		piece(&l, "%u CPUs %.0f %%", (unsigned) m->n_cpu, (double) busy_ppm / 1e4);
	piece_share(&l, m, COLS < 60 ? "proc" : "processes", m->shares.processes_uw);
	piece_share(&l, m, "idle", m->shares.idle_uw);
	piece_share(&l, m, "other", m->shares.other_uw);
	piece_share(&l, m, "ended", m->shares.ended_uw);
	if (m->shares_known)
		piece(&l, "= %s W", top_figure(true, m->shares.whole_uw, (char[32]) { 0 }, 32));
}

/* ---- curves --------------------------------------------------------------------------------- */

static void draw_curve(const struct top_view *v, const struct top_history *h, int y, int x)
{
	static const char *const blocks[] = { "\u2581", "\u2582", "\u2583", "\u2584", "\u2585",
		"\u2586", "\u2587", "\u2588" };
	static const char *const letters[] = { "_", ".", ":", "-", "=", "+", "*", "#" };
	int width = COLS - x;
	uint64_t most_uw = 1;

	for (int i = 0; i < width; i++) {
		uint64_t uw = top_history_at(h, (size_t) i);

		if (uw != TOP_UNKNOWN && uw > most_uw)
			most_uw = uw;
	}
	for (int i = 0; i < width; i++) {
		uint64_t uw = top_history_at(h, (size_t) (width - 1 - i));
		unsigned height;

		if (uw == TOP_UNKNOWN)
			continue;
		height = (unsigned) ((double) uw / (double) most_uw * 7.999);
		mvaddstr(y, x + i, v->utf8 ? blocks[height] : letters[height]);
	}
}

/* "EST" rather than "ESTIMATED" where there is little room. */
static int quality_width(void)
{
	return COLS < 60 ? 4 : 10;
}

static int name_width(void)
{
	return COLS < 60 ? 13 : COLS < 110 ? 22 : 34;
}

#define WATTS_WIDTH 9

/* A line of power: its name, its figure and its course, or why there is none. */
struct power_line {
	const char *name;
	bool known;
	uint64_t uw;
	const char *quality;
	const struct top_history *history;
	const char *why; /* where it is not known */
};

static void draw_power(const struct top_view *v, int y, const struct power_line *p)
{
	int x = name_width();
	bool doubtful = p->known && *p->quality >= 'A' && *p->quality <= 'Z';
	char watts[32];

	put(y, 0, x - 1, p->name);
	top_figure(p->known, p->uw, watts, sizeof(watts));
	colour(v, p->known ? COLOUR_WATTS : COLOUR_WARNING, true);
	putf(y, x, WATTS_WIDTH, p->known ? "%7s W" : "%7s  ", watts);
	colour(v, p->known ? COLOUR_WATTS : COLOUR_WARNING, false);
	x += WATTS_WIDTH + 1;
	if (!p->known) {
		put(y, x, COLS - x, p->why);
		return;
	}
	colour(v, doubtful ? COLOUR_WARNING : COLOUR_NONE, true);
	put(y, x, quality_width() - 1, p->quality);
	colour(v, doubtful ? COLOUR_WARNING : COLOUR_NONE, false);
	x += quality_width();
	if (x < COLS)
		draw_curve(v, p->history, y, x);
}

/* ---- domains -------------------------------------------------------------------------------- */

static void draw_users(const struct top_model *m, const struct top_domain *d, int y)
{
	struct line l = { .y = y, .x = 2 };

	for (size_t i = 0; i < d->users.n; i++) {
		uint32_t slot = top_processes_find(&m->processes, d->users.list[i].pid);
		char name[128] = "?";

		if (slot != UINT32_MAX)
			printable_copy(m->processes.list[slot].name, name, sizeof(name));
		piece(&l, "%s (%d) %.0f %%", name, (int) d->users.list[i].pid,
			(double) d->users.list[i].ppm / 1e4);
	}
}

static int draw_domain(const struct top_view *v, const struct top_domain *d, int y, int end)
{
	char name[128];

	printable_copy(top_domain_name(d), name, sizeof(name));
	if (strcmp(name, kind_name(d->domain->kind)) != 0 && COLS >= 60) {
		char both[160];

		snprintf(both, sizeof(both), "%s %s", kind_title(d->domain->kind), name);
		snprintf(name, sizeof(name), "%s", both);
	}
	draw_power(v, y++,
		&(struct power_line) { .name = name,
			.known = d->known,
			.uw = d->power_uw,
			.quality = top_quality(d),
			.history = &d->history,
			.why = d->why });
	if (d->users.n > 0 && y < end)
		draw_users(v->model, d, y++);
	return y;
}

/* From line y up to `end`: the counted ones, what is not measured and why, and the parts. */
static int draw_domains(const struct top_view *v, int y, int end)
{
	const struct top_model *m = v->model;
	char why[600];

	draw_power(v, y++,
		&(struct power_line) { .name = "machine",
			.known = m->machine_known,
			.uw = m->machine_uw,
			.quality = top_machine_quality(m),
			.history = &m->machine,
			.why = m->elapsed_ns ? "nothing is measured here: see powermeasure doctor"
					     : "the first figures are on their way" });
	for (size_t i = 0; i < m->n_domains && y < end; i++)
		if (m->domains[i].domain->counted)
			y = draw_domain(v, &m->domains[i], y, end);
	for (int k = 0; k < KIND_PLATFORM && y < end; k++)
		if (top_model_why(m, (enum kind) k, why, sizeof(why)))
			draw_power(v, y++,
				&(struct power_line) {
					.name = kind_title((enum kind) k), .why = why });
	for (size_t i = 0; i < m->n_domains && y < end; i++)
		if (!m->domains[i].domain->counted)
			y = draw_domain(v, &m->domains[i], y, end);
	return y;
}

/* ---- processes ------------------------------------------------------------------------------ */

static bool has_user_column(void)
{
	return COLS >= 60;
}

static bool has_joule_column(void)
{
	return COLS >= 50;
}

static void draw_table_head(const struct top_view *v, int y)
{
	const char *marks[TOP_SORTS];
	int x = 0;

	for (int i = 0; i < TOP_SORTS; i++)
		marks[i] = v->order.sort != (enum top_sort) i ? "" : v->order.inverted ? "^" : "*";
	attron(A_REVERSE);
	mvhline(y, 0, ' ', COLS);
	x += putf(y, x, COLS - x, "%5s%s ", *marks[TOP_BY_PID] ? marks[TOP_BY_PID] : "", "PID");
	if (has_user_column())
		x += putf(y, x, COLS - x, "%-10s",
			*marks[TOP_BY_USER] == '*'    ? "*USER"
				: *marks[TOP_BY_USER] ? "^USER"
						      : "USER");
	x += putf(y, x, COLS - x, "%4s%s", marks[TOP_BY_CPU], "CPU%");
	x += putf(y, x, COLS - x, "%9s%s", marks[TOP_BY_WATTS], "W");
	if (has_joule_column())
		x += putf(y, x, COLS - x, "%10s%s", marks[TOP_BY_JOULES], "J");
	putf(y, x, COLS - x, "  %s%s", marks[TOP_BY_NAME], "NAME");
	attroff(A_REVERSE);
}

static void draw_row(const struct top_view *v, int y, uint32_t slot, bool selected)
{
	const struct top_model *m = v->model;
	const struct top_process *p = &m->processes.list[slot];
	char watts[32], joules[32], name[128];
	int x = 0;

	if (selected) {
		attron(A_REVERSE);
		mvhline(y, 0, ' ', COLS);
	}
	printable_copy(p->name, name, sizeof(name));
	x += putf(y, x, COLS - x, "%8d ", (int) p->pid);
	if (has_user_column())
		x += putf(y, x, COLS - x, "%-9.9s ", top_user(p->uid));
	x += putf(y, x, COLS - x, "%8.1f", (double) p->busy_ppm / 1e4);
	x += putf(y, x, COLS - x, "%10s",
		top_figure(m->shares_known, m->slot_uw[slot], watts, sizeof(watts)));
	if (has_joule_column())
		x += putf(y, x, COLS - x, "%11s",
			top_figure(m->shares_known, p->total_uj, joules, sizeof(joules)));
	put(y, x + 2, COLS - x - 2, name);
	if (selected)
		attroff(A_REVERSE);
}

static void draw_table(struct top_view *v, int y, int end)
{
	size_t n = v->rows.n < v->limit ? v->rows.n : v->limit;

	draw_table_head(v, y++);
	v->page = end > y ? (size_t) (end - y) : 1;
	if (v->selected >= n)
		v->selected = n ? n - 1 : 0;
	if (v->selected < v->first)
		v->first = v->selected;
	if (v->selected >= v->first + v->page)
		v->first = v->selected - v->page + 1;
	if (v->first + v->page > n)
		v->first = n > v->page ? n - v->page : 0;
	for (size_t i = v->first; i < n && y < end; i++)
		draw_row(v, y++, v->rows.slots[i], i == v->selected);
}

/* ---- the last line, and help ---------------------------------------------------------------- */

static void draw_keys(const struct top_view *v, int y)
{
	static const char *const keys[] = { "F1 Help", "q Quit", "F3 Search", "F4 Filter",
		"F6 Sort", "I Invert", "p Pause", "+- Delay", "r Reset" };
	static const char *const prompts[] = { [PROMPT_SEARCH] = "Search",
		[PROMPT_FILTER] = "Filter by name",
		[PROMPT_USER] = "Filter by user",
		[PROMPT_DELAY] = "Refresh every so many seconds" };
	struct line l = { .y = y };
	char warning[160];

	if (v->prompt != PROMPT_NONE) {
		int x = putf(y, 0, COLS - 1, "%s: %s", prompts[v->prompt], v->typed);

		mvaddnstr(y, x, "_", 1);
		return;
	}
	if (v->message[0])
		piece(&l, "%s", v->message);
	if (top_warning(v->model, warning, sizeof(warning)))
		piece(&l, "%s", warning);
	if (v->order.filter[0])
		piece(&l, "[name: %s]", v->order.filter);
	if (v->order.user[0])
		piece(&l, "[user: %s]", v->order.user);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		piece(&l, "%s", keys[i]);
}

static void draw_help(void)
{
	static const char *const lines[] = {
		"q F10        quit                   F1 h ?       this help",
		"Up Down PgUp PgDn Home End          select, scroll",
		"F6 > <       sort by the next, the last column; I inverts",
		"W P J N      sort by watts, CPU%, joules, pid",
		"F3 /         search a name; n finds the next",
		"F4 \\         show only names with this in them",
		"u            show only this user's",
		"p Space      pause; nothing is lost: the next figures cover all of it",
		"+ - d        refresh less often, more often, every so many seconds",
		"r            set joules back to 0",
		"",
		"W      power that goes to the process by its share of all CPUs' time, and of",
		"       a GPU by what the driver tells",
		"J      joules since it was seen first, or since r",
		"idle   what the CPUs used while they had nothing to do",
		"ended  of processes that have gone in this refresh, seen or too short-lived for it,",
		"       as far as somebody waited for them",
		"other  what nobody else used: the kernel's own work, processes for which nobody",
		"       waited, GPUs of which nothing is told",
		"tool   of this program",
		"n/a    not known, and why; ESTIMATED: a model says so, nothing measured it",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines) && (int) i < LINES - 1; i++)
		put((int) i, 0, COLS, lines[i]);
	put(LINES - 1, 0, COLS, "any key: back");
}

void top_draw(struct top_view *v)
{
	const struct top_model *m = v->model;
	int y = 2, end;

	erase();
	if (v->help) {
		draw_help();
	} else if (LINES < LEAST_LINES || COLS < LEAST_COLUMNS) {
		putf(0, 0, COLS, "%s W %s",
			top_figure(m->machine_known, m->machine_uw, (char[32]) { 0 }, 32),
			top_machine_quality(m));
	} else {
		draw_title(v);
		if (LINES >= 8)
			draw_shares(v);
		else
			y = 1;
		/* Half of the lines at most are for domains. */
		end = y + (LINES - 3) / 2;
		y = draw_domains(v, y, end);
		draw_table(v, y, LINES - 1);
		draw_keys(v, LINES - 1);
	}
	refresh();
}
