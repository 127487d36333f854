// SPDX-License-Identifier: MIT
#include "sensors/nvml/pace.h"

/* While an update is looked for, so many reads are made in a period; if none is found in so many
 * periods, the value stands still, and a few will do. */
#define SEARCH_READS 64
#define SEARCH_PERIODS 2
#define SEARCH_READS_SLOW 4
/* Reads no further apart than this part of a period, one old and one new, have one update between
 * them. */
#define SEARCH_GAP_PART 2

/* The same where an update is overdue. */
#define VAIN_READS 3
#define VAIN_PERIODS 4

/* All of these are fractions of a period. The width to which an update's place is narrowed down,
 * and how far behind it a read is safe. */
#define WIDTH_PART 100
#define MARGIN_PART 400
/* Where it is wider than this, so many reads are made in it, rather than one. */
#define SCAN_PART 32
#define SCAN_READS 8
#define MARGIN_LEAST_NS 200000

/* What is learned of an update's place goes into its time by a fraction, and at most so much. */
#define SLEW_GAIN 4
#define SLEW_PART 500
/* Where it is further off than this, or the pace is known less well than this, being right matters
 * more than being steady. */
#define SLEW_ALL_PART 32
#define PACE_ERR_GOOD_PART 250

/* How well the pace is known at first, at worst and at best. */
#define PACE_ERR_FIRST_PART 500
#define PACE_ERR_WORST_PART 50
#define PACE_ERR_BEST_PART 4000
/* It is taken from updates at least and at most so far apart. */
#define PACE_PERIODS_LEAST 4
#define PACE_PERIODS_MOST 64
#define PACE_LEAST_NS 1000000
/* Where nothing is known of it, so many periods tell. */
#define MEASURE_PERIODS 2

/* How irregular updates may be: beyond that it is another pace. What was seen of it is forgotten
 * little by little. */
#define JITTER_PART 8
#define JITTER_FADES 32

/* An update is looked for on its near side at least once in so many. */
#define LOW_EVERY 8

/* So many surprises in a row, all in one direction: the pace is another than was thought. */
#define SURPRISES_MAX 4

