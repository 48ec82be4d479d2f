/* SPDX-License-Identifier: MIT */
/* The guest's side of 2-level event channels: the upcall, masks and handlers. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_i.h"

#define BITS_PER_WORD 64u
#define NR_WORDS (NR_EVENT_CHANNELS / BITS_PER_WORD)

_Static_assert(sizeof(xen_ulong_t) == 8, "64-bit guest");
_Static_assert(offsetof(struct shared_info, evtchn_pending) ==
                       XEN_LEGACY_MAX_VCPUS * sizeof(struct vcpu_info) &&
                   offsetof(struct shared_info, evtchn_mask) ==
                       offsetof(struct shared_info, evtchn_pending) + NR_EVENT_CHANNELS / 8,
               "shared info is ABI");

static struct shared_info *shared_info(const struct kernel *k)
{
    return k->dead ? NULL : hv_shared_info(k->hv, k->domid);
}

static void mask_port(struct kernel *k, evtchn_port_t port)
{
    struct shared_info *shared = shared_info(k);

    if (shared)
        __atomic_or_fetch(&shared->evtchn_mask[port / BITS_PER_WORD], 1ull << port % BITS_PER_WORD,
                          __ATOMIC_SEQ_CST);
}

/* The hypervisor looks whether the event came meanwhile, and raises the upcall then. */
static void unmask_port(struct kernel *k, evtchn_port_t port)
{
    struct evtchn_unmask unmask = { .port = port };
    struct shared_info *shared = shared_info(k);

    if (kernel_event_channel_op(k, EVTCHNOP_unmask, &unmask) && shared)
        __atomic_and_fetch(&shared->evtchn_mask[port / BITS_PER_WORD],
                           ~(1ull << port % BITS_PER_WORD), __ATOMIC_SEQ_CST);
}

int events_init(struct kernel *k)
{
    struct shared_info *shared = shared_info(k);

    if (!shared)
        return -ESRCH;
    for (unsigned i = 0; i < NR_WORDS; i++)
        __atomic_store_n(&shared->evtchn_mask[i], ~0ull, __ATOMIC_SEQ_CST);
#ifdef XEN_HAVE_PV_UPCALL_MASK
    __atomic_store_n(&shared->vcpu_info[0].evtchn_upcall_mask, 0, __ATOMIC_SEQ_CST);
#endif
    return 0;
}

void events_destroy(struct kernel *k)
{
    free(k->events.ports);
    k->events.ports = NULL;
    k->events.nr_ports = 0;
}

/* Nothing is bound any more, and handlers know it. What holds of a new table holds again. */
void events_migrated(struct kernel *k)
{
    if (k->events.nr_ports)
        memset(k->events.ports, 0, k->events.nr_ports * sizeof *k->events.ports);
    k->events.highest = 0;
    events_init(k);
}

/* NULL for a port that was never bound here. */
static struct event_port *port_of(const struct kernel *k, evtchn_port_t port)
{
    return port < k->events.nr_ports ? &k->events.ports[port] : NULL;
}

/* ---- The upcall ------------------------------------------------------------------------------ */

static void call_handlers(struct kernel *k, evtchn_port_t port)
{
    struct event_port *p = port_of(k, port);
    struct event_handler *handler, *next;

    for (handler = p ? p->handlers : NULL; handler; handler = next) {
        next = handler->next;
        handler->fn(handler);
    }
}

static void handle_port(struct kernel *k, evtchn_port_t port)
{
    struct event_port *p = port_of(k, port);
    struct kernel_verdict verdict;

    if (!p || !p->handlers)
        return;
    p->eoi_pending = true;
    verdict = point_passed(k, KERNEL_EVENT, port, 0);
    if (k->dead)
        return;
    if (verdict.action == KERNEL_LATE) {
        late_event(k, port, verdict.ns, call_handlers);
        return;
    }
    if (verdict.action == KERNEL_DROP) {
        event_eoi(k, port);      /* as if it had never come */
        return;
    }
    call_handlers(k, port);
    if (verdict.action == KERNEL_DOUBLE)
        call_handlers(k, port);
}

static void handle_word(struct kernel *k, struct shared_info *shared, unsigned word)
{
    uint64_t bits = __atomic_load_n(&shared->evtchn_pending[word], __ATOMIC_SEQ_CST) &
                    ~__atomic_load_n(&shared->evtchn_mask[word], __ATOMIC_SEQ_CST);

    while (bits) {
        unsigned bit = (unsigned)__builtin_ctzll(bits);
        evtchn_port_t port = word * BITS_PER_WORD + bit;

        bits &= bits - 1;
        /* Masked until the event's end is reported; pending is cleared first, so that none is
         * lost. */
        mask_port(k, port);
        __atomic_and_fetch(&shared->evtchn_pending[word], ~(1ull << bit), __ATOMIC_SEQ_CST);
        handle_port(k, port);
    }
}

bool events_pending(const struct kernel *k)
{
    struct shared_info *shared = shared_info(k);

    return shared && __atomic_load_n(&shared->vcpu_info[0].evtchn_upcall_pending, __ATOMIC_SEQ_CST);
}

