// SPDX-License-Identifier: MIT
#include "books/share.h"

#include "util/u128.h"

#define FRACTION_BITS 24

static uint64_t claims_of(const struct share_target *targets, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += targets[i].used + targets[i].surplus;
	return sum;
}

/* The use that the energy is divided by. */
static uint64_t divisor_of(const struct share_interval *interval, uint64_t claims)
{
	uint64_t capacity = interval->capacity, busy;

	if (interval->policy == IDLE_SEPARATE)
		return capacity;
	busy = interval->idle < capacity ? capacity - interval->idle : 0;
	if (busy < claims)
		busy = claims;
	return busy < capacity ? busy : capacity;
}

/* a * b / c in units of the fraction, with b <= c. In two steps: over a long gap a * b alone needs
 * more than a hundred bits. */
static u128 scaled(uint64_t a, uint64_t b, uint64_t c)
{
	u128 product = (u128) a * b;

	return (product / c << FRACTION_BITS) + (product % c << FRACTION_BITS) / c;
}

uint64_t share_split(const struct share_interval *interval, struct share_target *targets, size_t n)
{
	uint64_t claims = claims_of(targets, n);
	uint64_t divisor = divisor_of(interval, claims);
	uint64_t left_uj = interval->energy_uj;

	for (size_t i = 0; i < n; i++) {
		struct share_target *t = &targets[i];
		uint64_t claim = t->used + t->surplus, fits = claim, give_uj;
		u128 exact;

		t->energy_uj = 0;
		if (divisor == 0) {
			t->surplus = claim;
			continue;
		}
		if (claims > divisor)
			fits = muldiv_u64(claim, divisor, claims);
		t->surplus = claim - fits;
		exact = scaled(interval->energy_uj, fits, divisor) + t->fraction;
		give_uj = (uint64_t) (exact >> FRACTION_BITS);
		if (give_uj > left_uj)
			give_uj = left_uj;
		t->energy_uj = give_uj;
		t->fraction = (uint64_t) (exact - ((u128) give_uj << FRACTION_BITS));
		left_uj -= give_uj;
	}
	return left_uj;
}

uint64_t share_idle(const struct share_interval *interval, uint64_t rest_uj)
{
	uint64_t idle_uj;

	if (interval->capacity == 0)
		return 0;
	if (interval->policy == IDLE_PROPORTIONAL)
		return interval->idle >= interval->capacity ? rest_uj : 0;
	if (interval->idle >= interval->capacity)
		return rest_uj;
	idle_uj = muldiv_u64(interval->energy_uj, interval->idle, interval->capacity);
	return idle_uj < rest_uj ? idle_uj : rest_uj;
}

/* More than the capacity cannot have been used, whatever a stale clock that caught up says. */
static uint64_t part_of(uint64_t energy_uj, uint64_t used_ns, uint64_t capacity_ns)
{
	return used_ns < capacity_ns ? muldiv_u64(energy_uj, used_ns, capacity_ns) : energy_uj;
}

struct energy share_range(const struct share_doubt *doubt, uint64_t energy_uj)
{
	struct energy ret = { .uj = energy_uj, .low_uj = energy_uj, .high_uj = energy_uj };
	uint64_t middle_uj, low_uj, high_uj;

	if (doubt->capacity_ns == 0)
		return ret;
	middle_uj = part_of(doubt->domain.uj, doubt->used_ns, doubt->capacity_ns);
	low_uj = part_of(doubt->domain.low_uj, doubt->used_low_ns, doubt->capacity_ns);
	high_uj = part_of(doubt->domain.high_uj, doubt->used_high_ns, doubt->capacity_ns) + 1;
	if (middle_uj == 0) {
		ret.low_uj = 0;
		ret.high_uj = energy_uj + high_uj;
		return ret;
	}
	/* As far below and above as the whole interval's figures are, in proportion. */
	ret.low_uj = low_uj < middle_uj ? muldiv_u64(energy_uj, low_uj, middle_uj) : energy_uj;
	if (high_uj > middle_uj)
		ret.high_uj = muldiv_u64(energy_uj, high_uj, middle_uj) + 1;
	return ret;
}

double share_clock_doubt(const struct share_doubt *doubt, uint64_t energy_uj)
{
	uint64_t low_uj, middle_uj, high_uj;

	if (doubt->capacity_ns == 0)
		return 0;
	low_uj = part_of(doubt->domain.uj, doubt->used_low_ns, doubt->capacity_ns);
	middle_uj = part_of(doubt->domain.uj, doubt->used_ns, doubt->capacity_ns);
	high_uj = part_of(doubt->domain.uj, doubt->used_high_ns, doubt->capacity_ns);
	if (middle_uj == 0)
		return (double) high_uj;
	return (double) (high_uj - low_uj) * (double) energy_uj / (double) middle_uj;
}
