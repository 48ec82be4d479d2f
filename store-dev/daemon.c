/* SPDX-License-Identifier: MIT */
/*
 * Does a toolstack's part for a daemon that is the store: a thread talks to it, job after job. It
 * waits for the daemon, and nobody may do that under the machine's lock.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <utlist.h>

#include "daemon_i.h"
#include "loops.h"
#include "machine.h"

#define TRY_AGAIN_MS 5           /* a daemon makes its socket, then listens */

/* What the thread is to do. Whoever waits for it holds a reference, as does the list. */
struct daemon_job {
    enum { JOB_CREATE, JOB_DESTROY, JOB_ASK } what;
    struct toolstack_domain domain;
    uint32_t type, tx;
    size_t len, reply_len;
    int rc;
    bool done;
    unsigned refs;
    struct daemon_job *prev, *next;
    char body[XENSTORE_PAYLOAD_MAX], reply[XENSTORE_PAYLOAD_MAX];
};

static void signal_fd(int fd)
{
    eventfd_write(fd, 1);
}

/* ---- Jobs. With the daemon's own lock -------------------------------------------------------- */

static void job_put(struct daemon_job *job)
{
    if (!--job->refs)
        free(job);
}

static void job_done(struct store_daemon *s, struct daemon_job *job, int rc)
{
    job->rc = rc;
    job->done = true;
    pthread_cond_broadcast(&s->changed);
    job_put(job);
}

/* Nobody will do them. */
static void fail_jobs(struct store_daemon *s)
{
    struct daemon_job *job;

    while ((job = s->jobs)) {
        DL_DELETE(s->jobs, job);
        job_done(s, job, -ENOTCONN);
    }
}

/* refs: of those who will wait for it. */
static void job_add(struct store_daemon *s, struct daemon_job *job, unsigned refs)
{
    pthread_mutex_lock(&s->lock);
    job->refs = 1 + refs;
    if (s->stopping || s->phase == DAEMON_ABSENT) {
        job_done(s, job, -ENOTCONN);
    } else {
        DL_APPEND(s->jobs, job);
        signal_fd(s->wake_fd);
    }
    pthread_mutex_unlock(&s->lock);
}

/* Waits until is_over; a stopped daemon keeps nobody for ever. False: it is not. */
static bool wait_until(struct store_daemon *s, bool (*is_over)(const struct store_daemon *s,
                                                               const void *ctx), const void *ctx)
{
    struct timespec end;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += 2 * DAEMON_PATIENCE_MS / 1000;
    loops_access_begin();
    pthread_mutex_lock(&s->lock);
    while (!rc && !is_over(s, ctx) && !s->stopping)
        rc = pthread_cond_timedwait(&s->changed, &s->lock, &end);
    rc = is_over(s, ctx);
    pthread_mutex_unlock(&s->lock);
    loops_access_end();
    return rc;
}

static bool job_is_done(const struct store_daemon *s, const void *ctx)
{
    (void)s;
    return ((const struct daemon_job *)ctx)->done;
}

static bool has_no_job(const struct store_daemon *s, const void *ctx)
{
    (void)ctx;
    return s->phase == DAEMON_ABSENT || (s->phase == DAEMON_READY && !s->jobs && !s->present);
}

static bool has_ended(const struct store_daemon *s, const void *ctx)
{
    (void)ctx;
    return s->phase == DAEMON_ABSENT;
}

int store_daemon_ask(struct machine *m, uint32_t type, uint32_t tx, const void *body, size_t len,
                     void *reply, size_t *reply_len)
{
    struct store_daemon *s = store_daemon_of(m);
    struct daemon_job *job = calloc(1, sizeof *job);
    int rc = -ETIMEDOUT;

    if (!job)
        return -ENOMEM;
    job->what = JOB_ASK;
    job->type = type;
    job->tx = tx;
    job->len = len;
    memcpy(job->body, body, len);
    job_add(s, job, 1);
    machine_unlock(m);
    if (wait_until(s, job_is_done, job)) {
        rc = job->rc;
        if (reply)
            memcpy(reply, job->reply, job->reply_len);
        if (reply_len)
            *reply_len = job->reply_len;
    }
    pthread_mutex_lock(&s->lock);
    job_put(job);
    pthread_mutex_unlock(&s->lock);
    machine_lock(m);
    return rc;
}

void store_way_settle(struct machine *m)
{
    struct store_daemon *s = store_daemon_of(m);

    if (!s)
        return;
    machine_unlock(m);
    wait_until(s, has_no_job, NULL);
    machine_lock(m);
}

