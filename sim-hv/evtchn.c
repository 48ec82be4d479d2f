/* SPDX-License-Identifier: MIT */
/*
 * Event channels: ports, their states and the operations on them, for the 2-level ABI and one vCPU.
 */
#include "hv_i.h"

static bool vcpu_exists(uint32_t vcpu)
{
    return vcpu == 0;
}

/* ---- Ports ------------------------------------------------------------------------------------ */

static int add_bucket(struct hv_domain *d)
{
    struct evtchns *ev = &d->evtchns;
    struct evtchn *bucket = hv_alloc(d->hv, EVTCHNS_PER_BUCKET, sizeof *bucket);

    if (!bucket)
        return -ENOMEM;
    ev->buckets[ev->valid / EVTCHNS_PER_BUCKET] = bucket;
    ev->valid += EVTCHNS_PER_BUCKET;
    return 0;
}

int evtchn_init(struct hv_domain *d, const struct hv_domain_config *config)
{
    struct evtchns *ev = &d->evtchns;

    ev->max = MAX_EVTCHNS_2L;
    if (config->max_evtchn_port && config->max_evtchn_port < MAX_EVTCHNS_2L - 1)
        ev->max = config->max_evtchn_port + 1;
    ev->lowest = 1;
    if (add_bucket(d))
        return -ENOMEM;
    evtchn(ev, 0)->state = ECS_RESERVED;
    return 0;
}

void evtchn_destroy(struct hv_domain *d)
{
    for (unsigned i = 0; i < d->evtchns.valid / EVTCHNS_PER_BUCKET; i++)
        free(d->evtchns.buckets[i]);
    d->evtchns.valid = 0;
}

/* The lowest free port, > 0, still in state FREE; or a negative errno. */
static int get_free_port(struct hv_domain *d)
{
    struct evtchns *ev = &d->evtchns;
    uint32_t port = ev->lowest;

    if (domain_dying(d))
        return -EINVAL;
    while (port_is_valid(ev, port) && evtchn(ev, port)->state != ECS_FREE)
        port++;
    ev->lowest = port;
    if (port >= ev->max)
        return -ENOSPC;
    if (!port_is_valid(ev, port) && add_bucket(d))
        return -ENOMEM;
    return (int)port;
}

static void bind_port(struct hv_domain *d, uint32_t port, struct evtchn chn)
{
    assert(evtchn(&d->evtchns, port)->state == ECS_FREE);
    *evtchn(&d->evtchns, port) = chn;
    d->evtchns.in_use++;
}

static void free_port(struct hv_domain *d, uint32_t port)
{
    struct evtchns *ev = &d->evtchns;

    assert(evtchn(ev, port)->state > ECS_RESERVED && ev->in_use > 0);
    *evtchn(ev, port) = (struct evtchn){ .state = ECS_FREE };
    ev->in_use--;
    if (port < ev->lowest)
        ev->lowest = port;
    evtchn_2l_clear_pending(d, port);
}

static int close_port(struct hv_domain *d, uint32_t port)
{
    struct evtchn *chn, *peer;
    struct hv_domain *rd;

    if (!port_is_valid(&d->evtchns, port))
        return -EINVAL;
    chn = evtchn(&d->evtchns, port);
    switch ((enum evtchn_state)chn->state) {
    case ECS_FREE:
    case ECS_RESERVED:
        return -EINVAL;
    case ECS_UNBOUND:
    case ECS_IPI:
        break;
    case ECS_VIRQ:
        d->evtchns.virq_to_port[chn->virq] = 0;
        break;
    case ECS_INTERDOMAIN:
        /* The peer hears nothing of it; the same domain may bind to it again. */
        rd = domain_lookup(d->hv, chn->remote_dom);
        assert(rd);
        peer = evtchn(&rd->evtchns, chn->remote_port);
        assert(peer->state == ECS_INTERDOMAIN && peer->remote_dom == d->id && peer->remote_port == port);
        peer->state = ECS_UNBOUND;
        peer->remote_dom = d->id;
        peer->remote_port = 0;
        break;
    }
    free_port(d, port);
    return 0;
}

/* The same at a guest's wish: what Xen serves is not its own. */
static int guest_close_port(struct hv_domain *d, uint32_t port)
{
    if (port_is_valid(&d->evtchns, port) && evtchn(&d->evtchns, port)->consumer)
        return -EINVAL;
    return close_port(d, port);
}