void events_upcall(struct kernel *k)
{
    struct shared_info *shared = shared_info(k);
    uint64_t sel;

    if (!shared)
        return;
    __atomic_store_n(&shared->vcpu_info[0].evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    sel = __atomic_exchange_n(&shared->vcpu_info[0].evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    while (sel) {
        unsigned word = (unsigned)__builtin_ctzll(sel);

        sel &= sel - 1;
        handle_word(k, shared, word);
    }
}

/* ---- Ports ----------------------------------------------------------------------------------- */

static int make_room(struct kernel *k, evtchn_port_t port)
{
    struct events *e = &k->events;
    uint32_t nr = e->nr_ports ? e->nr_ports : 64;
    struct event_port *ports;

    if (port == 0 || port >= NR_EVENT_CHANNELS)
        return -EINVAL;
    if (port > e->highest)
        e->highest = port;
    if (port < e->nr_ports)
        return 0;
    while (nr <= port)
        nr *= 2;
    ports = realloc(e->ports, nr * sizeof *ports);
    if (!ports)
        return -ENOMEM;
    memset(ports + e->nr_ports, 0, (nr - e->nr_ports) * sizeof *ports);
    e->ports = ports;
    e->nr_ports = nr;
    return 0;
}

uint32_t events_nr_channels(const struct kernel *k)
{
    const uint32_t per_page = HV_PAGE_SIZE / sizeof(event_word_t);

    return (k->events.highest / per_page + 1) * per_page;
}

int event_bind(struct kernel *k, struct event_handler *handler, evtchn_port_t port, bool is_static)
{
    struct event_port *p;
    int rc = make_room(k, port);

    if (rc)
        return rc;
    p = port_of(k, port);
    if (p->refs == INT16_MAX)
        return -ENOMEM;
    if (!p->refs)
        *p = (struct event_port){ .is_static = is_static };
    p->refs++;
    handler->port = port;
    LL_APPEND(p->handlers, handler);
    if (!p->eoi_pending)
        unmask_port(k, port);
    return 0;
}

struct event_handler *event_handlers(const struct kernel *k, evtchn_port_t port)
{
    const struct event_port *p = port_of(k, port);

    return p ? p->handlers : NULL;
}

void event_unbind(struct kernel *k, struct event_handler *handler)
{
    struct event_port *p = port_of(k, handler->port);

    if (!p)
        return;
    LL_DELETE(p->handlers, handler);
    if (!p->handlers) {
        mask_port(k, handler->port);
        p->eoi_pending = false;
    }
    event_put(k, handler->port);
}

void event_eoi(struct kernel *k, evtchn_port_t port)
{
    struct event_port *p = port_of(k, port);

    if (!p || !p->eoi_pending)
        return;
    p->eoi_pending = false;
    unmask_port(k, port);
}

int event_get(struct kernel *k, evtchn_port_t port)
{
    struct event_port *p = port_of(k, port);

    if (!p || p->refs <= 0 || p->refs == INT16_MAX)
        return -EINVAL;
    p->refs++;
    return 0;
}

void event_put(struct kernel *k, evtchn_port_t port)
{
    struct event_port *p = port_of(k, port);
    struct evtchn_close close = { .port = port };

    if (!p)
        return;
    assert(p->refs > 0);
    if (--p->refs)
        return;
    assert(!p->handlers);
    if (!p->is_static && kernel_event_channel_op(k, EVTCHNOP_close, &close) && !k->dead)
        kernel_log(k, "event channel %u was gone before it was closed", port);
}

void event_notify(struct kernel *k, evtchn_port_t port)
{
    struct evtchn_send send = { .port = port };

    (void)kernel_event_channel_op(k, EVTCHNOP_send, &send);
}

void event_notify_as(struct kernel *k, evtchn_port_t port, const struct kernel_verdict *verdict)
{
    if (verdict->action == KERNEL_DROP)
        return;
    if (verdict->action == KERNEL_LATE) {
        late_event(k, port, verdict->ns, event_notify);
        return;
    }
    event_notify(k, port);
    if (verdict->action == KERNEL_DOUBLE)
        event_notify(k, port);
}

/* ---- Audit ----------------------------------------------------------------------------------- */

void events_audit(struct kernel_audit *audit)
{
    const struct kernel *k = audit->k;
    struct shared_info *shared = shared_info(k);
    struct hv_port_info info;

    for (evtchn_port_t port = 0; port < k->events.nr_ports; port++) {
        const struct event_port *p = &k->events.ports[port];
        bool known = !hv_port_next(k->hv, k->domid, port, &info) && info.port == port;
        bool masked = shared &&
                      shared->evtchn_mask[port / BITS_PER_WORD] >> port % BITS_PER_WORD & 1;

        if (!p->refs) {
            if (p->handlers)
                audit_fail(audit, "port %u has a handler but no reference", port);
            continue;
        }
        if (!known && !p->is_static)
            audit_fail(audit, "port %u is bound here, but not an event channel of the domain",
                       port);
        if (p->handlers && shared && masked != p->eoi_pending)
            audit_fail(audit, "port %u is %s, but its last event is %s", port,
                       masked ? "masked" : "not masked",
                       p->eoi_pending ? "not dealt with" : "dealt with");
    }
}
