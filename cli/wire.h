/* SPDX-License-Identifier: MIT */
/* The control socket's lines, in both directions: JSON text, a newline, perhaps descriptors beside the first byte. */
#ifndef GNTSIM_CLI_WIRE_H
#define GNTSIM_CLI_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#define WIRE_MAX_LINE (1u << 20)
#define WIRE_MAX_FDS 4

struct wire {
    int fd;
    char *buffer;
    size_t used, capacity;
    int fds[WIRE_MAX_FDS];       /* received and not yet taken */
    unsigned nr_fds;
    bool lost;                   /* the other side sent descriptors that this process had no room for */
};

void wire_init(struct wire *wire, int fd);
/* Frees the buffer and closes descriptors nobody took; not fd. */
void wire_clear(struct wire *wire);
/* Receives what is there (waits if fd blocks). 1: got something, 0: the end, or a negative errno (-EMSGSIZE: line too long). */
int wire_receive(struct wire *wire);
/* Takes a whole line without its newline, NULL if there is none yet. The caller frees it. */
char *wire_take_line(struct wire *wire);
/* Sends text and a newline with descriptors. 0 or negative errno. */
int wire_send(int fd, const char *text, const int *fds, unsigned nr_fds);

#endif
