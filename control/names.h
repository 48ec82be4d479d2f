/* SPDX-License-Identifier: MIT */
/* The names that fault rules, traces, requests and their answers use, from the tables. */
#ifndef GNTSIM_CONTROL_NAMES_H
#define GNTSIM_CONTROL_NAMES_H

#include <json-c/json.h>

/* What `limit` takes; ends with NULL. */
extern const char *const limit_names[];

/*
 * All of them. The caller owns the result:
 * {"points": [{"name": …, "kinds": […], "batch": true, "fault": …}],
 *  "devices": {DEVICE: [{"name": IOCTL, "fault": …}]}, "statuses": […], "limits": […],
 *  "adversaries": […], "counters": […], "columns": {TABLE: […]}}
 * A batch is an operation on an array of elements with a status each. A fault is what a sweep
 * makes of the point, unless it leaves it alone.
 */
json_object *names_as_json(void);

#endif