static int64_t part_of(const struct pace *e, int64_t part)
{
	return (int64_t) e->period_ns / part;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t clamp(int64_t value, int64_t limit)
{
	return most(-limit, least(value, limit));
}

static uint64_t moved(uint64_t t_ns, int64_t by_ns)
{
	return (uint64_t) ((int64_t) t_ns + by_ns);
}

void pace_init(struct pace *e, uint64_t period_ns)
{
	*e = (struct pace) { .period_ns = period_ns };
	e->pace_err_ns = (uint64_t) part_of(e, PACE_ERR_FIRST_PART);
}

void pace_restart(struct pace *e)
{
	uint64_t pace_err_ns = e->pace_err_ns;

	pace_init(e, e->period_ns);
	e->pace_err_ns = pace_err_ns;
}

/* The update's place is lost, and its pace perhaps; reading goes on. */
static void lose(struct pace *e, bool measuring)
{
	uint64_t value = e->value, read_ns = e->read_ns;

	pace_restart(e);
	e->value = value;
	e->read_ns = read_ns;
	e->measuring = measuring;
}

static int64_t middle(const struct pace *e)
{
	return (e->low_ns + e->high_ns) / 2;
}

static int64_t width(const struct pace *e)
{
	return e->high_ns - e->low_ns;
}

static int64_t margin_ns(const struct pace *e)
{
	return most(part_of(e, MARGIN_PART), MARGIN_LEAST_NS);
}

static void set_err(struct pace *e)
{
	e->err_ns = (uint64_t) (most(-e->low_ns, e->high_ns) + e->jitter_ns);
}

/* The pace is measured from this update on. */
static void begin_measuring(struct pace *e)
{
	e->base_ns = moved(e->at_ns, middle(e));
	e->base_err_ns = (uint64_t) width(e) / 2;
	e->n_periods = 0;
}

/* Nothing is known of the pace but what updates are apart that come one after the other. Returns
 * false while more of them are needed. */
static bool measure(struct pace *e, uint64_t at_ns, uint64_t err_ns)
{
	if (e->base_ns == 0) {
		e->base_ns = at_ns;
		e->base_err_ns = err_ns;
		e->n_periods = 0;
		return false;
	}
	e->n_periods++;
	e->period_ns = (uint64_t) most(
		(int64_t) ((at_ns - e->base_ns) / e->n_periods), PACE_LEAST_NS);
	e->pace_err_ns = (err_ns + e->base_err_ns) / e->n_periods;
	return e->n_periods >= MEASURE_PERIODS &&
		((int64_t) e->pace_err_ns <= part_of(e, PACE_ERR_WORST_PART) ||
			e->period_ns <= PACE_LEAST_NS);
}

/* An update was found: it lies between two reads. */
static void place(struct pace *e, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t at_ns = from_ns + (to_ns - from_ns) / 2;

	if (e->measuring && !measure(e, at_ns, (to_ns - from_ns) / 2))
		return;
	e->located = true;
	e->at_ns = at_ns;
	e->low_ns = (int64_t) (from_ns - at_ns);
	e->high_ns = (int64_t) (to_ns - at_ns);
	e->surprises = 0;
	set_err(e);
	if (!e->measuring)
		begin_measuring(e);
	e->measuring = false;
}

/* Updates up to t_ns since the last one: at least one, since the value is new. */
static uint64_t count_updates(const struct pace *e, uint64_t t_ns)
{
	uint64_t second_ns = moved(e->at_ns + 2 * e->period_ns, middle(e));

	return t_ns < second_ns ? 1 : 2 + (t_ns - second_ns) / e->period_ns;
}

/* The update was between low and high, which is where it could not be: not far from there. */
static void be_surprised(struct pace *e, int64_t low, int64_t high, int direction)
{
	int64_t wide = most(2 * width(e), part_of(e, WIDTH_PART));

	e->jitter_ns += direction > 0 ? low - e->high_ns : e->low_ns - high;
	e->low_ns = direction > 0 ? low : most(low, high - wide);
	e->high_ns = direction > 0 ? least(high, low + wide) : high;
	e->surprises = (e->surprises ^ direction) < 0 ? direction : e->surprises + direction;
	e->pace_err_ns = (uint64_t) least(
		(int64_t) e->pace_err_ns * 2, part_of(e, PACE_ERR_WORST_PART));
}

/* Takes the pace from the distance to an earlier update, where that says more than is known. */
static void learn_pace(struct pace *e)
{
	int64_t n = (int64_t) e->n_periods, err_ns, off_ns;

	if (n < PACE_PERIODS_LEAST)
		return;
	err_ns = (width(e) / 2 + (int64_t) e->base_err_ns + e->jitter_ns) / n;
	off_ns = (int64_t) (moved(e->at_ns, middle(e)) - e->base_ns) / n - (int64_t) e->period_ns;
	if (err_ns < (int64_t) e->pace_err_ns ||
		clamp(off_ns, err_ns + (int64_t) e->pace_err_ns) != off_ns) {
		e->period_ns = moved(e->period_ns, off_ns);
		e->pace_err_ns = (uint64_t) most(err_ns, part_of(e, PACE_ERR_BEST_PART));
	}
	if (n >= PACE_PERIODS_MOST)
		begin_measuring(e);
}

/* The update was between low and high, as was to be expected. */
static void be_confirmed(struct pace *e, int64_t low, int64_t high)
{
	e->low_ns = most(low, e->low_ns);
	e->high_ns = least(high, e->high_ns);
	/* That it was not earlier is only known where a read found it still to come. */
	if (e->surprises > 0 || e->since_low == 0)
		e->surprises = 0;
	learn_pace(e);
}

static bool is_another_pace(const struct pace *e)
{
	int64_t limit = part_of(e, JITTER_PART);

	return e->surprises >= SURPRISES_MAX || e->surprises <= -SURPRISES_MAX ||
		e->jitter_ns > limit || e->low_ns > limit || e->high_ns < -limit;
}

/* Takes in that the last update before a read, which was between since_ns and to_ns, lies after
 * from_ns. */
static void narrow(struct pace *e, uint64_t from_ns, uint64_t since_ns, uint64_t to_ns)
{
	uint64_t n = count_updates(e, since_ns + (to_ns - since_ns) / 2);
	/* Between reads that are close there is one update, wherever it is; else the pace tells. */
	bool unsure = (n > 1 && to_ns - from_ns > e->period_ns / SEARCH_GAP_PART) ||
		to_ns - since_ns > e->period_ns / SEARCH_GAP_PART;
	bool doubtful;
	int64_t low, high, drift, slew;

	if (n > PACE_PERIODS_MOST) {
		lose(e, false);
		return;
	}
	drift = (int64_t) (n * e->pace_err_ns) + e->jitter_ns;
	e->jitter_ns -= e->jitter_ns / JITTER_FADES;
	e->at_ns += n * e->period_ns;
	e->low_ns -= drift;
	e->high_ns += drift;
	e->n_periods += n;
	low = unsure ? e->low_ns : (int64_t) (from_ns - e->at_ns);
	high = (int64_t) (to_ns - e->at_ns);
	/* The read may have shown another one: the next one will tell. */
	doubtful = unsure &&
		((int64_t) (since_ns - e->at_ns) < e->high_ns ||
			high > (int64_t) e->period_ns + e->low_ns);
	e->since_low = low >= e->low_ns - 4 * margin_ns(e) ? 0 : e->since_low + 1;
	if (low > e->high_ns)
		be_surprised(e, low, high, 1);
	else if (high < e->low_ns)
		be_surprised(e, low, high, -1);
	else
		be_confirmed(e, low, high);
	slew = middle(e);
	if (slew == clamp(slew, part_of(e, SLEW_ALL_PART)) &&
		(int64_t) e->pace_err_ns <= part_of(e, PACE_ERR_GOOD_PART))
		slew = clamp(slew / SLEW_GAIN, part_of(e, SLEW_PART));
	e->at_ns = moved(e->at_ns, slew);
	e->low_ns -= slew;
	e->high_ns -= slew;
	set_err(e);
	if (doubtful)
		e->err_ns = e->period_ns;
	if (is_another_pace(e))
		lose(e, true);
	else if (width(e) > part_of(e, 2))
		lose(e, false);
}

bool pace_step_within(struct pace *e, uint64_t value, uint64_t from_ns, uint64_t to_ns)
{
	bool changed = e->read_ns > 0 && value != e->value;
	uint64_t before_ns = e->read_ns;

	e->n_vain = changed ? 0 : e->n_vain + 1;
	e->value = value;
	e->read_ns = from_ns;
	if (!changed)
		return false;
	if (e->located)
		narrow(e, before_ns, from_ns, to_ns);
	else if (to_ns - before_ns <= e->period_ns / SEARCH_GAP_PART)
		place(e, before_ns, to_ns);
	else
		e->base_ns = 0; /* there may have been more than one */
	return true;
}

bool pace_step(struct pace *e, uint64_t value, uint64_t t_ns)
{
	return pace_step_within(e, value, t_ns, t_ns);
}

uint64_t pace_next_ns(const struct pace *e, uint64_t now_ns)
{
	uint64_t expected_ns = e->at_ns + e->period_ns, late_ns, due_ns;
	int64_t safe_ns, pause_ns;

	if (!e->located) {
		bool still = e->n_vain > SEARCH_READS * SEARCH_PERIODS;

		return now_ns + e->period_ns / (still ? SEARCH_READS_SLOW : SEARCH_READS);
	}
	safe_ns = (int64_t) e->pace_err_ns + e->jitter_ns + margin_ns(e);
	late_ns = moved(expected_ns, e->high_ns + safe_ns);
	due_ns = late_ns;
	if (e->since_low >= LOW_EVERY || e->surprises < 0)
		due_ns = moved(expected_ns, e->low_ns - safe_ns);
	else if (width(e) > part_of(e, WIDTH_PART))
		due_ns = moved(expected_ns, middle(e));
	if (width(e) > part_of(e, SCAN_PART)) {
		/* Far too wide: a few reads in one period, from its near to its far side. */
		int64_t step = most(width(e) / SCAN_READS, part_of(e, WIDTH_PART));

		due_ns = moved(expected_ns, e->low_ns + step);
		if (due_ns <= now_ns && moved(now_ns, step) < late_ns)
			due_ns = moved(now_ns, step);
	}
	if (due_ns > now_ns)
		return due_ns;
	if (late_ns > now_ns)
		return late_ns;
	/* It does not come: ever more rarely, up to once in a period. */
	pause_ns = most(margin_ns(e), (int64_t) (now_ns - late_ns));
	if (pause_ns < VAIN_PERIODS * (int64_t) e->period_ns)
		return moved(now_ns, least(pause_ns, part_of(e, VAIN_READS)));
	return now_ns + e->period_ns;
}
