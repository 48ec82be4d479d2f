/* SPDX-License-Identifier: MIT */
/* The machine: models, lock and upcalls, and its start and stop. */
#include "machine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <utlist.h>

#include <gntsim/ops.h>

#include "attendant.h"
#include "faults.h"
#include "follow.h"
#include "loops.h"
#include "main_loop.h"
#include "maps.h"
#include "outlet.h"
#include "process.h"
#include "saying.h"
#include "trace.h"

#define DEFAULT_FRAMES (1ull << 18)      /* 1 GiB */
#define LOG_BYTES (64u << 10)            /* of messages that nobody has read yet */

void machine_log(const struct machine *m, const char *format, ...)
{
    char line[512] = "gntsim: ";
    size_t used = strlen(line);
    va_list ap;

    va_start(ap, format);
    vsnprintf(line + used, sizeof line - used - 1, format, ap);
    va_end(ap);
    strcat(line, "\n");
    machine_say(m, line, strlen(line));
}

/* From now on nobody who logs waits for whoever reads standard error, if anybody does. */
static int start_log(struct machine *m)
{
    struct outlet_config config = { .fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3), .capacity = LOG_BYTES,
                                    .lost_format = "gntsim: %llu messages are lost: nobody read them\n" };
    int rc = config.fd < 0 ? 0 : outlet_create(&m->log, &config);

    if (rc)
        close(config.fd);
    return rc;
}

/* ---- The lock --------------------------------------------------------------------------------- */

