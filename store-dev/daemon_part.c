/* SPDX-License-Identifier: MIT */
/* Makes a program in domain 0, as a real xenstored is, the store of a machine. */
#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon_i.h"
#include "machine.h"
#include "sock_way.h"

int store_way_use_daemon(struct machine *m, const struct store_keeper *keeper)
{
    struct store_daemon *s = store_daemon_of(m);
    int rc;

    s->keeper = keeper;
    rc = daemon_thread_start(s);
    return rc ? rc : daemon_start(s);
}

int store_way_daemon_fd(const struct machine *m)
{
    return store_daemon_of(m)->told_fd;
}

bool store_way_daemon_serves(struct machine *m)
{
    return daemon_phase_of(store_daemon_of(m), NULL) == DAEMON_READY;
}

/* ---- Domains --------------------------------------------------------------------------------- */

static void add_job(const struct domain *d, domid_t id, bool destroy)
{
    daemon_job_add(store_daemon_of(d->machine), daemon_job_new(d, id, destroy));
}

static void domain_started(struct domain *d)
{
    struct store_domain *sd = part_of_domain(d, &store_daemon_part);

    sd->id = d->id;
    /* Domain 0's kernel is the daemon's own affair. */
    if (d->id && !d->has_toolstack)
        add_job(d, d->id, false);
}

static void domain_gone(struct domain *d)
{
    const struct store_domain *sd = part_of_domain(d, &store_daemon_part);

    store_bridges_hang_up(&store_daemon_of(d->machine)->bridges, sd->id);
    if (sd->id)
        add_job(d, (domid_t)sd->id, true);
}

static void domain_destroyed(struct domain *d)
{
    domain_gone(d);
    store_devices_free(part_of_domain(d, &store_daemon_part));
}

/* Its devices stay behind: to attach them anew takes the machine's lock, which is held here. */
static void domain_migrated(struct domain *d)
{
    domain_destroyed(d);
    domain_started(d);
}

/* ---- The part -------------------------------------------------------------------------------- */

const char *store_daemon_path(struct machine *m, domid_t id, bool inside, int *rc)
{
    struct store_daemon *s = store_daemon_of(m);

    *rc = 0;
    /* There it finds the socket itself, or /dev/xen/xenbus. */
    if (inside)
        return NULL;
    /* The daemon's socket is for whoever is privileged. */
    return id ? store_listeners_path(&s->bridges.listeners, id, false, rc) : s->conn.path;
}

static int prepare(struct machine *m, int *memory_fd)
{
    struct store_daemon *s = store_daemon_of(m);
    pthread_condattr_t attr;

    (void)memory_fd;
    s->machine = m;
    s->conn.fd = -1;
    s->tools = (struct store_server){ .machine = m, .conn = &s->conn };
    store_bridges_begin(&s->bridges, m);
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->conn.stop_fd = m->stop_fd;
    return s->wake_fd < 0 || s->told_fd < 0 ? -EMFILE : 0;
}

/*
 * Its directory is one that programs outside of domain 0's namespaces can reach as well; inside,
 * /run/xenstored is what the link leads to.
 */
static int start(struct machine *m)
{
    struct store_daemon *s = store_daemon_of(m);
    char dir[PRIVATE_DIR_MAX + 16], link[64];
    const char *base;
    int rc;

    machine_lock_only(m);
    base = sock_way_dir(m, false, &rc);
    machine_unlock_only(m);
    if (!base)
        return rc;
    snprintf(dir, sizeof dir, "%s/xenstored", base);
    snprintf(s->conn.path, sizeof s->conn.path, "%s/socket", dir);
    snprintf(link, sizeof link, "%s/xenstored", m->inner_dir);
    return mkdir(dir, 0700) || symlink(dir, link) ? -errno : 0;
}

static void kill_with_domain_0(struct domain *d)
{
    if (!d->id)
        daemon_kill(store_daemon_of(d->machine));
}

static void wait_killed(struct machine *m)
{
    daemon_wait_end(store_daemon_of(m));
}

static void stop(struct machine *m)
{
    daemon_thread_stop(store_daemon_of(m));
}

static void close_all(struct machine *m)
{
    store_bridges_free(&store_daemon_of(m)->bridges);
}

static void destroy(struct machine *m)
{
    struct store_daemon *s = store_daemon_of(m);

    close(s->wake_fd);
    close(s->told_fd);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
}

const struct machine_part store_daemon_part = {
    .machine_size = sizeof(struct store_daemon),
    .domain_size = sizeof(struct store_domain),
    .is_store = true,
    .connects_kernels = true,
    .prepare = prepare,
    .start = start,
    .domain_started = domain_started,
    .domain_migrated = domain_migrated,
    .domain_destroyed = domain_destroyed,
    .kill = kill_with_domain_0,
    .wait_killed = wait_killed,
    .stop = stop,
    .close_all = close_all,
    .destroy = destroy,
};
