/* SPDX-License-Identifier: MIT */
/* A machine whose store is a program in domain 0: what its files and the other stores' share. */
#ifndef GNTSIM_STORE_DEV_DAEMON_I_H
#define GNTSIM_STORE_DEV_DAEMON_I_H

#include <pthread.h>

#include "private_dir.h"
#include "bridges.h"
#include "toolstack_i.h"

/*
 * A connection to the daemon's socket. Its functions wait for the daemon, which may be stopped, so
 * they need a thread that may wait; each waits for DAEMON_PATIENCE_MS at most, or until stop_fd is
 * readable.
 */
struct daemon_conn {
    int fd;                      /* -1: not connected */
    int stop_fd;
    char path[PRIVATE_DIR_MAX + 24];
};
#define DAEMON_PATIENCE_MS 10000

/* 0 or negative errno: nobody listens there. */
int daemon_connect(struct daemon_conn *conn);
void daemon_disconnect(struct daemon_conn *conn);
/*
 * Makes a request in transaction tx (0: none); room for XENSTORE_PAYLOAD_MAX bytes of reply, or
 * NULL. 0, the negative errno that was answered, or -ETIMEDOUT, -EPIPE: the connection is gone.
 */
int daemon_ask(struct daemon_conn *conn, uint32_t type, uint32_t tx, const void *body, size_t len,
               void *reply, size_t *reply_len);

enum daemon_phase {
    DAEMON_ABSENT,               /* it was not started, or has ended */
    DAEMON_STARTING,
    DAEMON_READY,
};

struct daemon_job;

/* The part's state in a machine. */
struct store_daemon {
    struct machine *machine;
    const struct store_keeper *keeper;   /* NULL: nobody was told of one yet */
    pthread_t thread;
    bool has_thread;
    struct daemon_conn conn;
    struct store_server tools;   /* with that connection */
    struct store_bridges bridges;
    /* With its own lock, which is taken last: */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum daemon_phase phase;
    struct daemon_job *jobs, *present;
    unsigned nr_ended;           /* how often it ended */
    bool stopping;
    bool end_is_meant;           /* nobody needs to be told of it */
    int wake_fd;                 /* a job came, or stopping */
    int told_fd;                 /* readable once it serves or has ended */
};

extern const struct machine_part store_daemon_part;

/* NULL: the machine's store is none. */
static inline struct store_daemon *store_daemon_of(const struct machine *m)
{
    return part_of_machine(m, &store_daemon_part);
}

/* daemon.c. All but the first without the machine's lock. */
struct daemon_job *daemon_job_new(const struct domain *d, domid_t id, bool destroy);
/* Has the thread do it; takes it. */
void daemon_job_add(struct store_daemon *s, struct daemon_job *job);
int daemon_thread_start(struct store_daemon *s);
void daemon_thread_stop(struct store_daemon *s);
int daemon_start(struct store_daemon *s);
/* The daemon is to end, and nobody needs to be told of it. */
void daemon_kill(struct store_daemon *s);
void daemon_wait_end(struct store_daemon *s);
enum daemon_phase daemon_phase_of(struct store_daemon *s, bool *stopping);

/* The functions of store_way.h for such a machine; they let go of the machine's lock meanwhile. */
int store_daemon_ask(struct machine *m, uint32_t type, uint32_t tx, const void *body, size_t len,
                     void *reply, size_t *reply_len);
const char *store_daemon_path(struct machine *m, domid_t id, bool inside, int *rc);
int store_daemon_restart(struct machine *m);

#endif
