// SPDX-License-Identifier: MIT
/* The versions of the documents that are written for programs. A number changes with a change that a
 * reader of the document must know of: a member that is gone, or means something else. Members may be
 * added at any time. */
#ifndef PM_SESSION_SCHEMA_H
#define PM_SESSION_SCHEMA_H

enum schema_version {
	SCHEMA_REPORT = 1,  /* run, stat and compare */
	SCHEMA_TOP = 1,     /* top */
	SCHEMA_LIST = 1,    /* list */
	SCHEMA_DOCTOR = 1,  /* doctor */
	SCHEMA_CAPTURE = 1, /* a copy's capture.json */
	SCHEMA_PHASES = 1,  /* the plugin's phases */
	SCHEMA_SUMMARY = 1, /* the summary for camera-traps */
};

#endif
