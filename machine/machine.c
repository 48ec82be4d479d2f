/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "actor.h"
#include "adversary.h"
#include "faults.h"
#include "loops.h"
#include "maps.h"
#include "process.h"
#include "trace.h"

#define DEFAULT_FRAMES (1ull << 18)      /* 1 GiB */
#define PRIVILEGED_DOMAIN 0
#define NR_WATCHES 4

void machine_log(const struct machine *m, const char *format, ...)
{
    char line[512];
    va_list ap;

    (void)m;
    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    fprintf(stderr, "gntsim: %s\n", line);
}

/* ---- The lock --------------------------------------------------------------------------------- */

void machine_lock(struct machine *m)
{
    pthread_mutex_lock(&m->lock);
    clock_sample(m);
    if (m->maps)
        maps_drain(m->maps);
}

void machine_upcall(struct machine *m, struct domain *d)
{
    d->upcall = false;
    m->stats.events++;
    if (d->dead)
        return;
    trace_upcall(m, d->id);
    kernel_upcall(d->kernel);
}

void machine_settle(struct machine *m)
{
    /* Handling an upcall may raise others, also for domains passed already. */
    if (m->settling)
        return;
    m->settling = true;
    adversaries_settle(m);
    while (m->attention) {
        struct domain *d, *next;

        m->attention = false;
        for (struct outside *o = m->outsiders, *after; o; o = after) {
            after = o->next;
            if (o->crashed)
                machine_domain_destroy(m, o->id);
        }
        for (d = m->domains; d; d = next) {
            next = d->next;
            if (d->crashed) {
                d->crashed = false;
                machine_domain_destroy(m, d->id);
            } else if (d->upcall) {
                machine_upcall(m, d);
            } else if (d->suspend) {
                d->suspend = false;
                machine_domain_suspend(m, d->id, -1, 0, NULL);
            }
        }
    }
    m->settling = false;
}

void machine_later(struct machine *m, struct machine_later *later)
{
    later->next = m->later;
    m->later = later;
}

void machine_unlock(struct machine *m)
{
    struct machine_later *later, *next;

    machine_settle(m);
    clock_jump(m);
    if (m->timer_dirty || m->clock.automatic)
        clock_arm(m);
    m->caller = 0;
    later = m->later;
    m->later = NULL;
    pthread_mutex_unlock(&m->lock);
    for (; later; later = next) {
        next = later->next;
        later->run(later);
    }
}

/* ---- What the models ask for ------------------------------------------------------------------ */

static struct domain *any_domain(struct machine *m, domid_t id)
{
    struct domain *d = m->domains;

    while (d && (d->id < id || (d->id == id && d->dead)))
        d = d->next;
    return d && d->id == id ? d : NULL;
}

static void on_upcall(void *ctx, domid_t id)
{
    struct machine *m = ctx;
    struct domain *d = any_domain(m, id);
    struct outside *o = machine_outside(m, id);

    if (d)
        d->upcall = m->attention = true;
    if (o)
        o->upcall(o);
}

static void on_crash(void *ctx, domid_t id, const char *why)
{
    struct machine *m = ctx;
    struct domain *d = any_domain(m, id);
    struct outside *o = machine_outside(m, id);

    if (!m->replays)
        machine_log(m, "domain %u was crashed by the hypervisor: %s", id, why);
    if (d)
        d->crashed = m->attention = true;
    if (o)
        o->crashed = m->attention = true;
}

static uint64_t now(void *ctx)
{
    const struct domain *d = ctx;

    return d->machine->clock.now;
}

static void on_timer_changed(void *ctx)
{
    struct domain *d = ctx;

    d->machine->timer_dirty = true;
}

static void on_kernel_log(void *ctx, const char *line)
{
    struct domain *d = ctx;

    if (d->machine->verbose)
        machine_log(d->machine, "domain %u: %s", d->id, line);
}

/* ---- Faults ----------------------------------------------------------------------------------- */

/* Every point of a hypercall: who does things in the background comes first. */
static enum hv_verdict on_hypercall(void *ctx, const struct hv_point *point, long *value)
{
    adversaries_point(ctx);
    return faults_at_hypercall(ctx, point, value);
}

void machine_caller(struct machine *m, pid_t tid)
{
    m->caller = tid;
}

