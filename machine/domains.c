/* SPDX-License-Identifier: MIT */
/* Creates, suspends and ends the domains of a machine. */
#include "domains.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "builder.h"
#include "faults.h"
#include "machine.h"
#include "process.h"
#include "trace.h"

#define PRIVILEGED_DOMAIN 0

struct domain *machine_domain(struct machine *m, domid_t id)
{
    struct domain *d = m->domains;

    while (d && (d->id < id || (d->id == id && d->dead)))
        d = d->next;
    return d && d->id == id ? d : NULL;
}

/* ---- What a kernel asks and tells ------------------------------------------------------------- */

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

/* The trace knows processes by number: their names come before the first thing that they do. */
static void name_process(struct machine *m, unsigned number)
{
    char name[64];

    if (trace_is_on(m) && process_first_name(m, number, name, sizeof name))
        trace_process(m, number, name);
}

static void on_enter(void *ctx, struct kernel_point *point)
{
    struct domain *d = ctx;
    struct machine *m = d->machine;

    if (m->caller && point->op == KERNEL_OPEN && !m->replays)
        process_look_again(m, m->caller);
    point->tag = !m->caller ? 0 : m->replays ? (int64_t)m->caller : process_number(m, m->caller);
    if (point->tag && !m->replays)
        name_process(m, (unsigned)point->tag);
    trace_enter(m, point);
    if (m->watched)
        PARTS_TELL(m, call_begins, d, point);
}

static void on_done(void *ctx, const struct kernel_point *point, long result)
{
    struct domain *d = ctx;

    trace_done(d->machine, point, result);
    if (d->machine->watched)
        PARTS_TELL(d->machine, call_over, d, point, result);
}

static void on_user(void *ctx, const struct kernel_point *point, enum kernel_user op,
                    uint64_t addr, const void *data, size_t size, const struct vma *vma, int rc)
{
    struct domain *d = ctx;

    trace_user(d->machine, point, op, data, size, vma, rc);
    if (d->machine->watched)
        PARTS_TELL(d->machine, call_memory, d, point, op, addr, data, rc ? 0 : size);
}

static void on_grant(void *ctx, grant_ref_t ref, const struct kernel_grant *grant)
{
    struct domain *d = ctx;

    trace_grant(d->machine, d->id, d->kernel ? kernel_current(d->kernel) : NULL, ref, grant);
}

static const struct kernel_hooks kernel_hooks = {
    .inject = faults_at_kernel,
    .enter = on_enter,
    .done = on_done,
    .user = on_user,
    .grant = on_grant,
};

/* ---- Creation and end ------------------------------------------------------------------------- */

int machine_domain_create(struct machine *m, domid_t id, const struct kernel_profile *profile, struct domain **out)
{
    return machine_domain_create_with(m, id, &(struct domain_options){ .profile = profile, .grant_frames = -1, .maptrack_frames = -1 },
                                      out);
}

struct domain *machine_domain_at(struct machine *m, domid_t place)
{
    struct domain *d = m->domains;

    while (d && (d->dead || d->place != place))
        d = d->next;
    return d;
}

/* Numbers that are no id come next: there are fewer domains than those. */
static domid_t choose_place(struct machine *m, domid_t id)
{
    domid_t place = id;

    for (domid_t other = DOMID_FIRST_RESERVED; machine_domain_at(m, place); other++)
        place = other;
    return place;
}

/* A new domain comes after a dead one that has its number. */
static int by_id(const struct domain *a, const struct domain *b)
{
    return a->id <= b->id ? -1 : 1;
}

/* What is not said is what a toolstack gives, if the host allows that much: it never leaves it to Xen. */
static void choose_limits(const struct machine *m, struct hv_domain_config *config)
{
    const struct hv_profile *usual = &hv_profile_xen_4_17;
    uint32_t grants = usual->max_grant_frames, maptrack = usual->max_maptrack_frames;

    if (config->max_grant_frames < 0)
        config->max_grant_frames = (int32_t)(grants < m->xen.max_grant_frames ? grants : m->xen.max_grant_frames);
    if (config->max_maptrack_frames < 0)
        config->max_maptrack_frames = (int32_t)(maptrack < m->xen.max_maptrack_frames ? maptrack : m->xen.max_maptrack_frames);
}

