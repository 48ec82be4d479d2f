/* SPDX-License-Identifier: MIT */
/* Audits event channels: pairs, virqs and the counts of free ports. */
#include "audit_i.h"

static void check_pair(struct hv_audit *a, const struct hv_domain *d, uint32_t port)
{
    const struct evtchn *chn = evtchn(&d->evtchns, port), *peer = NULL;
    const struct hv_domain *rd = domain_lookup(a->hv, chn->remote_dom);

    if (rd && port_is_valid(&rd->evtchns, chn->remote_port))
        peer = evtchn(&rd->evtchns, chn->remote_port);
    if (!peer || peer->state != ECS_INTERDOMAIN || peer->remote_dom != d->id ||
        peer->remote_port != port)
        audit_report(a, "d%u: port %u is bound to port %u of d%u, which is not bound to it", d->id,
                     port, chn->remote_port, chn->remote_dom);
}

void audit_evtchns(struct hv_audit *a, const struct hv_domain *d)
{
    const struct evtchns *ev = &d->evtchns;
    unsigned in_use = 0;

    for (uint32_t port = 1; port_is_valid(ev, port); port++) {
        const struct evtchn *chn = evtchn(ev, port);

        if (chn->state == ECS_FREE) {
            if (port < ev->lowest)
                audit_report(a, "d%u: port %u is free, but below the lowest free one", d->id, port);
            continue;
        }
        in_use++;
        if (domain_dying(d))
            audit_report(a, "d%u: dying, but port %u is open", d->id, port);
        if (chn->state == ECS_INTERDOMAIN)
            check_pair(a, d, port);
        else if (chn->state == ECS_VIRQ &&
                 (chn->virq >= NR_VIRQS || ev->virq_to_port[chn->virq] != port))
            audit_report(a, "d%u: port %u is bound to virq %u, which goes elsewhere", d->id, port,
                         chn->virq);
    }
    for (unsigned virq = 0; virq < NR_VIRQS; virq++) {
        uint32_t port = ev->virq_to_port[virq];

        if (port && (!port_is_valid(ev, port) || evtchn(ev, port)->state != ECS_VIRQ ||
                     evtchn(ev, port)->virq != virq))
            audit_report(a, "d%u: virq %u goes to port %u, which is not bound to it", d->id, virq,
                         port);
    }
    if (in_use != ev->in_use)
        audit_report(a, "d%u: %u ports are open, %u are counted", d->id, in_use, ev->in_use);
}