void evtchn_close_all(struct hv_domain *d)
{
    /* The ports of its rings are Xen's, and go with the rings: before, if the domain dies. */
    for (uint32_t port = d->evtchns.valid; port-- > 1;)
        guest_close_port(d, port);
}

int evtchn_alloc_xen(struct hv_domain *d, domid_t remote, unsigned kind)
{
    int port = get_free_port(d);

    if (port >= 0)
        bind_port(d, (uint32_t)port,
                  (struct evtchn){ .state = ECS_UNBOUND, .remote_dom = remote,
                                   .consumer = (uint8_t)(kind + 1) });
    return port;
}

void evtchn_close_xen(struct hv_domain *d, uint32_t port)
{
    close_port(d, port);
}

void evtchn_notify_xen(struct hv_domain *d, uint32_t port)
{
    const struct evtchn *chn = evtchn(&d->evtchns, port);

    if (chn->state == ECS_INTERDOMAIN)
        evtchn_2l_set_pending(domain_lookup(d->hv, chn->remote_dom), chn->remote_port);
}

/* What arrives at port of d. */
static void deliver(struct hv_domain *d, uint32_t port)
{
    unsigned consumer = evtchn(&d->evtchns, port)->consumer;

    if (consumer)
        vm_event_resume(d, consumer - 1);
    else
        evtchn_2l_set_pending(d, port);
}

static bool virq_is_per_vcpu(uint32_t virq)
{
    return virq == VIRQ_TIMER || virq == VIRQ_DEBUG || virq == VIRQ_XENOPROF || virq == VIRQ_XENPMU;
}

static bool virq_is_global(uint32_t virq)
{
    return !virq_is_per_vcpu(virq) && virq != VIRQ_ARGO && virq < VIRQ_ARCH_0;
}

/* Global ones have one handler, the hardware domain. */
static bool virq_fires_for(const struct hv_domain *d, uint32_t virq)
{
    return !virq_is_global(virq) || d->id == 0;
}

void evtchn_send_global_virq(struct hv *hv, uint32_t virq)
{
    struct hv_domain *d = domain_lookup(hv, 0);

    assert(virq_is_global(virq));
    if (d && d->evtchns.virq_to_port[virq])
        evtchn_2l_set_pending(d, d->evtchns.virq_to_port[virq]);
}

/* ---- Operations: order of checks as Xen's ----------------------------------------------------- */

static long op_alloc_unbound(const struct hv_call *c, void *arg)
{
    struct evtchn_alloc_unbound *op = arg;
    struct hv_domain *d = domain_lookup_any(c->d, op->dom);
    int port;

    if (!d)
        return -ESRCH;
    port = get_free_port(d);
    if (port < 0)
        return port;
    if (!domain_may_control(c->d, d))
        return -EPERM;
    bind_port(d, (uint32_t)port, (struct evtchn){
        .state = ECS_UNBOUND, .remote_dom = op->remote_dom == DOMID_SELF ? c->d->id : op->remote_dom });
    op->port = (uint32_t)port;
    return 0;
}

static long op_bind_interdomain(const struct hv_call *c, void *arg)
{
    struct evtchn_bind_interdomain *op = arg;
    struct hv_domain *ld = c->d, *rd = domain_lookup_any(c->d, op->remote_dom);
    struct evtchn *peer;
    int port;

    if (!rd)
        return -ESRCH;
    port = get_free_port(ld);
    if (port < 0)
        return port;
    if (!port_is_valid(&rd->evtchns, op->remote_port))
        return -EINVAL;
    peer = evtchn(&rd->evtchns, op->remote_port);
    if (peer->state != ECS_UNBOUND || peer->remote_dom != ld->id)
        return -EINVAL;
    bind_port(ld, (uint32_t)port, (struct evtchn){
        .state = ECS_INTERDOMAIN, .remote_dom = rd->id, .remote_port = op->remote_port });
    peer->state = ECS_INTERDOMAIN;
    peer->remote_dom = ld->id;
    peer->remote_port = (uint32_t)port;
    /* Whoever binds looks once: what was sent before is not lost. */
    evtchn_2l_set_pending(ld, (uint32_t)port);
    op->local_port = (uint32_t)port;
    return 0;
}

