/* SPDX-License-Identifier: MIT */
/* What the files of the socket way share: server, connections, open files and event sockets. */
#ifndef GNTSIM_SOCK_DEV_SOCK_I_H
#define GNTSIM_SOCK_DEV_SOCK_I_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <gntsim/socket.h>

#include "ended.h"
#include "message.h"
#include "private_dir.h"
#include "sock_way.h"
#include "unmask.h"

struct sock_watch {
    int fd;
    /* In the server's loop, without the lock. The last thing it does may be to free the watch. */
    void (*ready)(struct sock_watch *watch, unsigned events);
};

/* A domain's socket. Without a domain its fd is -1, and the loop, which may use it, frees it. */
struct sock_listener {
    struct sock_watch watch;
    struct sock_server *server;
    domid_t domid;
    /* in machine->inner_dir: whoever sees it is in the domain's namespaces, and ends with them */
    bool inside;
    bool killed;                 /* its programs have been sent SIGKILL */
    char path[PRIVATE_DIR_MAX + 27];
    struct sock_listener *next;
};

/* The way's state in a machine. */
struct sock_server {
    struct machine *machine;
    uint64_t requests;           /* served; with the lock */
    struct private_dir *dir;     /* for memory and sockets, NULL until needed */
    int epoll_fd;
    struct sock_watch stop;      /* eventfd */
    int spare_fd;                /* closed to accept and refuse one when no descriptors are left */
    struct sock_listener *listeners;
    uint64_t nr_listeners;       /* ever: makes their names differ */
    atomic_bool retired;         /* some listener's domain is gone */
    struct sock_conn *conns;
    struct ended ended;          /* connections */
    bool stopping;               /* no more connections */
    struct sock_file *files;
    struct pages pages;
    uint64_t next_place;         /* for the next mapping, pages above SOCK_PLACES */
};

static inline struct sock_server *sock_of(const struct machine *m)
{
    return part_of_machine(m, &sock_way);
}

/* An open device. Under the machine's lock. */
struct sock_file {
    struct sock_server *server;
    struct domain *domain;
    struct file *file;
    struct sock_events *events;  /* evtchn's */
    struct sock_page *page;      /* evtchn's, if a program asked for it */
    unsigned refs;               /* one per connection and mapping, one for the event socket */
    dev_t dev;                   /* of the descriptor that stands for it, where we made that */
    ino_t ino;                   /* 0: we did not */
    struct sock_file *prev, *next;
};

/* One connection: one request at a time, by a thread of its own, which also has these to itself. */
struct sock_conn {
    int fd;
    struct sock_server *server;
    domid_t domid;
    pid_t peer;
    struct sock_file *file;      /* NULL until opened; used with the lock */
    char *in;
    size_t in_used, in_capacity;
    int in_fd;                   /* a descriptor that came, -1: none */
    int processor;               /* that the peer was seen on last, -1: none yet */
    struct message message;      /* the caller's memory in the request */
    struct kreq kreq;
    sem_t decided;               /* the kernel model has answered */
    long decision;
    struct vma *vma;             /* of an mmap in progress */
    uint64_t seen_lost;          /* following.nr_lost at the last reply */
    uint64_t placing;            /* mapping that it was about, 0: none */
    const struct witness *witness;      /* of the next request */
    struct sock_reply reply;
    char *out;                   /* the reply, composed */
    size_t out_size, out_capacity;
    int out_fd;                  /* goes with it, -1: none */
    struct sock_conn *prev, *next;     /* with the lock */
};

/* server.c */
int server_watch(struct sock_server *server, struct sock_watch *watch, unsigned events);
void server_rearm(struct sock_server *server, struct sock_watch *watch, unsigned events);
void server_unwatch(struct sock_server *server, struct sock_watch *watch);

/* conn.c. recvmsg of what there is, waited for: bytes, 0 at the end, or a negative errno; *fd: a
 * descriptor that came, -1 if none. -EBADMSG: more than one; -EMSGSIZE: a packet longer than
 * size. */
ssize_t sock_receive(int from, void *to, size_t size, int *fd);
/* Serves fd (taken if this succeeds), for a file that is open already unless NULL (its reference is
 * taken if this succeeds). peer: the process at the other end; 0: whoever made the socket. With the
 * lock. */
int conn_create(struct sock_server *server, int fd, domid_t domid, pid_t peer,
                struct sock_file *file);
void conn_hang_up(struct sock_conn *conn);     /* has it end */
/* Makes the reply of its parts; an mmap's with the vma's. False: no memory. With the lock. */
bool conn_compose(struct sock_conn *conn, const struct vma *vma);
/* say.c. Without the lock: whether the request at the head of conn->in is one that only says
 * something, which is then dealt with, and the reply composed. */
bool say_answer(struct sock_conn *conn);

/* call.c. Has the request at the head of conn->in answered and the reply composed. False: this
 * connection is over; *why says what is wrong with what the peer sent, NULL if nothing. With the
 * lock, of which it lets go while the kernel model makes it wait. */
bool call_answer(struct sock_conn *conn, const char **why);

/* sock_file.c. All with the lock. */
int sock_file_open(struct sock_server *server, struct domain *d, const struct chardev *dev,
                   unsigned flags, struct sock_file **out);
void sock_file_put(struct sock_file *file);
/* For maps_add. */
void sock_file_mapping_ended(struct file *file);
/* fd, which we made, stands for the file: whoever has it may be asked about (machine_find_file). */
void sock_file_known_by(struct sock_file *file, int fd);
/* struct machine_part's. */
bool sock_file_find(struct machine *m, dev_t dev, ino_t ino, struct machine_file *found);

/* events.c. All with the lock. Makes the event socket; *client_fd is the peer's end. */
int events_create(struct sock_file *file, int *client_fd);
void events_free(struct sock_events *events);
/* Passes on what can be read. */
void events_push(struct sock_events *events);
/* The device may be readable again after an error. */
void events_reset(struct sock_events *events);
/* programs.c. SIGKILL to all that began with the socket in their environment; wait: and ended. */
void programs_kill(const char *path, bool wait);
/* The socket in the environment that a process was started with, or NULL. The caller frees it. */
char *programs_socket_of(pid_t pid);

#endif