/* ---- The toolstack's work -------------------------------------------------------------------- */

struct daemon_job *daemon_job_new(const struct domain *d, domid_t id, bool destroy)
{
    struct daemon_job *job = calloc(1, sizeof *job);

    if (!job) {
        machine_log(d->machine, "domain %u: no memory for its part of the store", id);
        return NULL;
    }
    job->what = destroy ? JOB_DESTROY : JOB_CREATE;
    store_toolstack_look(d, &job->domain);
    job->domain.id = id;
    return job;
}

void daemon_job_add(struct store_daemon *s, struct daemon_job *job)
{
    if (job)
        job_add(s, job, 0);
}

int store_way_knows(struct machine *m, domid_t id)
{
    struct store_daemon *s = store_daemon_of(m);
    const struct domain *d = machine_domain(m, id);
    const struct store_domain *sd = s && d ? part_of_domain(d, &store_daemon_part) : NULL;

    if (!sd || !id || d->has_toolstack || sd->introduced)
        return 0;
    if (sd->refused)
        return sd->refused;
    return daemon_phase_of(s, NULL) == DAEMON_READY ? -ETIMEDOUT : -ENOTCONN;
}

/* What the daemon answered: if it knows the domain, the store is there for the domain's kernel. */
static void note_answer(struct machine *m, const struct toolstack_domain *known, int rc)
{
    struct store_domain *sd;
    struct domain *d;

    machine_lock(m);
    d = machine_domain(m, known->id);
    if (d && d->store_port == known->store_port) {
        sd = part_of_domain(d, &store_daemon_part);
        sd->introduced = !rc;
        sd->refused = rc;
        if (!rc)
            machine_connect_store(d);
    }
    machine_unlock(m);
}

static int do_create(struct store_daemon *s, const struct toolstack_domain *domain)
{
    int rc = store_toolstack_create(&s->tools, domain);

    if (rc)
        machine_log(s->machine, "domain %u has no store: its daemon refuses to introduce it: %s",
                    domain->id, strerror(-rc));
    note_answer(s->machine, domain, rc);
    return rc;
}

static int do_job(struct store_daemon *s, struct daemon_job *job)
{
    if (s->conn.fd < 0 && daemon_connect(&s->conn))
        return -ENOTCONN;
    switch (job->what) {
    case JOB_CREATE:
        return do_create(s, &job->domain);
    case JOB_DESTROY:
        store_toolstack_release(&s->tools, job->domain.id);
        store_toolstack_destroy(&s->tools, job->domain.id);
        return 0;
    default:
        return daemon_ask(&s->conn, job->type, job->tx, job->body, job->len, job->reply,
                          &job->reply_len);
    }
}

