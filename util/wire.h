/* SPDX-License-Identifier: MIT */
/*
 * The control socket's lines, in both directions: JSON text and a newline. Descriptors may come
 * beside the first byte.
 */
#ifndef GNTSIM_UTIL_WIRE_H
#define GNTSIM_UTIL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define WIRE_MAX_LINE (1u << 20)       /* of a request */
#define WIRE_MAX_REPLY (1u << 30)
#define WIRE_MAX_FDS 4

struct wire {
    int fd;
    size_t longest;              /* that a received line may be */
    char *buffer;
    size_t used, capacity;
    size_t seen;                 /* as far as there is no end of a line */
    int fds[WIRE_MAX_FDS];       /* received and not yet taken */
    unsigned nr_fds;
    void (*let_go)(int fd);      /* closes one that nobody took */
    bool lost; /* the other side sent descriptors that this process had no room for */
    char *out;                   /* one line: bytes out_sent .. out_size are to be sent */
    size_t out_size, out_sent;
    int out_fds[WIRE_MAX_FDS];   /* go with its first byte */
    unsigned nr_out_fds;
    bool out_failed;             /* there was no memory for it */
};

void wire_init(struct wire *wire, int fd);
/* Frees what is there in both directions and closes descriptors nobody took; not fd. */
void wire_clear(struct wire *wire);
/*
 * Receives what is there (waits if fd blocks). 1: got something, 0: the end, or a negative errno
 * (-EMSGSIZE: line too long).
 */
int wire_receive(struct wire *wire);
/* Takes a whole line without its newline, NULL if there is none yet. The caller frees it. */
char *wire_take_line(struct wire *wire);
/* Takes at most nr_fds of the descriptors that were received; how many. */
unsigned wire_take_descriptors(struct wire *wire, int *fds, unsigned nr_fds);
/*
 * Makes a line of text and the descriptors (taken) what is sent next; the line before must be gone.
 */
void wire_queue(struct wire *wire, const char *text, const int *fds, unsigned nr_fds);
/* Sends what the other side has room for. 1: nothing is left, 0: it must read first; -errno. */
int wire_flush(struct wire *wire);
/* Sends text and a newline over a socket that waits, with a descriptor (taken) unless -1. 0 or
 * negative errno
 * (-ETIMEDOUT: the socket's SO_SNDTIMEO has passed). */
int wire_send(int fd, const char *text, int send_fd);
/* Who is at the other end of fd. */
bool wire_peer(int fd, struct ucred *peer);
/* Our own user, or root, who can do with us as they like anyway. */
bool wire_trusts(const struct ucred *peer);

#endif