static void on_enter(void *ctx, struct kernel_point *point)
{
    struct domain *d = ctx;
    struct machine *m = d->machine;

    if (m->caller && point->op == KERNEL_OPEN && !m->replays)
        process_look_again(m, m->caller);
    point->tag = !m->caller ? 0 : m->replays ? (int64_t)m->caller : process_number(m, m->caller);
    trace_enter(m, point);
}

static void on_done(void *ctx, const struct kernel_point *point, long result)
{
    trace_done(((struct domain *)ctx)->machine, point, result);
}

static void on_user(void *ctx, const struct kernel_point *point, enum kernel_user op, const void *data, size_t size,
                    const struct vma *vma, int rc)
{
    trace_user(((struct domain *)ctx)->machine, point, op, data, size, vma, rc);
}

static const struct kernel_hooks kernel_hooks = {
    .inject = faults_at_kernel,
    .enter = on_enter,
    .done = on_done,
    .user = on_user,
};

/* ---- Domains ---------------------------------------------------------------------------------- */

struct domain *machine_domain(struct machine *m, domid_t id)
{
    return any_domain(m, id);
}

int machine_domain_create(struct machine *m, domid_t id, const struct kernel_profile *profile, struct domain **out)
{
    return machine_domain_create_with(m, id, &(struct domain_options){ .profile = profile, .grant_frames = -1, .maptrack_frames = -1 },
                                      out);
}

static void forget_successor(struct machine *m, domid_t id)
{
    for (unsigned i = 0; i < m->nr_successors; i++)
        if (m->successors[i].from == id)
            m->successors[i--] = m->successors[--m->nr_successors];
}

int machine_domain_create_with(struct machine *m, domid_t id, const struct domain_options *options, struct domain **out)
{
    const struct kernel_profile *profile = options->profile ? options->profile : m->profile;
    struct hv_domain_config domain_config;
    struct kernel_config config;
    struct kernel_pv_space *space = NULL;
    struct domain *d = calloc(1, sizeof *d), **link;
    int rc = -ENOMEM;

    if (!d || !(space = kernel_pv_space_create()))
        goto fail;
    trace_domain_create(m, id, &(struct domain_options){ profile, options->grant_frames, options->maptrack_frames,
                                                         options->grant_version });
    *d = (struct domain){ .machine = m, .id = id, .profile = profile, .options = *options, .ns_fd = -1 };
    kernel_domain_config(&domain_config, profile, space);
    domain_config.privileged = id == PRIVILEGED_DOMAIN;
    domain_config.max_grant_frames = options->grant_frames;
    domain_config.max_maptrack_frames = options->maptrack_frames;
    rc = hv_domain_create(m->hv, id, &domain_config);
    if (rc)
        goto fail;
    config = (struct kernel_config){ .hv = m->hv, .domid = id, .profile = profile, .now = now,
                                     .timer_changed = on_timer_changed, .log = on_kernel_log, .ctx = d,
                                     .grant_version = options->grant_version, .hooks = &kernel_hooks };
    for (link = &m->domains; *link && (*link)->id <= id; link = &(*link)->next)
        ;
    d->next = *link;
    *link = d;
    rc = kernel_create(&d->kernel, &config, space);
    if (rc) {
        *link = d->next;
        hv_domain_destroy(m->hv, id);
        goto fail;
    }
    forget_successor(m, id);
    if (out)
        *out = d;
    return 0;

fail:
    if (space)
        kernel_pv_space_destroy(space);
    free(d);
    return rc;
}

static void domain_try_free(struct domain *d)
{
    struct domain **link;

    if (!d->dead || d->in_flight || d->open_files)
        return;
    for (link = &d->machine->domains; *link != d; link = &(*link)->next)
        ;
    *link = d->next;
    for (unsigned i = 0; i < d->machine->nr_ways; i++)
        if (d->machine->ways[i]->forget)
            d->machine->ways[i]->forget(d);
    free(d);
}

void domain_enter(struct domain *d)
{
    d->in_flight++;
}

void domain_leave(struct domain *d)
{
    assert(d->in_flight);
    d->in_flight--;
    domain_try_free(d);
}

