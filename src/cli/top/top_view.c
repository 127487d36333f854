// SPDX-License-Identifier: MIT
#define NCURSES_NOMACROS
#include "cli/top/top_view_state.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/top/top_refresh.h"
#include "util/cleanup.h"
#include "util/signals.h"
#include "util/timer.h"

/* How long an escape may take to become a key, also over a slow line. */
#define ESCAPE_MS 100

void top_view_sort(struct top_view *v)
{
	if (top_rows_make(&v->rows, v->model, &v->order) < 0)
		v->rows.n = 0;
}

/* ---- the terminal --------------------------------------------------------------------------- */

/* Terminals send more than their description knows, above all over ssh and in tmux. */
static void add_keys(void)
{
	static const struct {
		const char *sent;
		int key;
	} keys[] = { { "\033[11~", KEY_F(1) }, { "\033OP", KEY_F(1) }, { "\033OR", KEY_F(3) },
		{ "\033OS", KEY_F(4) }, { "\033[13~", KEY_F(3) }, { "\033[14~", KEY_F(4) },
		{ "\033[17~", KEY_F(6) }, { "\033[21~", KEY_F(10) }, { "\033[A", KEY_UP },
		{ "\033[B", KEY_DOWN }, { "\033OA", KEY_UP }, { "\033OB", KEY_DOWN },
		{ "\033[5~", KEY_PPAGE }, { "\033[6~", KEY_NPAGE }, { "\033[1~", KEY_HOME },
		{ "\033[4~", KEY_END }, { "\033[H", KEY_HOME }, { "\033[F", KEY_END },
		{ "\033OH", KEY_HOME }, { "\033OF", KEY_END } };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		define_key(keys[i].sent, keys[i].key);
}

static bool wants_colours(void)
{
	const char *no = getenv("NO_COLOR");

	return !(no && *no) && has_colors();
}

/* ncurses takes LINES and COLUMNS for the size of any terminal, also after a resize. They are often an
 * outer terminal's: Python, for one, exports them to all its children once it has loaded readline. */
static void forget_exported_size(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
		return;
	unsetenv("LINES");
	unsetenv("COLUMNS");
}

static SCREEN *open_terminal(struct top_view *v)
{
	const char *term = getenv("TERM");
	SCREEN *screen;

	/* Numbers keep their point. */
	setlocale(LC_CTYPE, "");
	/* The Linux console's font has no blocks of all heights. */
	v->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0 &&
		!(term && strcmp(term, "linux") == 0);
	forget_exported_size();
	screen = term && *term ? newterm(NULL, stdout, stdin) : NULL;
	if (!screen || !cursor_address) {
		if (screen) {
			endwin();
			delscreen(screen);
		}
		cli_fail("top",
			"TERM=%s is no terminal that can be drawn on: use --once, or --json",
			term ? term : "");
		return NULL;
	}
	set_escdelay(ESCAPE_MS);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	add_keys();
	v->colours = wants_colours();
	if (v->colours) {
		start_color();
		use_default_colors();
		init_pair(COLOUR_TITLE, COLOR_CYAN, -1);
		init_pair(COLOUR_WATTS, COLOR_GREEN, -1);
		init_pair(COLOUR_WARNING, COLOR_YELLOW, -1);
		init_pair(COLOUR_NONE, -1, -1);
	}
	return screen;
}

/* Writing waits for a terminal that is stopped (Ctrl-S) or whose line is dead: whoever ends the program
 * then gets the write over with. Elsewhere these signals are blocked and come by descriptor. */
static volatile sig_atomic_t ending_now;

static void leave_writing(int signal_number)
{
	(void) signal_number;
	ending_now = 1;
	tcflow(STDOUT_FILENO, TCOOFF); /* Linux takes a Ctrl-S back only so */
	tcflow(STDOUT_FILENO, TCOON);
	tcflush(STDOUT_FILENO, TCOFLUSH);
}

