/* SPDX-License-Identifier: MIT */
/*
 * The machine's control socket: line-delimited JSON, one request {"verb": ..., ...}, one reply {"result": ...} or
 * {"error": text}. Everything a tool wants of a machine is a verb here (table in control.c).
 */
#ifndef GNTSIM_CONTROL_CONTROL_H
#define GNTSIM_CONTROL_CONTROL_H

#include <stdbool.h>

struct machine;
struct control;

struct control_config {
    const char *no_devices;      /* why programs get no device files; NULL: they do */
    bool libraries;              /* beside the device files they get gntsim's libraries, unless they are told otherwise */
};

int control_create(struct control **out, struct machine *m, const struct control_config *config);
/* Serves connections to listening socket fd (taken). 0 or negative errno. */
int control_listen(struct control *control, int fd);
/* Serves a connected socket (taken) whose end ends the machine. 0 or negative errno. */
int control_serve_owner(struct control *control, int fd);
/* After the loops have ended. */
void control_destroy(struct control *control);

#endif
