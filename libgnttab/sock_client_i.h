/* SPDX-License-Identifier: MIT */
/* The library's end of a domain's socket: one open device (gntsim/socket.h). */
#ifndef GNTSIM_LIBGNTTAB_SOCK_CLIENT_I_H
#define GNTSIM_LIBGNTTAB_SOCK_CLIENT_I_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <gntsim/socket.h>

#include "sock_fd_i.h"

/* sock_client_open's: nobody answers there, but the domain's device files are in sight. */
#define SOCK_UNREACHABLE (-2)

struct sock_client {
    /* the descriptor that stands for the device: the connection, or the event socket */
    struct sock_fd handle;
    struct sock_fd own;          /* the connection that this process asks over */
    bool has_events;             /* the handle is an event socket */
    bool is_watched;             /* the machine listens to what this process does */
    bool is_known;               /* system calls on the handle work as on a device file */
    pid_t pid;                   /* whose own is: a child of a fork gets one of its own */
    pthread_mutex_t lock;        /* one request at a time */
    /* as they were before the request: no handler runs in the middle of one, as in none of an
     * ioctl */
    sigset_t signals;
    struct sock_fd maps;         /* /proc/self/maps of process maps_pid */
    pid_t maps_pid;
    bool lost_news;              /* a reply said SOCK_LOST_NEWS */
    char *buffer;                /* of the last reply */
    size_t capacity;
};

/* What a call got. Valid until sock_client_end. */
struct sock_answer {
    const struct sock_reply *reply;
    const struct sock_run *runs;
    const struct sock_range *writes;
    const char *bytes;
    int fd;                      /* that came with it, the caller's; -1: none */
};

/* The socket that stands for the devices, or NULL: there are device files. */
const char *sock_client_path(void);
/* Connects to the machine that listens there. It may be called in a handler of signals: it takes no
 * memory. -1 and errno. */
int sock_connect(const char *path);
/* As open(2) of a device; SOCK_UNREACHABLE: open its file. The event socket is that of a device
 * that has one. */
int sock_client_open(struct sock_client *client, const char *device, int flags);
/* A connection on which no device is opened, for sock_says. 0, or -1 and errno. */
int sock_client_reach(struct sock_client *client);
/* The client for an event socket, as somebody else's sock_client_open gave it. 0, or -1 and errno:
 * it stays the caller's. */
int sock_client_adopt(struct sock_client *client, int event_fd);
/* Closes everything. As close(2) of the handle. */
int sock_client_close(struct sock_client *client);
/*
 * One request, whose parts begin with its header, which gets its size here, and the reply. 0, then
 * sock_client_end must follow; or
 * -1 and errno: ENODEV if the machine is gone, EBADF or ENOTTY if nothing or something else is in
 * the descriptor's place.
 */
int sock_client_begin(struct sock_client *client, struct iovec *parts, int nr,
                      struct sock_answer *answer);
void sock_client_end(struct sock_client *client);
/* After a failed call: a sandbox may forbid send and recv, while calls on the handle still work. */
bool sock_client_is_forbidden(const struct sock_client *client);
/* A descriptor of this process's list of mappings; -1: none. With the lock, or by one thread. */
int sock_client_maps(struct sock_client *client);
/* After that descriptor failed: whether it had become another file, and is renewed now. */
bool sock_client_maps_again(struct sock_client *client);
/* A request whose argument is memory of ours: the whole call. Result as ioctl(2)'s. */
int sock_client_ioctl(struct sock_client *client, unsigned long cmd, void *arg, size_t size);
/* A reply's writes, to memory of ours. */
void sock_answer_apply(const struct sock_answer *answer, void *arg, size_t size);

#endif
