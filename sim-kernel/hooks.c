/* SPDX-License-Identifier: MIT */
/* Calls the hooks for faults and trace at each device call, and keeps the calls that they hold. */
#include "kernel_i.h"

#include <assert.h>
#include <stdlib.h>

/* ---- Points ---------------------------------------------------------------------------------- */

void point_enter(struct kernel *k, struct kernel_point *point)
{
    const struct kernel_hooks *hooks = k->config.hooks;

    if (!hooks)
        return;
    point->kernel = k;
    point->call = ++k->last_call;
    point->nested = k->depth > 1;
    k->current = point;
    if (hooks->enter)
        hooks->enter(k->config.ctx, point);
}

void point_done(struct kernel *k, struct kernel_point *point, long result)
{
    const struct kernel_hooks *hooks = k->config.hooks;

    if (!hooks)
        return;
    if (k->current == point)
        k->current = NULL;
    if (hooks->done)
        hooks->done(k->config.ctx, point, result);
}

struct kernel_verdict point_inject(struct kernel *k, struct kernel_point *point)
{
    const struct kernel_hooks *hooks = k->config.hooks;

    if (!hooks || !hooks->inject)
        return (struct kernel_verdict){ .action = KERNEL_GO_ON };
    return hooks->inject(k->config.ctx, point);
}

struct kernel_verdict point_passed(struct kernel *k, enum kernel_op op, uint64_t arg0,
                                   uint64_t arg1)
{
    struct kernel_point point = { .op = op, .kernel = k, .args = { arg0, arg1 } };
    const struct kernel_hooks *hooks = k->config.hooks;
    struct kernel_verdict verdict = { .action = KERNEL_GO_ON };

    if (!hooks || k->dead)
        return verdict;
    verdict = point_inject(k, &point);
    if (hooks->done)
        hooks->done(k->config.ctx, &point, verdict.action);
    return verdict;
}

struct kernel_point *kernel_current(const struct kernel *k)
{
    return k->current;
}

/* ---- Calls that are held --------------------------------------------------------------------- */

struct held {
    struct kreq *req;
    struct ktimer timer;
    uint64_t token;
    bool answered;                 /* the driver has answered */
    long result;
    struct held *prev, *next;
};

static void held_free(struct held *h)
{
    ktimer_cancel(&h->timer);
    DL_DELETE(h->req->kernel->held, h);
    free(h);
}

static void held_abort(struct kreq *req, long why)
{
    struct held *h = req->driver;
    long result = h->answered ? h->result : why;

    held_free(h);
    kreq_complete(req, result);
}

static void held_go(struct held *h)
{
    struct kreq *req = h->req;
    struct kernel *k = req->kernel;
    bool answered = h->answered;
    long result = h->result;

    held_free(h);
    if (!answered) {
        kreq_restart(req);
        k->current = &req->point;
        result = kreq_call_driver(req);
        if (k->current == &req->point)
            k->current = NULL;
        req->in_call = false;
        if (result == KERNEL_PENDING && !req->completed)
            return;
        if (result == KERNEL_PENDING)
            result = req->result;
        if (!k->dead)
            kreq_pend(k, req, false, NULL, NULL);
        else
            kreq_adopt(k, req);
    }
    kreq_complete(req, result);
}

static void held_timer(struct ktimer *timer)
{
    held_go(container_of(timer, struct held, timer));
}

static bool hold(struct kernel *k, struct kreq *req, uint64_t token, uint64_t ns, bool answered,
                 long result)
{
    struct held *h = calloc(1, sizeof *h);

    if (!h)
        return false;
    *h = (struct held){ .req = req, .token = token, .answered = answered, .result = result };
    DL_PREPEND(k->held, h);
    kreq_pend(k, req, true, held_abort, h);
    if (ns)
        ktimer_set(k, &h->timer, ns, held_timer);
    return true;
}

long hold_before(struct kernel *k, struct kreq *req, const struct kernel_verdict *verdict)
{
    if (hold(k, req, verdict->token, verdict->ns, false, 0))
        return KERNEL_PENDING;
    return kreq_call_driver(req);
}

long hold_answer(struct kernel *k, struct kreq *req, long result)
{
    if (!k->dead && hold(k, req, req->point.hold_token, req->point.hold_ns, true, result))
        return KERNEL_PENDING;
    return result;
}

bool kernel_hold_answer(struct kernel *k, uint64_t token, uint64_t ns)
{
    struct kernel_point *point = k->current;

    if (!point || !point->can_wait)
        return false;
    point->hold = true;
    point->hold_token = token;
    point->hold_ns = ns;
    return true;
}

int kernel_resume(struct kernel *k, uint64_t token)
{
    struct held *h = k->held;

    while (h && h->token != token)
        h = h->next;
    if (!h)
        return -ENOENT;
    kernel_enter(k);
    held_go(h);
    kernel_leave(k);
    return 0;
}

bool kernel_holds(const struct kernel *k, uint64_t token)
{
    for (const struct held *h = k->held; h; h = h->next)
        if (h->token == token)
            return true;
    return false;
}

enum kernel_waiting kernel_waiting(const struct kernel *k)
{
    for (const struct kreq *req = k->requests; req; req = req->next)
        if (!req->interruptible)
            return KERNEL_CALL_WAITS;
    for (const struct held *h = k->held; h; h = h->next)
        if (h->timer.kernel)
            return KERNEL_CALL_WAITS;
    return k->late || k->gnttab.unmaps || k->gnttab.batches
        ? KERNEL_SOMETHING_LATE : KERNEL_NOTHING_WAITS;
}

/* ---- Late events ----------------------------------------------------------------------------- */

struct late {
    struct ktimer timer;
    struct kernel *k;
    evtchn_port_t port;
    void (*fn)(struct kernel *k, evtchn_port_t port);
    struct late *prev, *next;
};

static void late_free(struct late *late)
{
    ktimer_cancel(&late->timer);
    DL_DELETE(late->k->late, late);
    free(late);
}

static void late_timer(struct ktimer *timer)
{
    struct late *late = container_of(timer, struct late, timer);
    void (*fn)(struct kernel *, evtchn_port_t) = late->fn;
    evtchn_port_t port = late->port;
    struct kernel *k = late->k;

    late_free(late);
    fn(k, port);
}

void late_event(struct kernel *k, evtchn_port_t port, uint64_t ns,
                void (*fn)(struct kernel *, evtchn_port_t))
{
    struct late *late = calloc(1, sizeof *late);

    if (!late) {
        fn(k, port);
        return;
    }
    *late = (struct late){ .k = k, .port = port, .fn = fn };
    DL_PREPEND(k->late, late);
    ktimer_set(k, &late->timer, ns, late_timer);
}

void hooks_destroy(struct kernel *k)
{
    assert(!k->held);
    hooks_migrated(k);
}

/* Events under way are lost with their channels. */
void hooks_migrated(struct kernel *k)
{
    while (k->late)
        late_free(k->late);
}
