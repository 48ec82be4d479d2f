/* SPDX-License-Identifier: MIT */
/* Makes a request's members of the arguments of `gntsim ctl`. */
#ifndef GNTSIM_CLI_CTL_ARGUMENTS_H
#define GNTSIM_CLI_CTL_ARGUMENTS_H

#include <json-c/json.h>

/* Both: 0, or the exit status after a message. */

/* An argument of a kind that control/verbs_i.h lists. */
int ctl_add_argument(json_object *request, char kind, const char *text);
/* backend, id and type are the verb's own; the others are keys of a device. */
int ctl_add_key(json_object *request, const char *key, const char *value);

#endif