void machine_lock(struct machine *m)
{
    pthread_mutex_lock(&m->lock);
    clock_sample(m);
    if (m->maps)
        maps_drain(m->maps);
    PARTS_TELL(m, catch_up, m);
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
    /* Handling an upcall may raise others, also for domains passed already. A machine that could
     * not start has no models that anything could be settled in. */
    if (m->settling || !m->hv)
        return;
    m->settling = true;
    /* Others' pages, too: an operation that let go of the lock may have caused them. */
    if (m->follow.shows || m->follow.to_show)
        follow_settle(m);
    PARTS_TELL(m, settle, m);
    while (m->attention) {
        struct domain *d, *next;

        m->attention = false;
        PARTS_TELL(m, attend, m);
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
    LL_PREPEND(m->later, later);
}

void machine_unlock(struct machine *m)
{
    struct machine_later *later, *next;

    machine_settle(m);
    clock_jump(m);
    if (m->timer_dirty || m->clock.automatic)
        clock_arm(m);
    m->caller = 0;
    m->witness = NULL;
    later = m->later;
    m->later = NULL;
    pthread_mutex_unlock(&m->lock);
    for (; later; later = next) {
        next = later->next;
        later->run(later);
    }
    trace_unlocked(m);
}

/* ---- What the models ask for ------------------------------------------------------------------ */

static void on_upcall(void *ctx, domid_t id)
{
    struct machine *m = ctx;
    struct domain *d = machine_domain(m, id);
    struct outside *o = machine_outside(m, id);

    if (d)
        d->upcall = m->attention = true;
    if (o)
        o->upcall(o);
}

static void on_unheard(void *ctx, domid_t id, uint32_t port)
{
    struct machine *m = ctx;

    PARTS_TELL(m, unheard, m, id, port);
}

static void on_masked(void *ctx, domid_t id, uint32_t port)
{
    struct machine *m = ctx;

    PARTS_TELL(m, masked, m, id, port);
}

/* FLASK and FIFO event channels are things that many a Xen has not. */
static bool is_missing_elsewhere(unsigned op)
{
    return op == __HYPERVISOR_xsm_op || op == __HYPERVISOR_event_channel_op;
}

/* Each is named once; nobody wants to read more than some of them. */
static void on_unmodelled(void *ctx, domid_t id, unsigned op, uint32_t cmd, const char *what)
{
    const struct hv_hypercall *known = hv_hypercall_find(op);
    uint64_t which = what ? (uintptr_t)what : (uint64_t)op << 32 | cmd;
    struct machine *m = ctx;

    if (is_missing_elsewhere(op))
        return;
    m->stats.unmodelled++;
    for (unsigned i = 0; i < m->nr_told; i++)
        if (m->told[i] == which)
            return;
    if (m->replays || m->nr_told == sizeof m->told / sizeof *m->told)
        return;
    m->told[m->nr_told++] = which;
    if (what)
        machine_log(m, "domain %u asked %s (%u), command %u, for %s: not modelled, EOPNOTSUPP", id,
                    known->name, op, cmd, what);
    else
        machine_log(m,
                    "domain %u made hypercall %s (%u), command %u, which is not modelled: ENOSYS",
                    id, known ? known->name : "of an unknown number", op, cmd);
}

static void on_crash(void *ctx, domid_t id, const char *why)
{
    struct machine *m = ctx;
    struct domain *d = machine_domain(m, id);
    struct outside *o = machine_outside(m, id);

    if (!m->replays)
        machine_log(m, "domain %u was crashed by the hypervisor: %s", id, why);
    if (d)
        d->crashed = m->attention = true;
    if (o)
        o->crashed = m->attention = true;
}

/* What the machine has of it goes at the next unlock. */
static void on_destroyed(void *ctx, domid_t id)
{
    struct machine *m = ctx;
    struct domain *d = machine_domain(m, id);
    struct outside *o = machine_outside(m, id);

    if (d)
        d->crashed = m->attention = true;
    if (o)
        o->crashed = m->attention = true;
}

/* Memory is as sparse as its file system allows. What that has no room for is memory that the machine has not. */
static int on_memory_grows(void *ctx, uint64_t nr_frames)
{
    struct machine *m = ctx;
    int rc = m->maps ? maps_reserve(m->maps, nr_frames) : m->refuses_memory ? m->refuses_memory(m) : 0;

    if (!rc)
        return 0;
    if (!m->replays && !m->said_no_memory)
        machine_log(m, "no room for the machine's memory: %s; domains get no more", strerror(-rc));
    m->said_no_memory = true;
    if (m->trace)
        trace_no_memory(m);
    return rc;
}

/* Every point of a hypercall: who does things in the background comes first. */
static enum hv_verdict on_hypercall(void *ctx, struct hv_point *point, long *value)
{
    struct machine *m = ctx;

    PARTS_TELL(m, at_hypercall, m);
    return faults_at_hypercall(m, point, value);
}

void machine_caller(struct machine *m, pid_t tid)
{
    m->caller = tid;
    m->witness = NULL;
}

int machine_domain_of(struct machine *m, pid_t pid)
{
    int domain = -1;

    for (unsigned i = 0; domain < 0 && i < m->nr_parts; i++)
        if (m->parts[i]->domain_of)
            domain = m->parts[i]->domain_of(m, pid);
    return domain;
}

bool machine_find_file(struct machine *m, dev_t dev, ino_t ino, struct machine_file *file)
{
    for (unsigned i = 0; i < m->nr_parts; i++)
        if (m->parts[i]->find_file && m->parts[i]->find_file(m, dev, ino, file))
            return true;
    return false;
}

/* ---- Start and stop --------------------------------------------------------------------------- */

static void set_up(struct machine *m, const struct machine_config *config)
{
    *m = (struct machine){ .nr_frames = config->nr_frames ? config->nr_frames : DEFAULT_FRAMES,
                           .profile = config->profile ? config->profile : &kernel_profile_pv,
                           .verbose = config->verbose, .seed = config->seed ? config->seed : MACHINE_DEFAULT_SEED,
                           .timer_fd = -1 };
    m->xen = config->xen ? *config->xen : hv_profile_xen_4_17;
    m->xen.max_grant_frames = config->grant_frames ? config->grant_frames : MACHINE_DEFAULT_GRANT_FRAMES;
    m->xen.max_maptrack_frames = config->maptrack_frames ? config->maptrack_frames : MACHINE_DEFAULT_MAPTRACK_FRAMES;
    clock_start(&m->clock, config->virtual_clock);
    pthread_mutex_init(&m->lock, NULL);
}

/* In the memory that is there. */
static int make_models(struct machine *m)
{
    struct hv_config config = { .memory = m->memory, .nr_frames = m->nr_frames, .profile = &m->xen, .hook_ctx = m,
                                .hooks = { .upcall = on_upcall, .crashed = on_crash,
                                           .destroyed = on_destroyed, .inject = on_hypercall,
                                           .memory_grows = on_memory_grows,
                                           .unheard = on_unheard,
                                           .masked = on_masked,
                                           .follows = follow_can, .shows = follow_shows,
                                           .goes_on = follow_goes_on,
                                           .took_own = follow_took_own,
                                           .unmodelled = on_unmodelled } };
    int rc = hv_create(&m->hv, &config);

    if (!rc)
        rc = faults_create(m);
    return rc ? rc : trace_create(m);
}

static int make_memory(struct machine *m, int memory_fd)
{
    int rc = maps_create(&m->maps, memory_fd, m->nr_frames, &m->memory);

    if (!rc)
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

static void close_models(struct machine *m)
{
    hv_destroy(m->hv);
    trace_destroy(m);
    faults_destroy(m);
    processes_destroy(m);
}

/* What is left without domains, which may be a machine that could not be made to its end. */
static bool unmake(struct machine *m)
{
    struct outlet *log;
    bool ended;

    if (m->loops)
        machine_request_stop(m);
    PARTS_TELL(m, stop, m);
    ended = loops_join(m->loops);
    machine_lock(m);
    maps_end_all(m->maps);
    PARTS_TELL(m, close_all, m);
    machine_unlock(m);
    PARTS_TELL(m, destroy, m);
    attendant_dismiss(m);
    close_models(m);
    maps_destroy(m->maps);
    main_loop_destroy(m);
    log = m->log;
    m->log = NULL;
    outlet_finish(log);
    if (ended) {
        parts_free(m);
        pthread_mutex_destroy(&m->lock);
    }
    return ended;
}

/* With the parts prepared. */
static int make(struct machine *m, int memory_fd)
{
    int rc = attendant_start(m);

    if (!rc)
        rc = start_log(m);
    if (rc)
        close(memory_fd);
    else
        rc = make_memory(m, memory_fd);
    if (!rc)
        rc = loops_create(&m->loops);
    if (!rc)
        rc = parts_start(m);
    return rc ? rc : main_loop_start(m);
}

int machine_start(struct machine *m, const struct machine_config *config)
{
    bool said = false;
    int memory_fd = -1, rc;

    set_up(m, config);
    raise_file_limit();
    rc = main_loop_create(m);
    if (!rc) {
        rc = parts_prepare(m, config, &memory_fd);
        said = rc;
        if (rc && memory_fd >= 0)
            close(memory_fd);
    }
    if (!rc)
        rc = make(m, memory_fd);
    if (rc)
        unmake(m);
    if (rc && !said)
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
    if (!rc)
        rc = parts_prepare(m, config, &(int){ -1 });
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

void machine_close_models(struct machine *m)
{
    PARTS_TELL(m, destroy, m);
    close_models(m);
    if (m->memory)
        munmap(m->memory, m->nr_frames * HV_PAGE_SIZE);
    parts_free(m);
    pthread_mutex_destroy(&m->lock);
}

/* ---- The end ---------------------------------------------------------------------------------- */

void machine_end_programs(struct machine *m)
{
    struct domain *d;

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
}

bool machine_stop(struct machine *m)
{
    machine_end_programs(m);     /* first, while their requests are still answered */
    machine_lock(m);
    maps_unwatch(m->maps);
    machine_unlock(m);
    return unmake(m);
}