static void domain_free(struct domain *d)
{
    if (d)
        parts_domain_free(d);
    free(d);
}

static const struct machine_part *store_of(const struct machine *m)
{
    for (unsigned i = 0; i < m->nr_parts; i++)
        if (m->parts[i]->is_store)
            return m->parts[i];
    return NULL;
}

/* A domain of a trace may have a store without the part. */
static void connect_store(struct domain *d)
{
    const struct machine_part *store = store_of(d->machine);

    if (!store || !store->connects_kernels || d->id == PRIVILEGED_DOMAIN || d->has_toolstack)
        machine_connect_store(d);
}

/* What keeps a kernel from its store is no reason not to run. */
void machine_connect_store(struct domain *d)
{
    int rc = d->options.store ? kernel_connect_store(d->kernel, d->store_gfn, d->store_port) : 0;

    if (rc)
        machine_log(d->machine, "domain %u: no /dev/xen/xenbus: %s", d->id, strerror(-rc));
}

/* The hypervisor's domain: a new one, or the one that a toolstack made. */
static int begin_in_hv(struct domain *d, struct kernel_pv_space *space)
{
    struct hv_domain_config config;

    kernel_domain_config(&config, d->profile, space);
    if (d->options.is_made)
        return hv_domain_boot(d->machine->hv, d->id, config.pv_ops, config.pv_ctx);
    config.privileged = d->id == PRIVILEGED_DOMAIN;
    config.is_hvm = d->options.is_hvm;
    config.max_grant_frames = d->options.grant_frames;
    config.max_maptrack_frames = d->options.maptrack_frames;
    choose_limits(d->machine, &config);
    return hv_domain_create(d->machine->hv, d->id, &config);
}

static void end_in_hv(struct domain *d)
{
    if (d->options.is_made)
        hv_domain_halt(d->machine->hv, d->id);
    else
        hv_domain_destroy(d->machine->hv, d->id);
}

int machine_domain_create_with(struct machine *m, domid_t id, const struct domain_options *options, struct domain **out)
{
    const struct kernel_profile *profile = options->profile ? options->profile : m->profile;
    struct kernel_config config;
    struct kernel_pv_space *space = NULL;
    struct domain *d = calloc(1, sizeof *d);
    int rc = -ENOMEM;

    if (!d || !(space = kernel_pv_space_create()))
        goto fail;
    *d = (struct domain){ .machine = m, .id = id, .place = choose_place(m, id), .profile = profile, .options = *options };
    if (store_of(m))
        d->options.store = true;
    trace_domain_create(m, id, profile, &d->options);
    if (parts_domain_create(d))
        goto fail;
    rc = begin_in_hv(d, space);
    if (rc)
        goto fail;
    config = (struct kernel_config){ .hv = m->hv, .domid = id, .profile = profile, .now = now,
                                     .timer_changed = on_timer_changed, .log = on_kernel_log, .ctx = d,
                                     .grant_version = options->grant_version, .hooks = &kernel_hooks,
                                     .privcmd_unrestricted = options->privcmd_unrestricted };
    LL_INSERT_INORDER(m->domains, d, by_id);
    rc = d->options.store || d->options.is_made ? builder_build(d) : 0;
    if (!rc)
        rc = kernel_create(&d->kernel, &config, space);
    if (rc) {
        LL_DELETE(m->domains, d);
        end_in_hv(d);
        goto fail;
    }
    connect_store(d);
    PARTS_TELL(m, domain_started, d);
    if (out)
        *out = d;
    return 0;

fail:
    if (space)
        kernel_pv_space_destroy(space);
    domain_free(d);
    return rc;
}

bool machine_domain_is_bare(const struct machine *m, domid_t id)
{
    struct hv_domain_info info;

    return !hv_domain_info(m->hv, id, &info) && info.is_bare && !info.dying;
}