static long op_bind_virq(const struct hv_call *c, void *arg)
{
    struct evtchn_bind_virq *op = arg;
    struct hv_domain *d = c->d;
    int port;

    if (op->virq >= NR_VIRQS)
        return -EINVAL;
    if (!virq_is_per_vcpu(op->virq) && op->vcpu != 0)
        return -EINVAL;
    if (!vcpu_exists(op->vcpu))
        return -ENOENT;
    if (c->hv->profile->global_virq_needs_handler && !virq_fires_for(d, op->virq))
        return -EBUSY;
    if (d->evtchns.virq_to_port[op->virq])
        return -EEXIST;
    port = get_free_port(d);
    if (port < 0)
        return port;
    bind_port(d, (uint32_t)port, (struct evtchn){ .state = ECS_VIRQ, .virq = op->virq, .notify_vcpu = op->vcpu });
    d->evtchns.virq_to_port[op->virq] = (uint32_t)port;
    op->port = (uint32_t)port;
    return 0;
}

/* No physical interrupts: a machine where a domain's number of them is 0. */
static long op_bind_pirq(const struct hv_call *c, void *arg)
{
    (void)c;
    (void)arg;
    return -EINVAL;
}

static long op_bind_ipi(const struct hv_call *c, void *arg)
{
    struct evtchn_bind_ipi *op = arg;
    int port;

    if (!vcpu_exists(op->vcpu))
        return -ENOENT;
    port = get_free_port(c->d);
    if (port < 0)
        return port;
    bind_port(c->d, (uint32_t)port, (struct evtchn){ .state = ECS_IPI, .notify_vcpu = op->vcpu });
    op->port = (uint32_t)port;
    return 0;
}

static long op_close(const struct hv_call *c, void *arg)
{
    return guest_close_port(c->d, ((struct evtchn_close *)arg)->port);
}

static long op_send(const struct hv_call *c, void *arg)
{
    uint32_t port = ((struct evtchn_send *)arg)->port;
    const struct evtchn *chn;
    struct hv_domain *rd;

    if (!port_is_valid(&c->d->evtchns, port))
        return -EINVAL;
    chn = evtchn(&c->d->evtchns, port);
    if (chn->consumer)
        return -EINVAL;
    switch ((enum evtchn_state)chn->state) {
    case ECS_INTERDOMAIN:
        rd = domain_lookup(c->hv, chn->remote_dom);
        assert(rd);
        deliver(rd, chn->remote_port);
        return 0;
    case ECS_IPI:
        evtchn_2l_set_pending(c->d, port);
        return 0;
    case ECS_UNBOUND:  /* nobody there yet, or not any more */
        if (c->hv->hooks.unheard)
            c->hv->hooks.unheard(c->hv->hook_ctx, c->d->id, port);
        return 0;
    case ECS_FREE:
    case ECS_RESERVED:
    case ECS_VIRQ:
        break;
    }
    return -EINVAL;
}

int hv_port_alloc(struct hv *hv, domid_t dom, domid_t remote, uint32_t *port)
{
    struct hv_domain *d = domain_lookup(hv, dom);
    int rc = d ? get_free_port(d) : -ESRCH;

    if (rc < 0)
        return rc;
    *port = (uint32_t)rc;
    bind_port(d, *port, (struct evtchn){ .state = ECS_UNBOUND, .remote_dom = remote });
    return 0;
}

int hv_port_raise(struct hv *hv, domid_t dom, uint32_t port)
{
    struct hv_domain *d = domain_lookup(hv, dom);

    if (!d)
        return -ESRCH;
    if (!port_is_valid(&d->evtchns, port) || evtchn(&d->evtchns, port)->state != ECS_UNBOUND)
        return -EINVAL;
    evtchn_2l_set_pending(d, port);
    return 0;
}

static long op_status(const struct hv_call *c, void *arg)
{
    static const uint32_t public_state[] = {
        [ECS_FREE] = EVTCHNSTAT_closed, [ECS_RESERVED] = EVTCHNSTAT_closed, [ECS_UNBOUND] = EVTCHNSTAT_unbound,
        [ECS_INTERDOMAIN] = EVTCHNSTAT_interdomain, [ECS_VIRQ] = EVTCHNSTAT_virq, [ECS_IPI] = EVTCHNSTAT_ipi,
    };
    struct evtchn_status *op = arg;
    struct hv_domain *d = domain_lookup_any(c->d, op->dom);
    const struct evtchn *chn;

    if (!d)
        return -ESRCH;
    if (!port_is_valid(&d->evtchns, op->port))
        return -EINVAL;
    if (!domain_may_control(c->d, d))
        return -EPERM;
    chn = evtchn(&d->evtchns, op->port);
    if (chn->consumer)
        return -EACCES;
    op->status = public_state[chn->state];
    op->vcpu = chn->notify_vcpu;
    if (chn->state == ECS_UNBOUND) {
        op->u.unbound.dom = chn->remote_dom;
    } else if (chn->state == ECS_INTERDOMAIN) {
        op->u.interdomain.dom = chn->remote_dom;
        op->u.interdomain.port = chn->remote_port;
    } else if (chn->state == ECS_VIRQ) {
        op->u.virq = chn->virq;
    }
    return 0;
}

