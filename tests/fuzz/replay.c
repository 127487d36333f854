// SPDX-License-Identifier: MIT
/*
 * Makes an ordinary test of a fuzz target: the files of its corpus, and then some thousands of
 * damaged ones, always the same. The corpus is the program's argument; a further argument is one
 * file to be tried, as a fuzzer leaves it.
 */
#include "test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "fuzz.h"
#include "random.h"

#define SEED 20231122
#define MUTATIONS 4000
#define MAX_FILES 200
#define MAX_SIZE 65536

static const char *corpus;

static struct {
	uint8_t *bytes;
	size_t n;
} files[MAX_FILES];
static size_t n_files;

/* Memory of exactly this length: a sanitizer sees reads behind it. */
static void try_bytes(const uint8_t *bytes, size_t n)
{
	uint8_t *exact = malloc(n ? n : 1);

	assert_non_null(exact);
	if (n > 0)
		memcpy(exact, bytes, n);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
}

static void load_corpus(void)
{
	struct dirent **names;
	int n = scandir(corpus, &names, NULL, alphasort);

	assert_true(n > 2);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.') {
			assert_true(n_files < MAX_FILES);
			files[n_files].bytes = (uint8_t *) file_get(
				corpus, names[i]->d_name, &files[n_files].n);
			assert_non_null(files[n_files].bytes);
			n_files++;
		}
		free(names[i]);
	}
	free(names);
}

static void test_corpus(void **state)
{
	(void) state;
	load_corpus();
	try_bytes(NULL, 0);
	for (size_t i = 0; i < n_files; i++)
		try_bytes(files[i].bytes, files[i].n);
}

/* Every cut of the smaller files. */
static void test_cuts(void **state)
{
	(void) state;
	for (size_t i = 0; i < n_files; i++)
		for (size_t n = 0; n < files[i].n && files[i].n <= 400; n++)
			try_bytes(files[i].bytes, n);
}

static size_t mutate(struct rng *r, uint8_t *b, size_t n)
{
	size_t at = n ? rng_below(r, n) : 0, len = 1 + rng_below(r, 16),
	       other = rng_below(r, n_files);

	switch (rng_below(r, 7)) {
	case 0: /* another bit */
		if (n > 0)
			b[at] ^= (uint8_t) (1 << rng_below(r, 8));
		break;
	case 1: /* another byte */
		if (n > 0)
			b[at] = (uint8_t) rng_u64(r);
		break;
	case 2: /* one that has a meaning */
		if (n > 0)
			b[at] = (uint8_t) "\0\xff\x7f\x80{}[]\",:\\\n 0919-"[rng_below(r, 20)];
		break;
	case 3: /* some less */
		if (len > n - at)
			len = n - at;
		memmove(b + at, b + at + len, n - at - len);
		return n - len;
	case 4: /* some twice */
		if (len > n - at)
			len = n - at;
		if (n + len > MAX_SIZE)
			return n;
		memmove(b + at + len, b + at, n - at);
		return n + len;
	case 5: /* cut off */
		return at;
	default: /* going on as another file */
		if (files[other].n == 0 || at + files[other].n > MAX_SIZE)
			return n;
		len = rng_below(r, files[other].n);
		memcpy(b + at, files[other].bytes + len, files[other].n - len);
		return at + files[other].n - len;
	}
	return n;
}

static void test_mutations(void **state)
{
	uint8_t *b = malloc(MAX_SIZE);

	(void) state;
	assert_non_null(b);
	for (uint64_t i = 0; i < MUTATIONS; i++) {
		struct rng r = rng_make(SEED, i);
		size_t which = rng_below(&r, n_files), n = files[which].n;

		if (n > MAX_SIZE)
			continue;
		memcpy(b, files[which].bytes, n);
		for (uint64_t k = rng_between(&r, 1, 6); k > 0; k--)
			n = mutate(&r, b, n);
		try_bytes(b, n);
	}
	free(b);
}

static int free_corpus(void **state)
{
	(void) state;
	for (size_t i = 0; i < n_files; i++)
		free(files[i].bytes);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_corpus),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_mutations),
	};

	if (argc < 2) {
		fprintf(stderr, "usage: %s CORPUS [FILE]\n", argv[0]);
		return 2;
	}
	corpus = argv[1];
	if (argc > 2) {
		size_t n;
		uint8_t *bytes = (uint8_t *) file_get(argv[2][0] == '/' ? "/" : ".", argv[2], &n);

		if (!bytes)
			return 2;
		try_bytes(bytes, n);
		free(bytes);
		return 0;
	}
	return cmocka_run_group_tests_name("fuzz", tests, NULL, free_corpus);
}