static void draw(struct top_view *v, const sigset_t *unblocked)
{
	sigset_t blocked;

	sigprocmask(SIG_SETMASK, unblocked, &blocked);
	top_draw(v);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	v->ended = v->ended || ending_now;
}

/* Signals that end programs end this one as the key does: the terminal is set right first. */
static int open_signals(sigset_t *ret_before)
{
	const struct sigaction leave = { .sa_handler = leave_writing, .sa_flags = SA_RESTART };
	sigset_t set;

	signals_that_end(&set);
	for (int i = 1; i < SIGRTMIN; i++)
		if (sigismember(&set, i) == 1)
			sigaction(i, &leave, NULL);
	return signals_open(&set, ret_before);
}

/* ---- going on ------------------------------------------------------------------------------- */

struct times {
	uint64_t refresh_ns; /* when the next is due */
	uint64_t sample_ns;
	uint64_t left; /* so many refreshes more; 0: no end */
};

/* What is due is done. Returns whether there is something new to show. */
static bool keep_up(struct top_view *v, struct times *t)
{
	uint64_t now_ns = clock_mono_ns(&clock_system);

	/* Whoever changed the delay does not wait for the old one. */
	if (t->refresh_ns > v->model->t_ns + v->delay_ns)
		t->refresh_ns = v->model->t_ns + v->delay_ns;
	if (!v->paused && now_ns >= t->refresh_ns) {
		top_model_refresh(v->model);
		top_view_sort(v);
		t->refresh_ns += v->delay_ns;
		if (t->refresh_ns <= now_ns)
			t->refresh_ns = now_ns + v->delay_ns;
		t->sample_ns = now_ns + TOP_SAMPLE_NS;
		if (t->left > 0 && --t->left == 0)
			v->ended = true;
		return true;
	}
	if (now_ns >= t->sample_ns) {
		top_model_sample(v->model);
		t->sample_ns = now_ns + TOP_SAMPLE_NS;
		top_view_sort(v);
		return true;
	}
	return false;
}

/* Returns false where the terminal is gone. */
static bool wait_for_something(const struct top_view *v, const struct times *t, int signal_fd)
{
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = signal_fd, .events = POLLIN } };
	uint64_t now_ns = clock_mono_ns(&clock_system), due_ns = t->sample_ns;
	struct timespec ts;

	if (!v->paused && t->refresh_ns < due_ns)
		due_ns = t->refresh_ns;
	ts = timespec_until(due_ns, now_ns);
	if (ppoll(fds, ARRAY_SIZE(fds), &ts, NULL) <= 0)
		return true;
	return !fds[1].revents && !(fds[0].revents & (POLLHUP | POLLERR | POLLNVAL));
}

static void follow(struct top_view *v, struct times *t, int signal_fd, const sigset_t *unblocked)
{
	bool stale = true;

	top_view_sort(v);
	while (!v->ended) {
		int key;

		if (keep_up(v, t) || stale)
			draw(v, unblocked);
		stale = false;
		if (v->ended || !wait_for_something(v, t, signal_fd))
			break;
		while ((key = getch()) != ERR) {
			top_key(v, key);
			stale = true;
		}
	}
}

int top_view_run(struct top_model *m, const struct top_view_options *o)
{
	struct top_view v = {
		.model = m, .order = o->order, .limit = o->limit, .delay_ns = o->delay_ns
	};
	struct times t = { .refresh_ns = m->t_ns + o->delay_ns,
		.sample_ns = m->t_ns + TOP_SAMPLE_NS,
		.left = o->refreshes };
	sigset_t before;
	CLEANUP_FD int signal_fd = open_signals(&before);
	SCREEN *screen;

	if (signal_fd < 0)
		return cli_fail("top", "cannot create signalfd: %s", strerror(-signal_fd));
	screen = open_terminal(&v);
	if (!screen)
		return CLI_FAILED;
	follow(&v, &t, signal_fd, &before);
	sigprocmask(SIG_SETMASK, &before, NULL); /* one that is pending gets endwin() going, too */
	endwin();
	delscreen(screen);
	top_rows_finish(&v.rows);
	return CLI_DONE;
}
