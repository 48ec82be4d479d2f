/* SPDX-License-Identifier: MIT */
/* The life of a guest kernel: boot, upcalls, module parameters and the end. */
#include "kernel_i.h"
#include "xenbus_i.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Pages that a domain can have at once: what its drivers ask for is bounded by their own limits. */
#define DOMAIN_MAX_PAGES (1u << 20)

void kernel_domain_config(struct hv_domain_config *config, const struct kernel_profile *profile,
                          struct kernel_pv_space *space)
{
    hv_domain_config_init(config);
    config->auto_translated = profile->auto_translated;
    config->nr_pages = 0;
    config->max_pages = DOMAIN_MAX_PAGES;
    config->keeps_frames = true;
    if (!profile->auto_translated) {
        assert(space);
        config->pv_ops = &pv_space_ops;
        config->pv_ctx = space;
    }
}

int kernel_create(struct kernel **out, const struct kernel_config *config, struct kernel_pv_space *space)
{
    struct hv_domain_info info;
    struct kernel *k;
    int rc;

    *out = NULL;
    if (hv_domain_info(config->hv, config->domid, &info) || info.dying)
        return -ESRCH;
    k = calloc(1, sizeof *k);
    if (!k)
        return -ENOMEM;
    k->hv = config->hv;
    k->domid = config->domid;
    k->profile = config->profile ? config->profile : &kernel_profile_pv;
    k->config = *config;
    k->privileged = info.privileged;
    k->gntdev.limit = k->profile->gntdev_limit;
    k->gntalloc.limit = k->profile->gntalloc_limit;
    k->unrestricted = config->privcmd_unrestricted;
    /* A guest knows how much memory it can have, and that beyond it are only holes; unless its
     * toolstack put something there. */
    k->first_slot_gfn = info.max_pages > info.max_gfn ? info.max_pages : info.max_gfn + 1;
    rc = -EINVAL;
    if (k->profile->auto_translated != info.auto_translated || (!info.auto_translated && !space))
        goto fail;
    if (!info.auto_translated)
        k->space = space;
    rc = events_init(k);
    if (rc)
        goto fail;
    rc = kernel_gnttab_init(k);
    if (rc)
        goto fail_events;
    if (info.auto_translated)
        kernel_pv_space_destroy(space);
    *out = k;
    return 0;

fail_events:
    events_destroy(k);
fail:
    free(k);
    return rc;
}

static void kernel_free(struct kernel *k)
{
    assert(k->dead && k->destroyed && !k->active && !k->requests && !k->completed);
    kernel_pv_space_destroy(k->space);
    free(k->slots.free);
    free(k);
}

void kernel_destroy(struct kernel *k)
{
    kernel_enter(k);
    assert(!k->destroyed);
    k->dead = true;
    k->destroyed = true;
    gnttab_abort(k);
    while (k->requests)
        k->requests->abort(k->requests, -ENODEV);
    for (struct kernel_pin *pin = k->pins; pin; pin = pin->next)
        pin->k = NULL;
    gntdev_destroy(k);
    gntalloc_destroy(k);
    pages_destroy(k);
    xenbus_destroy(k);
    events_destroy(k);
    hooks_destroy(k);
    kernel_gnttab_destroy(k);
    while (k->timers)
        ktimer_cancel(k->timers);
    while (k->files) {
        struct file *file = k->files;

        DL_DELETE(k->files, file);
        file->kernel = NULL;
        if (file->wake)
            file->wake(file);
    }
    kernel_leave(k);
}

/* ---- Calls ------------------------------------------------------------------------------------ */

void kernel_notice_death(struct kernel *k)
{
    if (!k->dead && hv_domain_state(k->hv, k->domid))
        k->dead = true;
}

void kernel_enter(struct kernel *k)
{
    if (!k->depth)
        kernel_notice_death(k);
    k->active++;
    k->depth++;
}

/* Reports requests that have ended. Whoever is told may call into the kernel again. */
static void report_completed(struct kernel *k)
{
    unsigned depth = k->depth;
    struct kreq *req;

    k->depth = 0;
    while ((req = k->completed)) {
        struct vma *vma = req->vma;
        long result = req->result;

        DL_DELETE(k->completed, req);
        req->kernel = NULL;
        if (req->point.call)
            point_done(k, &req->point, result);
        req->done(req, result);
        if (vma && result < 0) {
            free(vma->runs);
            free(vma);
        }
    }
    k->depth = depth;
}

static void settle(struct kernel *k)
{
    while (!k->dead && events_pending(k))
        events_upcall(k);
    report_completed(k);
}

