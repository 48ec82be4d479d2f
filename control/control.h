/* SPDX-License-Identifier: MIT */
/*
 * The machine's control socket: one JSON request a line, {"verb": ..., ...}, and one reply a line.
 * A reply is {"result": ...} or {"error": text}. Everything that a tool asks of a machine is a verb
 * here (table in verbs_i.h).
 */
#ifndef GNTSIM_CONTROL_CONTROL_H
#define GNTSIM_CONTROL_CONTROL_H

#include <stdbool.h>

struct control;
struct json_object;
struct machine;

struct control_config {
    const char *no_devices;      /* why programs get no device files; NULL: they do */
    bool libraries;              /* they get gntsim's libraries, too, unless they say otherwise */
    const char *libraries_dir;   /* where those are that this program brought; NULL: it did not */
};

int control_create(struct control **out, struct machine *m, const struct control_config *config);
/* Serves connections to listening socket fd (taken). 0 or negative errno. */
int control_listen(struct control *control, int fd);
/* Serves a connected socket (taken). 0 or negative errno. */
int control_serve(struct control *control, int fd);
/* Serves a connected socket (taken) whose end ends the machine. 0 or negative errno. */
int control_serve_owner(struct control *control, int fd);
/* After the loops have ended. */
void control_destroy(struct control *control);

/* For a replay: does what a recorded request asked for. Without the lock. */
void control_repeat(struct machine *m, struct json_object *args);

#endif