int machine_domain_boot(struct machine *m, domid_t id, const struct kernel_profile *profile,
                        struct domain **out)
{
    struct domain_options options = { .profile = profile ? profile : m->profile,
                                      .grant_frames = -1,
                                      .maptrack_frames = -1,
                                      .is_made = true };
    struct hv_domain_info info;

    if (hv_domain_info(m->hv, id, &info))
        return -ESRCH;
    if (options.profile->auto_translated != info.auto_translated) {
        if (profile)
            return -EINVAL;
        options.profile = info.auto_translated ? &kernel_profile_pvh : &kernel_profile_pv;
    }
    return machine_domain_create_with(m, id, &options, out);
}

static void domain_try_free(struct domain *d)
{
    if (!d->dead || d->in_flight || d->open_files)
        return;
    LL_DELETE(d->machine->domains, d);
    PARTS_TELL(d->machine, forget, d);
    domain_free(d);
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

static int destroy(struct machine *m, domid_t id)
{
    struct domain *d = machine_domain(m, id);

    if (!d)
        return -ESRCH;
    trace_domain_destroy(m, id);
    d->dead = true;
    hv_domain_destroy(m->hv, id);
    PARTS_TELL(m, domain_destroyed, d);
    kernel_destroy(d->kernel);      /* now: a domain of the same id may come; calls that are held up end with ENODEV */
    d->kernel = NULL;
    PARTS_TELL(m, kill, d);
    domain_try_free(d);
    return 0;
}

static int destroy_outside(struct machine *m, domid_t id)
{
    struct outside *o = machine_outside(m, id);

    if (!o)
        return -ESRCH;
    LL_DELETE(m->outsiders, o);
    o->next = NULL;
    hv_domain_destroy(m->hv, id);
    o->gone(o);
    return 0;
}

static int destroy_bare(struct machine *m, domid_t id)
{
    trace_domain_destroy(m, id);
    return hv_domain_destroy(m->hv, id);
}

int machine_domain_destroy(struct machine *m, domid_t id)
{
    if (machine_domain(m, id))
        return destroy(m, id);
    return machine_domain_is_bare(m, id) ? destroy_bare(m, id) : destroy_outside(m, id);
}

void machine_wait_killed(struct machine *m)
{
    PARTS_TELL(m, wait_killed, m);
}

/* ---- Domains whose kernel is elsewhere -------------------------------------------------------- */

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
    choose_limits(m, &own);
    rc = hv_domain_create(m->hv, o->id, &own);
    if (rc)
        return rc;
    LL_PREPEND(m->outsiders, o);
    return 0;
}

/* ---- Suspend and resume ----------------------------------------------------------------------- */

/* The lowest id above that nobody has, alive or dead. */
static int free_id(const struct machine *m, domid_t above)
{
    for (unsigned id = above + 1u; id < DOMID_FIRST_RESERVED; id++)
        if (hv_domain_state(m->hv, (domid_t)id) == -ESRCH && !machine_domain((struct machine *)m, (domid_t)id))
            return (int)id;
    return -ENOSPC;
}

int machine_domain_suspend(struct machine *m, domid_t id, int as, unsigned grant_version, domid_t *now)
{
    struct domain *d = machine_domain(m, id);
    int rc;

    if (!d)
        return -ESRCH;
    if (as < 0)
        as = free_id(m, id);
    if (as < 0)
        return as;
    trace_domain_suspend(m, id, (domid_t)as, grant_version);
    rc = hv_domain_migrate(m->hv, id, (domid_t)as);
    if (rc)
        return rc;
    LL_DELETE(m->domains, d);
    d->id = (domid_t)as;
    LL_INSERT_INORDER(m->domains, d, by_id);
    if (grant_version)
        d->options.grant_version = grant_version;
    faults_migrated(m, id, d->id);
    if (d->options.store)
        builder_restore(d);
    PARTS_TELL(m, domain_migrated, d);
    kernel_migrated(d->kernel, d->id, grant_version);
    connect_store(d);
    if (now)
        *now = d->id;
    return 0;
}

void machine_suspend_later(struct machine *m, domid_t id)
{
    struct domain *d = machine_domain(m, id);

    if (d)
        d->suspend = m->attention = true;
}
