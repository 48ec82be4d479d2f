/* SPDX-License-Identifier: MIT */
/* The names of the ways, as requests and the command line write them. */
#ifndef GNTSIM_CONTROL_WAY_NAMES_H
#define GNTSIM_CONTROL_WAY_NAMES_H

enum {
    WAY_AUTO, /* device files, and the socket for programs that are linked with the libraries; where
                 there can be no files the socket */
    WAY_DEVICE, /* device files, and nobody's libraries but the program's own */
    WAY_SOCKET,
};

/* A way from its name, -1 if it is none; and its name. */
int parse_way(const char *text);
const char *way_name(int way);

#endif
