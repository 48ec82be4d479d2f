/* SPDX-License-Identifier: MIT */
/*
 * The arguments that the verbs of actors and of adversaries share. Each function sets the request's
 * error when it fails.
 */
#ifndef GNTSIM_CONTROL_CONTROL_GUEST_H
#define GNTSIM_CONTROL_CONTROL_GUEST_H

#include "actor.h"
#include "control_i.h"

/* The actor of the domain named. NULL. */
struct actor *guest_actor(struct request *request);
/* Answers. */
json_object *guest_no_object(struct request *request, const char *what);
json_object *guest_failed(struct request *request, const char *what, long rc);
json_object *guest_value(const char *key, int64_t value);
bool guest_has(struct request *request, const char *key);
/* Absent: false. */
bool guest_bool(struct request *request, const char *key, bool *out);
/* 0 .. max, not to be left out. */
bool guest_number(struct request *request, const char *key, int64_t max, int64_t *out);
/* "page", "mapping" or "ref", and "offset" (absent: 0). */
bool guest_place(struct request *request, struct actor_place *place);
json_object *guest_place_error(struct request *request, const struct actor_place *place, int rc);

#endif
