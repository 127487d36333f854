// SPDX-License-Identifier: MIT
/*
 * The rails of the Raspberry Pi 5 and Compute Module 5, which their power controller measures. The
 * firmware tells them in words, as "vcgencmd pmic_read_adc" prints them:
 *
 *      VDD_CORE_A current(7)=0.56259000A
 *      VDD_CORE_V volt(15)=0.76798460V
 *
 * It is asked through /dev/vcio: one property tag whose value is an error word and a text, which is
 * the command and then its answer. In a captured tree the file holds the answer itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "meter/sensor.h"
#include "util/cleanup.h"
#include "util/fdtext.h"
#include "util/parse.h"

#define MAILBOX "/dev/vcio"
#define MAILBOX_PROPERTY _IOWR(100, 0, char *)
#define TAG_GENCMD 0x00030080
#define RESPONSE_OK 0x80000000
#define COMMAND "pmic_read_adc"
#define TEXT_MAX 4096

#define PERIOD_NS (200 * NS_PER_MS)
#define MAX_RAILS 32
#define MAX_UA UINT64_C(50000000)
#define MAX_UV UINT64_C(50000000)
#define MAX_MW UINT64_C(100000)

struct message {
	uint32_t size; /* in bytes */
	uint32_t code;
	uint32_t tag;
	uint32_t value_size;
	uint32_t value_used;
	uint32_t error;
	char text[TEXT_MAX];
	uint32_t end;
};

struct rail {
	char name[24];
	bool has_current;
	bool has_voltage;
	uint64_t ua;
	uint64_t uv;
};

enum { BOARD, CORE, MEMORY, DOMAINS };

/* A descriptor that answers with errors for so long is opened again. */
#define ERRORS_BEFORE_REOPEN 10

struct pmic {
	int fd;
	unsigned errors; /* in a row */
	struct message message;
};

/* ---- the answer -------------------------------------------------------------------------- */

static struct rail *find_rail(struct rail *rails, size_t *n, const char *name, size_t length)
{
	for (size_t i = 0; i < *n; i++)
		if (strlen(rails[i].name) == length && memcmp(rails[i].name, name, length) == 0)
			return &rails[i];
	if (*n == MAX_RAILS || length >= sizeof(rails[0].name))
		return NULL;
	rails[*n] = (struct rail) { 0 };
	memcpy(rails[*n].name, name, length);
	return &rails[(*n)++];
}

/* "VDD_CORE_A current(7)=0.56259000A". What is no such line is passed over. */
static void parse_line(const char *line, size_t length, struct rail *rails, size_t *n)
{
	char text[96], number[24];
	char *name = text, *end, *value;
	struct rail *rail;
	uint64_t micro;
	size_t digits;

	if (length >= sizeof(text))
		return;
	memcpy(text, line, length);
	text[length] = '\0';
	name += strspn(name, " \t");
	end = strchr(name, ' ');
	value = strchr(name, '=');
	if (!end || !value || end - name < 3 || end[-2] != '_' || value < end)
		return;
	digits = strspn(++value, "0123456789.");
	if (digits >= sizeof(number))
		return;
	snprintf(number, sizeof(number), "%.*s", (int) digits, value);
	if (parse_fixed(number, 6, &micro) < 0 || value[digits] != end[-1])
		return;
	rail = find_rail(rails, n, name, (size_t) (end - name) - 2);
	if (rail && end[-1] == 'A' && micro <= MAX_UA) {
		rail->has_current = true;
		rail->ua = micro;
	} else if (rail && end[-1] == 'V' && micro <= MAX_UV) {
		rail->has_voltage = true;
		rail->uv = micro;
	}
}

static size_t parse_answer(const char *text, struct rail rails[MAX_RAILS])
{
	size_t n = 0;

	while (*text) {
		size_t length = strcspn(text, "\n");

		parse_line(text, length, rails, &n);
		text += length + (text[length] == '\n');
	}
	return n;
}

/* Adds up the rails that have both. Returns false where one that is needed is not there. */
static bool add_up(const struct rail *rails, size_t n, uint64_t ret_uw[DOMAINS])
{
	bool has_core = false, has_memory = false;

	memset(ret_uw, 0, DOMAINS * sizeof(ret_uw[0]));
	for (size_t i = 0; i < n; i++) {
		const struct rail *r = &rails[i];
		uint64_t uw = r->ua * r->uv / 1000000;

		if (!r->has_current)
			continue; /* the voltage of an input */
		if (!r->has_voltage)
			return false;
		ret_uw[BOARD] += uw;
		if (strcmp(r->name, "VDD_CORE") == 0) {
			has_core = true;
			ret_uw[CORE] += uw;
		} else if (strncmp(r->name, "DDR_", 4) == 0) {
			has_memory = true;
			ret_uw[MEMORY] += uw;
		}
	}
	return has_core && has_memory;
}

/* ---- asking ------------------------------------------------------------------------------ */

static int ask(const struct host *h, int fd, struct message *m)
{
	struct stat st;
	int n;

	if (fstat(fd, &st) < 0)
		return -errno;
	*m = (struct message) {
		.size = sizeof(*m), .tag = TAG_GENCMD, .value_size = TEXT_MAX, .text = COMMAND
	};
	if (S_ISREG(st.st_mode)) {
		n = fdtext_read(fd, m->text, TEXT_MAX);
		if (n < 0)
			return n;
	} else {
		if (ioctl(fd, MAILBOX_PROPERTY, m) < 0)
			return -errno;
		if (m->code != RESPONSE_OK)
			return -EIO;
		m->text[TEXT_MAX - 1] = '\0';
		host_tell(h, MAILBOX, NULL, "%s", m->text);
	}
	return strncmp(m->text, "error=", 6) == 0 ? -EOPNOTSUPP : 0;
}

