// SPDX-License-Identifier: MIT
/*
 * A thread for one sensor whose calls may block, or that tells power only.
 *
 * The thread opens the sensor, reads it at the sensor's own period while somebody wants it, adds
 * power up to energy, and publishes finished readings that a tick copies: a driver that hangs
 * delays nobody else. A thread that does not come back from a driver call is left behind.
 */
#ifndef PM_METER_POLLER_H
#define PM_METER_POLLER_H

#include "meter/sensor.h"

struct poller;

/* Starts a thread that probes and opens the sensor, and waits for the outcome for at most
 * timeout_ns. The sensor is owned by the poller from now on, also when this fails. Returns 0 and
 * the poller, with *ret_why telling what of the sensor cannot be used if there is such; or -errno
 * with *ret_why filled, -ETIME where the driver did not answer and its thread was left behind. */
int poller_create(
	struct sensor *s, uint64_t timeout_ns, struct sensor_why *ret_why, struct poller **ret);

/* The sensor, for its domains: constant once created. */
const struct sensor *poller_sensor(const struct poller *p);

/* Reads the kinds from now on; 0 ends the reading until it is wanted again. Counting begins anew
 * for a domain whose kind was not wanted before. */
void poller_want(struct poller *p, uint32_t kinds);

/* Copies the last published readings. A domain that was not read yet has -EAGAIN; one whose
 * sensor does not come back from a call has -ETIMEDOUT. now_ns is the present. */
void poller_copy(struct poller *p, uint64_t now_ns, struct reading *ret);

/* Copies who used a domain at the last look. */
void poller_users(struct poller *p, size_t domain, struct domain_users *ret);

/* Ends the thread and frees everything. If the thread hangs in a driver call for longer than
 * timeout_ns it is left behind with its memory, and false is returned. Takes NULL. */
bool poller_destroy(struct poller *p, uint64_t timeout_ns);

#endif
