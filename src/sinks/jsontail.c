// SPDX-License-Identifier: MIT
#include "sinks/jsontail.h"

#include <errno.h>
#include <string.h>

#define MAX_DEPTH 16

struct cursor {
	const char *text;
	size_t at;
	size_t n;
};

static void skip_blanks(struct cursor *c)
{
	while (c->at < c->n && strchr(" \t\r\n", c->text[c->at]) && c->text[c->at] != '\0')
		c->at++;
}

static bool eat(struct cursor *c, char want)
{
	skip_blanks(c);
	if (c->at == c->n || c->text[c->at] != want)
		return false;
	c->at++;
	return true;
}

/* A string from quote to quote; what is between is left where it is. */
static bool eat_string(struct cursor *c, size_t *ret_from, size_t *ret_to)
{
	if (!eat(c, '"'))
		return false;
	*ret_from = c->at;
	for (; c->at < c->n; c->at++) {
		if (c->text[c->at] == '\\') {
			c->at++;
		} else if (c->text[c->at] == '"') {
			*ret_to = c->at++;
			return true;
		} else if ((unsigned char) c->text[c->at] < 0x20) {
			return false;
		}
	}
	return false;
}

/* A number, true, false or null: a run of the characters that these are made of, and ended by
 * another one, or it may be cut short. */
static bool eat_word(struct cursor *c)
{
	size_t from = c->at;

	while (c->at < c->n && strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzE", c->text[c->at]) &&
		c->text[c->at] != '\0')
		c->at++;
	return c->at > from && c->at < c->n;
}

/* Any value; objects and lists by counting brackets, for their insides were written whole. */
static bool eat_value(struct cursor *c)
{
	int depth = 0;
	size_t from, to;

	do {
		skip_blanks(c);
		if (c->at == c->n)
			return false;
		switch (c->text[c->at]) {
		case '{':
		case '[':
			if (++depth > MAX_DEPTH)
				return false;
			c->at++;
			break;
		case '}':
		case ']':
			if (depth-- == 0)
				return false;
			c->at++;
			break;
		case '"':
			if (!eat_string(c, &from, &to))
				return false;
			break;
		case ',':
		case ':':
			if (depth == 0)
				return false;
			c->at++;
			break;
		default:
			if (!eat_word(c))
				return false;
		}
	} while (depth > 0);
	return true;
}

static void keep_key(const struct cursor *c, size_t from, size_t to, struct jsontail *ret)
{
	size_t n = to - from;

	if (n >= sizeof(ret->key))
		n = sizeof(ret->key) - 1;
	memcpy(ret->key, c->text + from, n);
	ret->key[n] = '\0';
}

static bool eat_entry(struct cursor *c, char bracket, struct jsontail *ret)
{
	struct cursor inside;
	size_t from, to;

	if (bracket == '{') {
		if (!eat_string(c, &from, &to) || !eat(c, ':') || !eat_value(c))
			return false;
		keep_key(c, from, to, ret);
		return true;
	}
	skip_blanks(c);
	inside = *c;
	if (!eat(&inside, '{') || !eat_string(&inside, &from, &to) || !eat_value(c))
		return false;
	keep_key(&inside, from, to, ret);
	return true;
}

/* "2023-08-25 05:50:59" and its opening quote, in quotes that are no string's end: dates stand in
 * keys only. */
static bool is_key(const char *text, size_t n)
{
	static const char form[] = "\"dddd-dd-dd dd:dd:dd";

	if (n < sizeof(form) - 1)
		return false;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return false;
	return true;
}

/* The first entry that begins in the text. */
static bool find_entry(struct cursor *c, char bracket)
{
	for (; c->at < c->n; c->at++) {
		if (bracket == '{' && is_key(c->text + c->at, c->n - c->at))
			return true;
		if (bracket == '[' && c->text[c->at] == '{' && c->at + 1 < c->n &&
			is_key(c->text + c->at + 1, c->n - c->at - 1))
			return true;
	}
	return false;
}

int jsontail_find(const char *text, size_t n, bool whole, char bracket, struct jsontail *ret)
{
	struct cursor c = { .text = text, .n = n };
	char closing = bracket == '{' ? '}' : ']';

	*ret = (struct jsontail) { 0 };
	if (whole) {
		if (!eat(&c, bracket))
			return -EBADMSG;
		ret->end = c.at;
		if (eat(&c, closing)) {
			skip_blanks(&c);
			ret->sound = c.at == c.n;
			return 0;
		}
	} else if (!find_entry(&c, bracket)) {
		return -EBADMSG;
	}
	for (;;) {
		struct jsontail next = *ret;

		if (!eat_entry(&c, bracket, &next))
			return whole || ret->any ? 0 : -EBADMSG;
		*ret = next;
		ret->any = true;
		ret->end = c.at;
		if (eat(&c, ','))
			continue;
		if (eat(&c, closing)) {
			skip_blanks(&c);
			ret->sound = c.at == c.n;
		}
		return 0;
	}
}