/* The mailbox may be another one than that which was opened, after its driver was loaded again. */
static void open_again(const struct host *h, struct pmic *state)
{
	int fd = host_open_file(h, MAILBOX);

	state->errors = 0;
	if (fd < 0)
		return;
	close_fd(&state->fd);
	state->fd = fd;
}

static int read_powers(const struct host *h, struct pmic *state, uint64_t ret_uw[DOMAINS])
{
	struct rail rails[MAX_RAILS];
	int r = ask(h, state->fd, &state->message);

	if (r == 0)
		r = add_up(rails, parse_answer(state->message.text, rails), ret_uw) ? 0 : -ENODATA;
	state->errors = r < 0 ? state->errors + 1 : 0;
	if (state->errors >= ERRORS_BEFORE_REOPEN)
		open_again(h, state);
	return r;
}

/* ---- the backend ------------------------------------------------------------------------- */

static int refuse(struct sensor *s, int error)
{
	char model[96] = "";

	host_read_text(s->host, "/proc/device-tree/model", model, sizeof(model));
	if (error == -EACCES || error == -EPERM)
		return sensor_refuse(s, error, "sudo usermod -aG video $USER",
			"%s: %s: log in again after the change", MAILBOX, strerror(-error));
	if (!strstr(model, "Raspberry Pi") && error == -ENOENT)
		return sensor_refuse(s, -ENODEV, NULL, "this is no Raspberry Pi 5");
	if (error == -ENOENT)
		return sensor_refuse(s, error, NULL, "%s: the firmware's mailbox is not there: %s",
			model, MAILBOX);
	if (error == -EOPNOTSUPP)
		return sensor_refuse(s, error, NULL,
			"%s measures no rails: that began with the Raspberry Pi 5",
			*model ? model : "this board");
	return sensor_refuse(s, error, NULL, "%s: %s", MAILBOX, strerror(-error));
}

static int pmic_probe(struct sensor *s)
{
	CLEANUP_FD int fd = host_open_file(s->host, MAILBOX);

	return fd < 0 ? refuse(s, fd) : 0;
}

static void describe(struct domain *d, const char *name, enum kind kind, const char *scope)
{
	snprintf(d->name, sizeof(d->name), "%s", name);
	snprintf(d->scope, sizeof(d->scope), "%s", scope);
	d->kind = kind;
	d->parent = kind == KIND_PLATFORM ? -1 : BOARD;
	d->power_only = true;
	d->quality = FLAG_INTEGRATED;
	d->max_power_mw = MAX_MW;
}

static int pmic_open(struct sensor *s)
{
	struct pmic *state = s->state = calloc(1, sizeof(*state));
	uint64_t uw[DOMAINS];
	int r;

	if (!state)
		return sensor_refuse(s, -ENOMEM, NULL, "out of memory");
	state->fd = host_open_file(s->host, MAILBOX);
	r = state->fd < 0 ? state->fd : read_powers(s->host, state, uw);
	if (r < 0)
		return refuse(s, r);
	describe(sensor_add_domain(s), "rails", KIND_PLATFORM,
		"board without USB, PCIe, fan, 5 V pins and losses");
	describe(sensor_add_domain(s), "VDD_CORE", KIND_CPU, "CPU cores and GPU, one rail");
	describe(sensor_add_domain(s), "DDR", KIND_DRAM, "memory: DDR_VDD2 and DDR_VDDQ");
	s->period_ns = PERIOD_NS;
	return 0;
}

static int pmic_read(struct sensor *s, struct reading *ret)
{
	uint64_t before_ns = host_now_ns(s->host), after_ns;
	uint64_t uw[DOMAINS] = { 0 };
	int r = read_powers(s->host, s->state, uw);

	after_ns = host_now_ns(s->host);
	for (size_t i = 0; i < s->n_domains; i++) {
		ret[i] = (struct reading) { .flags = FLAG_INTEGRATED };
		if (sensor_skips(s, i, &ret[i]))
			continue;
		ret[i].error = r < 0 ? r : uw[i] / 1000 > MAX_MW ? -ERANGE : 0;
		ret[i].power_mw = (uw[i] + 500) / 1000;
		ret[i].t_ns = before_ns + (after_ns - before_ns) / 2;
		ret[i].t_err_ns = (after_ns - before_ns) / 2 + PERIOD_NS;
	}
	return 0;
}

static void pmic_close(struct sensor *s)
{
	struct pmic *state = s->state;

	if (!state)
		return;
	close_fd(&state->fd);
	free(state);
	s->state = NULL;
}

const struct sensor_ops sensor_rpi_pmic = {
	.name = "rpi-pmic",
	.role = SENSOR_HARDWARE,
	.gives = "the board's rails: CPU, memory and the whole",
	.kinds = KIND_BIT(KIND_CPU) | KIND_BIT(KIND_DRAM) | KIND_BIT(KIND_PLATFORM),
	.sure_kinds = KIND_BIT(KIND_CPU) | KIND_BIT(KIND_DRAM) | KIND_BIT(KIND_PLATFORM),
	.polled = true,
	.probe = pmic_probe,
	.open = pmic_open,
	.read = pmic_read,
	.close = pmic_close,
};
