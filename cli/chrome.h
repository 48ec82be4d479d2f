/* SPDX-License-Identifier: MIT */
/* Traces in the format of chrome://tracing and ui.perfetto.dev: JSON events, a domain as their process, a process as their thread. */
#ifndef GNTSIM_CLI_CHROME_H
#define GNTSIM_CLI_CHROME_H

#include <json-c/json.h>
#include <stdio.h>

/* Calls of device files become spans, everything else an instant. */
void chrome_begin(FILE *out);
void chrome_event(FILE *out, json_object *event);
void chrome_end(FILE *out);

#endif