static long op_bind_vcpu(const struct hv_call *c, void *arg)
{
    const struct evtchn_bind_vcpu *op = arg;
    struct evtchn *chn;

    if (!vcpu_exists(op->vcpu))
        return -ENOENT;
    if (!port_is_valid(&c->d->evtchns, op->port))
        return -EINVAL;
    chn = evtchn(&c->d->evtchns, op->port);
    if (chn->consumer)
        return -EINVAL;
    if (chn->state != ECS_UNBOUND && chn->state != ECS_INTERDOMAIN &&
        !(chn->state == ECS_VIRQ && !virq_is_per_vcpu(chn->virq)))
        return -EINVAL;
    chn->notify_vcpu = op->vcpu;
    return 0;
}

static long op_unmask(const struct hv_call *c, void *arg)
{
    uint32_t port = ((struct evtchn_unmask *)arg)->port;

    if (!port_is_valid(&c->d->evtchns, port))
        return -EINVAL;
    if (evtchn(&c->d->evtchns, port)->consumer)
        return -EINVAL;
    if (evtchn(&c->d->evtchns, port)->state > ECS_RESERVED)
        evtchn_2l_unmask(c->d, port);
    return 0;
}

static long may_reset(const struct hv_call *c, const struct evtchn_reset *op)
{
    const struct hv_domain *d = domain_lookup_any(c->d, op->dom);

    if (!d)
        return -ESRCH;
    if (!domain_may_control(c->d, d))
        return -EPERM;
    /* A foreign domain must be paused by its controller, which is not modelled: none ever is. */
    return d == c->d ? 0 : -EINVAL;
}

static long op_reset(const struct hv_call *c, void *arg)
{
    long rc = may_reset(c, arg);

    for (uint32_t port = 1; !rc && port_is_valid(&c->d->evtchns, port); port++)
        guest_close_port(c->d, port);
    return rc;
}

/* What an interrupted reset becomes on its way back into the hypervisor. Here none is ever interrupted. */
static long op_reset_cont(const struct hv_call *c, void *arg)
{
    long rc = may_reset(c, arg);

    return rc ? rc : -EBUSY;
}

/* FIFO event channels are not there: as on a hypervisor that only knows two levels. */
static long op_fifo(const struct hv_call *c, void *arg)
{
    (void)c;
    (void)arg;
    return -ENOSYS;
}

static long op_set_priority(const struct hv_call *c, void *arg)
{
    return port_is_valid(&c->d->evtchns, ((struct evtchn_set_priority *)arg)->port) ? -ENOSYS : -EINVAL;
}

static const struct {
    long (*handler)(const struct hv_call *c, void *arg);
    size_t size;
    bool copy_back;
} evtchn_ops[] = {
#define ROW(op, flags, handler, ...) \
    [EVTCHNOP_##op] = { op_##handler, sizeof(struct evtchn_##op), (flags) & HV_OP_OUT },
    HV_EVTCHN_OPS(ROW)
#undef ROW
    [RESET_CONT] = { op_reset_cont, sizeof(struct evtchn_reset), false },
};

long evtchn_hypercall(struct hv_call *c, const uint64_t args[5])
{
    unsigned cmd = (unsigned)args[0];
    union {
        uint64_t align;
#define ROW(op, ...) struct evtchn_##op op;
        HV_EVTCHN_OPS(ROW)
#undef ROW
    } arg = { .align = 0 };
    size_t size;
    long rc;

    if (cmd >= sizeof evtchn_ops / sizeof *evtchn_ops)
        return -ENOSYS;
    size = evtchn_ops[cmd].size;
    if (call_from_guest(c, &arg, args[1], size))
        return -EFAULT;
    rc = evtchn_ops[cmd].handler(c, &arg);
    hook_call_done(c, &arg, size, rc);
    /* A fault here does not undo anything: the port stays. */
    if (!rc && evtchn_ops[cmd].copy_back && call_to_guest(c, args[1], &arg, size))
        rc = -EFAULT;
    return rc;
}