static int destroy(struct machine *m, domid_t id, bool kill)
{
    struct domain *d = machine_domain(m, id);

    if (!d)
        return -ESRCH;
    trace_domain_destroy(m, id);
    d->dead = true;
    hv_domain_destroy(m->hv, id);
    actor_destroy(d->actor);
    d->actor = NULL;
    kernel_destroy(d->kernel);      /* now: a domain of the same id may come; calls that are held up end with ENODEV */
    d->kernel = NULL;
    for (unsigned i = 0; kill && i < m->nr_ways; i++)
        if (m->ways[i]->kill)
            m->ways[i]->kill(d);
    domain_try_free(d);
    return 0;
}

static int destroy_outside(struct machine *m, domid_t id)
{
    struct outside **link = &m->outsiders, *o;

    while (*link && (*link)->id != id)
        link = &(*link)->next;
    o = *link;
    if (!o)
        return -ESRCH;
    *link = o->next;
    o->next = NULL;
    hv_domain_destroy(m->hv, id);
    o->gone(o);
    return 0;
}

int machine_domain_destroy(struct machine *m, domid_t id)
{
    return machine_domain(m, id) ? destroy(m, id, true) : destroy_outside(m, id);
}

struct outside *machine_outside(const struct machine *m, domid_t id)
{
    struct outside *o = m->outsiders;

    while (o && o->id != id)
        o = o->next;
    return o;
}

int machine_outside_create(struct machine *m, struct outside *o, const struct hv_domain_config *config)
{
    struct hv_domain_config own = *config;
    int rc;

    own.privileged = o->id == PRIVILEGED_DOMAIN;
    rc = hv_domain_create(m->hv, o->id, &own);
    if (rc)
        return rc;
    forget_successor(m, o->id);
    o->next = m->outsiders;
    m->outsiders = o;
    return 0;
}

/* The lowest id above that nobody has, alive or dead. */
static int free_id(const struct machine *m, domid_t above)
{
    for (unsigned id = above + 1u; id < DOMID_FIRST_RESERVED; id++)
        if (hv_domain_state(m->hv, (domid_t)id) == -ESRCH && !any_domain((struct machine *)m, (domid_t)id))
            return (int)id;
    return -ENOSPC;
}

static int add_successor(struct machine *m, domid_t from, domid_t to)
{
    struct successor *more = reallocarray(m->successors, m->nr_successors + 1, sizeof *more);

    if (!more)
        return -ENOMEM;
    m->successors = more;
    more[m->nr_successors++] = (struct successor){ from, to };
    return 0;
}

int machine_domain_suspend(struct machine *m, domid_t id, int as, unsigned grant_version, domid_t *now)
{
    struct domain *d = machine_domain(m, id);
    struct domain_options options;
    int rc;

    if (!d)
        return -ESRCH;
    if (as < 0)
        as = free_id(m, id);
    if (as < 0)
        return as;
    options = d->options;
    options.profile = d->profile;
    if (grant_version)
        options.grant_version = grant_version;
    rc = machine_domain(m, (domid_t)as) ? -EEXIST : machine_domain_create_with(m, (domid_t)as, &options, NULL);
    if (!rc)
        rc = add_successor(m, id, (domid_t)as);
    if (rc)
        return rc;
    if (now)
        *now = (domid_t)as;
    /* Its programs live on: what they open from now on is the new domain's. */
    return destroy(m, id, false);
}

void machine_suspend_later(struct machine *m, domid_t id)
{
    struct domain *d = machine_domain(m, id);

    if (d)
        d->suspend = m->attention = true;
}

struct domain *machine_domain_of_program(struct machine *m, domid_t id)
{
    for (unsigned i = 0; i < m->nr_successors && !machine_domain(m, id); i++)
        if (m->successors[i].from == id)
            id = m->successors[i].to;
    return machine_domain(m, id);
}

void machine_wait_killed(struct machine *m)
{
    for (unsigned i = 0; i < m->nr_ways; i++)
        if (m->ways[i]->wait_killed)
            m->ways[i]->wait_killed(m);
}

/* ---- The main loop ---------------------------------------------------------------------------- */

int machine_watch(struct machine *m, struct watch *watch, unsigned events)
{
    struct epoll_event event = { .events = events | EPOLLONESHOT, .data.ptr = watch };

    return epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) ? -errno : 0;
}