static void do_jobs(struct store_daemon *s)
{
    struct daemon_job *job;
    int rc;

    pthread_mutex_lock(&s->lock);
    while (!s->stopping && s->phase == DAEMON_READY && (job = s->jobs)) {
        DL_DELETE(s->jobs, job);
        s->present = job;
        pthread_mutex_unlock(&s->lock);
        rc = do_job(s, job);
        pthread_mutex_lock(&s->lock);
        s->present = NULL;
        job_done(s, job, rc == -EPIPE ? -ENOTCONN : rc);
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- The daemon ------------------------------------------------------------------------------ */

enum daemon_phase daemon_phase_of(struct store_daemon *s, bool *stopping)
{
    enum daemon_phase phase;

    pthread_mutex_lock(&s->lock);
    phase = s->phase;
    if (stopping)
        *stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    return phase;
}

static void set_phase(struct store_daemon *s, enum daemon_phase phase)
{
    pthread_mutex_lock(&s->lock);
    s->phase = phase;
    if (phase == DAEMON_ABSENT)
        fail_jobs(s);
    if (phase != DAEMON_STARTING)
        signal_fd(s->told_fd);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Of a daemon that was started anew: the domains that are there already. */
static void introduce_all(struct store_daemon *s)
{
    struct machine *m = s->machine;

    machine_lock(m);
    for (const struct domain *d = m->domains; d; d = d->next)
        if (!d->dead && d->id)
            daemon_job_add(s, daemon_job_new(d, d->id, false));
    machine_unlock(m);
}

static void try_to_connect(struct store_daemon *s)
{
    if (daemon_connect(&s->conn))
        return;
    s->tools.tx = 0;
    store_toolstack_begin(&s->tools);
    if (s->conn.fd < 0)
        return;
    /* Whatever was to be done for it is done for each domain that lives now. */
    pthread_mutex_lock(&s->lock);
    if (s->nr_ended)
        fail_jobs(s);
    pthread_mutex_unlock(&s->lock);
    if (s->nr_ended)
        introduce_all(s);
    set_phase(s, DAEMON_READY);
}

/* Requests that are under way are asked again, of the next one. */
static void tell_kernels(struct machine *m)
{
    machine_lock(m);
    for (struct domain *d = m->domains; d; d = d->next)
        if (!d->dead)
            kernel_lose_store(d->kernel);
    machine_unlock(m);
}

static void ended(struct store_daemon *s, int status)
{
    char how[48];

    if (WIFSIGNALED(status))
        snprintf(how, sizeof how, "by signal %d", WTERMSIG(status));
    else
        snprintf(how, sizeof how, "with status %d", WEXITSTATUS(status));
    pthread_mutex_lock(&s->lock);
    if (!s->end_is_meant && !s->stopping)
        machine_log(s->machine, "the store's daemon %s ended %s%s", s->keeper->path, how,
                    s->phase == DAEMON_STARTING
                        ? " before it served: what it says of it stands above"
                        : ": who asks the store waits until `gntsim ctl store restart`");
    s->nr_ended++;
    s->end_is_meant = false;
    pthread_mutex_unlock(&s->lock);
    daemon_disconnect(&s->conn);
    unlink(s->conn.path);
    tell_kernels(s->machine);
    set_phase(s, DAEMON_ABSENT);
}

static void *serve(void *arg)
{
    struct store_daemon *s = arg;
    struct pollfd fds[2] = { { s->keeper->fd, POLLIN, 0 }, { s->wake_fd, POLLIN, 0 } };
    bool stopping = false;
    eventfd_t value;
    int status;

    for (;;) {
        poll(fds, 2, daemon_phase_of(s, NULL) == DAEMON_STARTING ? TRY_AGAIN_MS : -1);
        if (fds[1].revents & POLLIN)
            eventfd_read(s->wake_fd, &value);
        daemon_phase_of(s, &stopping);
        if (stopping)
            break;
        if (fds[0].revents) {
            ssize_t n = read(s->keeper->fd, &status, sizeof status);

            if (n == sizeof status)
                ended(s, status);
            else if (!n)
                fds[0].fd = -1;  /* the keeper itself was killed, and its child with it */
            if (!n && daemon_phase_of(s, NULL) != DAEMON_ABSENT)
                ended(s, SIGKILL);
        }
        if (daemon_phase_of(s, NULL) == DAEMON_STARTING)
            try_to_connect(s);
        do_jobs(s);
    }
    daemon_disconnect(&s->conn);
    return NULL;
}

int daemon_start(struct store_daemon *s)
{
    int rc;

    set_phase(s, DAEMON_STARTING);
    rc = s->keeper->start(s->keeper->ctx);
    if (rc)
        set_phase(s, DAEMON_ABSENT);
    signal_fd(s->wake_fd);
    return rc;
}

void daemon_kill(struct store_daemon *s)
{
    pthread_mutex_lock(&s->lock);
    s->end_is_meant = s->phase != DAEMON_ABSENT;
    pthread_mutex_unlock(&s->lock);
    if (s->keeper)
        s->keeper->kill(s->keeper->ctx);
}

int store_daemon_restart(struct machine *m)
{
    struct store_daemon *s = store_daemon_of(m);
    int rc = -ETIMEDOUT;

    daemon_kill(s);
    machine_unlock(m);
    if (wait_until(s, has_ended, NULL)) {
        rc = daemon_start(s);
        if (!rc && !wait_until(s, has_no_job, NULL))
            rc = -ETIMEDOUT;
        if (!rc && !store_way_daemon_serves(m))
            rc = -ENOTCONN;
    }
    machine_lock(m);
    return rc;
}

void daemon_wait_end(struct store_daemon *s)
{
    bool ends;

    pthread_mutex_lock(&s->lock);
    ends = s->end_is_meant;
    pthread_mutex_unlock(&s->lock);
    if (ends)
        wait_until(s, has_ended, NULL);
}

int daemon_thread_start(struct store_daemon *s)
{
    int rc = -pthread_create(&s->thread, NULL, serve, s);

    s->has_thread = !rc;
    return rc;
}

void daemon_thread_stop(struct store_daemon *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    fail_jobs(s);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    signal_fd(s->wake_fd);
    if (s->has_thread)
        pthread_join(s->thread, NULL);
    s->has_thread = false;
}