void kernel_leave(struct kernel *k)
{
    assert(k->active && k->depth);
    if (k->depth == 1)
        settle(k);
    k->depth--;
    k->active--;
    if (k->destroyed && !k->active)
        kernel_free(k);
}

void kernel_upcall(struct kernel *k)
{
    kernel_enter(k);
    kernel_leave(k);
}

domid_t kernel_domid(const struct kernel *k)
{
    return k->domid;
}

const struct kernel_profile *kernel_profile(const struct kernel *k)
{
    return k->profile;
}

void kernel_log(const struct kernel *k, const char *format, ...)
{
    char line[256];
    va_list ap;

    if (!k->config.log)
        return;
    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    k->config.log(k->config.ctx, line);
}

long kernel_grant_table_op(struct kernel *k, unsigned cmd, void *array, unsigned count)
{
    return k->dead ? -ENODEV : hv_grant_table_op(k->hv, k->domid, cmd, array, count);
}

long kernel_event_channel_op(struct kernel *k, unsigned cmd, void *arg)
{
    return k->dead ? -ENODEV : hv_event_channel_op(k->hv, k->domid, cmd, arg);
}

long kernel_memory_op(struct kernel *k, unsigned cmd, void *arg)
{
    const uint64_t args[5] = { cmd, (uintptr_t)arg };

    return k->dead ? -ENODEV : hv_hypercall(k->hv, k->domid, __HYPERVISOR_memory_op, args, &hv_plain_memory);
}

/* ---- Time ------------------------------------------------------------------------------------- */

uint64_t kernel_now(const struct kernel *k)
{
    return k->config.now ? k->config.now(k->config.ctx) : 0;
}

/* Timers of one deadline run in the order in which they were set. */
static int by_deadline(const struct ktimer *there, const struct ktimer *timer)
{
    return there->deadline <= timer->deadline ? -1 : 1;
}

void ktimer_set(struct kernel *k, struct ktimer *timer, uint64_t delay_ns, void (*fn)(struct ktimer *))
{
    ktimer_cancel(timer);
    timer->deadline = kernel_now(k) + delay_ns;
    timer->fn = fn;
    timer->kernel = k;
    DL_INSERT_INORDER(k->timers, timer, by_deadline);
    if (k->timers == timer && k->config.timer_changed)
        k->config.timer_changed(k->config.ctx);
}

void ktimer_cancel(struct ktimer *timer)
{
    if (timer->kernel)
        DL_DELETE(timer->kernel->timers, timer);
    timer->kernel = NULL;
}

uint64_t kernel_next_timer(const struct kernel *k)
{
    return k->timers && !k->dead ? k->timers->deadline : UINT64_MAX;
}

void kernel_run_timers(struct kernel *k)
{
    uint64_t now = kernel_now(k);

    kernel_enter(k);
    while (!k->dead && k->timers && k->timers->deadline <= now) {
        struct ktimer *timer = k->timers;

        ktimer_cancel(timer);
        timer->fn(timer);
    }
    kernel_leave(k);
}

/* ---- Module parameters ------------------------------------------------------------------------ */

static const struct param {
    const char *name;
    int64_t min, max;
    size_t at;                      /* an int64_t of struct kernel */
} params[] = {
    { "xen_gntalloc/limit", INT32_MIN, INT32_MAX, offsetof(struct kernel, gntalloc.limit) },
    { "xen_gntdev/limit", 0, UINT32_MAX, offsetof(struct kernel, gntdev.limit) },
    { "grant_table/free_per_iteration", 0, UINT32_MAX, offsetof(struct kernel, gnttab.free_per_iteration) },
    { "xen_privcmd/unrestricted", 0, 1, offsetof(struct kernel, unrestricted) },
};

static const struct param *param_find(const char *name)
{
    for (size_t i = 0; i < sizeof params / sizeof *params; i++)
        if (!strcmp(params[i].name, name))
            return &params[i];
    return NULL;
}

int kernel_param_get(const struct kernel *k, const char *name, int64_t *value)
{
    const struct param *param = param_find(name);

    if (!param)
        return -ENOENT;
    memcpy(value, (const char *)k + param->at, sizeof *value);
    return 0;
}

int kernel_param_set(struct kernel *k, const char *name, int64_t value)
{
    struct kernel_point point = { .op = KERNEL_PARAM, .args = { (uint64_t)value }, .data = name, .size = strlen(name) };
    const struct param *param = param_find(name);

    if (!param)
        return -ENOENT;
    if (value > param->max || (value < param->min && param->min))
        return -ERANGE;
    if (value < param->min)         /* an unsigned number has no sign */
        return -EINVAL;
    point_enter(k, &point);
    memcpy((char *)k + param->at, &value, sizeof value);
    point_done(k, &point, 0);
    return 0;
}