void machine_rearm(struct machine *m, struct watch *watch, unsigned events)
{
    struct epoll_event event = { .events = events | EPOLLONESHOT, .data.ptr = watch };

    epoll_ctl(m->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
}

void machine_unwatch(struct machine *m, struct watch *watch)
{
    epoll_ctl(m->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
}

static void timer_ready(void *ctx, unsigned events)
{
    struct machine *m = ctx;
    uint64_t count;

    (void)events;
    if (read(m->timer_fd, &count, sizeof count) < 0 && errno != EAGAIN)
        return;
    machine_rearm(m, &m->watches[0], EPOLLIN);
    machine_lock(m);
    clock_fired(m);
    machine_unlock(m);
}

/*
 * machine_lock is all there is to do. Whoever makes an operation sees the end of mappings by itself; this is for those that
 * end while nobody does. In a burst there is no hurry, so the next look is a moment later.
 */
static void maps_ready(void *ctx, unsigned events)
{
    struct itimerspec soon = { .it_value.tv_nsec = 1000 * 1000 };
    struct machine *m = ctx;

    (void)events;
    machine_lock(m);
    machine_unlock(m);
    timerfd_settime(m->moment_fd, 0, &soon, NULL);
}

static void moment_ready(void *ctx, unsigned events)
{
    struct machine *m = ctx;
    uint64_t count;

    (void)events;
    if (read(m->moment_fd, &count, sizeof count) < 0 && errno != EAGAIN)
        return;
    machine_rearm(m, &m->watches[1], EPOLLIN);
    machine_rearm(m, &m->watches[3], EPOLLIN);
}

static void stop_ready(void *ctx, unsigned events)
{
    (void)ctx;
    (void)events;
}

static bool main_step(void *ctx)
{
    struct machine *m = ctx;
    struct epoll_event event;
    struct watch *watch;

    if (atomic_load(&m->stopping))
        return false;
    if (epoll_wait(m->epoll_fd, &event, 1, -1) == 1) {
        watch = event.data.ptr;
        watch->ready(watch->ctx, event.events);
    }
    return !atomic_load(&m->stopping);
}

void machine_run(struct machine *m)
{
    struct pollfd fd = { m->stop_fd, POLLIN, 0 };

    while (!atomic_load(&m->stopping))
        poll(&fd, 1, -1);
}

void machine_request_stop(struct machine *m)
{
    uint64_t one = 1;

    atomic_store(&m->stopping, true);
    if (write(m->stop_fd, &one, sizeof one) < 0)
        assert(errno == EAGAIN);
}

/* ---- Start and stop --------------------------------------------------------------------------- */

static int start_main_loop(struct machine *m)
{
    struct watch *w = calloc(NR_WATCHES, sizeof *w);
    int rc;

    if (!w)
        return -ENOMEM;
    m->watches = w;
    w[0] = (struct watch){ m->timer_fd, timer_ready, m };
    w[1] = (struct watch){ maps_inotify_fd(m->maps), maps_ready, m };
    w[2] = (struct watch){ m->stop_fd, stop_ready, m };
    w[3] = (struct watch){ m->moment_fd, moment_ready, m };
    for (unsigned i = 0; i < NR_WATCHES; i++) {
        rc = machine_watch(m, &w[i], EPOLLIN);
        if (rc)
            return rc;
    }
    return 0;
}

static int prepare_ways(struct machine *m, int *memory_fd)
{
    int rc = 0;

    while (!rc && m->ways[m->nr_ways]) {
        const struct machine_way *way = m->ways[m->nr_ways++];

        if (way->prepare)
            rc = way->prepare(m, memory_fd);
    }
    return rc;
}

static int start_ways(struct machine *m)
{
    int rc = 0;

    for (unsigned i = 0; !rc && i < m->nr_ways; i++)
        if (m->ways[i]->start)
            rc = m->ways[i]->start(m);
    return rc;
}

static void set_up(struct machine *m, const struct machine_config *config)
{
    *m = (struct machine){ .nr_frames = config->nr_frames ? config->nr_frames : DEFAULT_FRAMES,
                           .profile = config->profile ? config->profile : &kernel_profile_pv,
                           .verbose = config->verbose, .no_devices = config->no_devices,
                           .seed = config->seed ? config->seed : MACHINE_DEFAULT_SEED, .user_ns_fd = -1, .timer_fd = -1 };
    clock_start(&m->clock, config->virtual_clock);
    pthread_mutex_init(&m->lock, NULL);
}

/* In the memory that is there. */
static int make_models(struct machine *m)
{
    struct hv_config config = { .memory = m->memory, .nr_frames = m->nr_frames, .hook_ctx = m,
                                .hooks = { .upcall = on_upcall, .crashed = on_crash, .inject = on_hypercall } };
    int rc = hv_create(&m->hv, &config);

    if (!rc)
        rc = faults_create(m);
    return rc ? rc : trace_create(m);
}

static int make_memory(struct machine *m, int memory_fd)
{
    int rc = maps_create(&m->maps, memory_fd, m->nr_frames, &m->memory);

    if (rc) {
        close(memory_fd);
        return rc;
    }
    rc = make_models(m);
    if (!rc)
        maps_set_machine(m->maps, m);
    return rc;
}

/* Programs may hold thousands of mappings open at once. */
static void raise_file_limit(void)
{
    struct rlimit limit;

    if (!getrlimit(RLIMIT_NOFILE, &limit)) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int machine_start(struct machine *m, const struct machine_config *config)
{
    int memory_fd = -1, rc;

    set_up(m, config);
    memcpy(m->ways, config->ways, sizeof m->ways);
    raise_file_limit();
    rc = prepare_ways(m, &memory_fd);
    if (rc)
        return rc;
    assert(memory_fd >= 0);
    m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    m->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    m->moment_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    m->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc = m->epoll_fd < 0 || m->timer_fd < 0 || m->moment_fd < 0 || m->stop_fd < 0 ? -errno : make_memory(m, memory_fd);
    if (!rc)
        rc = loops_create(&m->loops);
    if (!rc)
        rc = start_ways(m);
    if (!rc)
        rc = start_main_loop(m);
    if (!rc)
        rc = loops_start(m->loops, main_step, NULL, m);
    if (rc)
        fprintf(stderr, "gntsim: cannot start the machine: %s\n", strerror(-rc));
    return rc;
}

static struct domain *first_living(struct machine *m)
{
    struct domain *d = m->domains;

    while (d && d->dead)
        d = d->next;
    return d;
}

/* ---- Without programs ------------------------------------------------------------------------- */

int machine_open_models(struct machine *m, const struct machine_config *config)
{
    int rc;

    set_up(m, config);
    m->replays = true;
    if (m->nr_frames > SIZE_MAX / HV_PAGE_SIZE)
        return -EINVAL;
    m->memory = mmap(NULL, m->nr_frames * HV_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    rc = m->memory == MAP_FAILED ? -errno : make_models(m);
    if (m->memory == MAP_FAILED)
        m->memory = NULL;
    if (rc)
        machine_close_models(m);
    return rc;
}

void machine_close_domains(struct machine *m)
{
    struct domain *d;

    while ((d = first_living(m)))
        machine_domain_destroy(m, d->id);
}

static void close_models(struct machine *m)
{
    hv_destroy(m->hv);
    trace_destroy(m);
    faults_destroy(m);
    processes_destroy(m);
    free(m->successors);
}

void machine_close_models(struct machine *m)
{
    close_models(m);
    if (m->memory)
        munmap(m->memory, m->nr_frames * HV_PAGE_SIZE);
    pthread_mutex_destroy(&m->lock);
}

/* ---- The end ---------------------------------------------------------------------------------- */

void machine_stop(struct machine *m)
{
    struct domain *d;
    unsigned i;

    /* Programs first, while their requests are still answered. */
    machine_lock(m);
    while (m->outsiders)
        machine_domain_destroy(m, m->outsiders->id);
    while ((d = first_living(m))) {
        machine_domain_destroy(m, d->id);
        machine_unlock(m);
        machine_wait_killed(m);
        machine_lock(m);
    }
    machine_unlock(m);
    machine_request_stop(m);
    for (i = 0; i < m->nr_ways; i++)
        if (m->ways[i]->stop)
            m->ways[i]->stop(m);
    loops_join(m->loops);
    machine_lock(m);
    maps_end_all(m->maps);
    for (i = 0; i < m->nr_ways; i++)
        if (m->ways[i]->close_all)
            m->ways[i]->close_all(m);
    machine_unlock(m);
    for (i = 0; i < m->nr_ways; i++)
        if (m->ways[i]->destroy)
            m->ways[i]->destroy(m);
    close_models(m);
    maps_destroy(m->maps);
    free(m->watches);
    close(m->epoll_fd);
    close(m->timer_fd);
    close(m->moment_fd);
    close(m->stop_fd);
    pthread_mutex_destroy(&m->lock);
}
