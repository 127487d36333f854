// SPDX-License-Identifier: MIT
#include "util/parse.h"

#include <errno.h>
#include <stdbool.h>

#include "util/u128.h"

static bool only_blanks(const char *text)
{
	while (*text == ' ' || *text == '\t' || *text == '\n')
		text++;
	return *text == '\0';
}

/* Reads digits of one base; *text is moved behind them. */
static int digits_u64(const char **text, unsigned base, uint64_t *ret)
{
	const char *s = *text;
	uint64_t value = 0;

	for (;; s++) {
		unsigned digit;

		if (*s >= '0' && *s <= '9')
			digit = (unsigned) (*s - '0');
		else if (base == 16 && *s >= 'a' && *s <= 'f')
			digit = (unsigned) (*s - 'a' + 10);
		else if (base == 16 && *s >= 'A' && *s <= 'F')
			digit = (unsigned) (*s - 'A' + 10);
		else
			break;
		if (__builtin_mul_overflow(value, base, &value) ||
			__builtin_add_overflow(value, digit, &value))
			return -ERANGE;
	}
	if (s == *text)
		return -EINVAL;
	*text = s;
	*ret = value;
	return 0;
}

int parse_u64(const char *text, uint64_t *ret)
{
	uint64_t value;
	int r = digits_u64(&text, 10, &value);

	if (r < 0)
		return r;
	if (!only_blanks(text))
		return -EINVAL;
	*ret = value;
	return 0;
}

int parse_hex_u64(const char *text, uint64_t *ret)
{
	uint64_t value;
	int r = digits_u64(&text, 16, &value);

	if (r < 0)
		return r;
	if (!only_blanks(text))
		return -EINVAL;
	*ret = value;
	return 0;
}

int parse_i64(const char *text, int64_t *ret)
{
	bool negative = *text == '-';
	uint64_t value;
	int r;

	if (*text == '-' || *text == '+')
		text++;
	r = parse_u64(text, &value);
	if (r < 0)
		return r;
	if (value > (uint64_t) INT64_MAX)
		return -ERANGE;
	*ret = negative ? -(int64_t) value : (int64_t) value;
	return 0;
}

int parse_fixed(const char *text, unsigned digits, uint64_t *ret)
{
	uint64_t value = 0;
	bool any = false;
	int r;

	if (*text != '.') {
		r = digits_u64(&text, 10, &value);
		if (r < 0)
			return r;
		any = true;
	}
	if (*text == '.') {
		text++;
		while (*text >= '0' && *text <= '9') {
			any = true;
			if (digits > 0) {
				if (__builtin_mul_overflow(value, 10, &value) ||
					__builtin_add_overflow(
						value, (unsigned) (*text - '0'), &value))
					return -ERANGE;
				digits--;
			}
			text++;
		}
	}
	for (; digits > 0; digits--)
		if (__builtin_mul_overflow(value, 10, &value))
			return -ERANGE;
	if (!any || !only_blanks(text))
		return -EINVAL;
	*ret = value;
	return 0;
}

static int times_ten(u128 *value)
{
	return __builtin_mul_overflow(*value, 10, value) ? -ERANGE : 0;
}

static int digits_of_ratio(const char **text, u128 *ret, int *exponent)
{
	bool any = false, behind_point = false;

	for (;; (*text)++) {
		char c = **text;

		if (c == '.' && !behind_point) {
			behind_point = true;
			continue;
		}
		if (c < '0' || c > '9')
			return any ? 0 : -EINVAL;
		if (times_ten(ret) < 0 || __builtin_add_overflow(*ret, (unsigned) (c - '0'), ret))
			return -ERANGE;
		*exponent -= behind_point;
		any = true;
	}
}

static int exponent_of_ratio(const char **text, int *exponent)
{
	const char *s = *text + 1;
	bool negative = *s == '-';
	uint64_t value;
	int r;

	if (*s == '-' || *s == '+')
		s++;
	r = digits_u64(&s, 10, &value);
	if (r < 0)
		return r;
	if (value > 1000)
		return -ERANGE;
	*exponent += negative ? -(int) value : (int) value;
	*text = s;
	return 0;
}

int parse_ratio(const char *text, int shift, uint64_t *ret_num, uint64_t *ret_den)
{
	u128 num = 0, den = 1, a, b;
	int exponent = shift;
	int r = digits_of_ratio(&text, &num, &exponent);

	if (r == 0 && (*text == 'e' || *text == 'E'))
		r = exponent_of_ratio(&text, &exponent);
	if (r < 0)
		return r;
	if (!only_blanks(text))
		return -EINVAL;
	for (; exponent > 0 && num > 0; exponent--)
		if (times_ten(&num) < 0)
			return -ERANGE;
	for (; exponent < 0 && num > 0; exponent++)
		if (times_ten(&den) < 0)
			return -ERANGE;
	for (a = num, b = den; b > 0;) {
		u128 rest = a % b;

		a = b;
		b = rest;
	}
	num /= a;
	den /= a;
	if (num > UINT64_MAX || den > UINT64_MAX)
		return -ERANGE;
	*ret_num = (uint64_t) num;
	*ret_den = (uint64_t) den;
	return 0;
}

int parse_size(const char *text, uint64_t *ret)
{
	uint64_t value, unit = 1;
	int r = digits_u64(&text, 10, &value);

	if (r < 0)
		return r;
	switch (*text) {
	case 'K':
	case 'k':
		unit = UINT64_C(1) << 10;
		break;
	case 'M':
	case 'm':
		unit = UINT64_C(1) << 20;
		break;
	case 'G':
	case 'g':
		unit = UINT64_C(1) << 30;
		break;
	case '\0':
		break;
	default:
		return -EINVAL;
	}
	if (unit > 1)
		text++;
	if (*text != '\0')
		return -EINVAL;
	if (__builtin_mul_overflow(value, unit, &value))
		return -ERANGE;
	*ret = value;
	return 0;
}
