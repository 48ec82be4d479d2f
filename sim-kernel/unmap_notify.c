/* SPDX-License-Identifier: MIT */
/* Unmap notifications: the byte that is cleared, and the event that is sent. */
#include "unmap_notify_i.h"

#include <xen/sys/gntalloc.h>

#include "kernel_i.h"

int unmap_notify_init(struct kernel *k, struct unmap_notify *n, unsigned action,
                      evtchn_port_t port)
{
    *n = (struct unmap_notify){ .flags = action, .port = port };
    if (action & ~(unsigned)(UNMAP_NOTIFY_CLEAR_BYTE | UNMAP_NOTIFY_SEND_EVENT))
        return -EINVAL;
    n->holds_port = k->profile->notify_checks_port && action & UNMAP_NOTIFY_SEND_EVENT;
    return n->holds_port ? event_get(k, port) : 0;
}

void unmap_notify_replace(struct kernel *k, struct unmap_notify *n, const struct unmap_notify *by)
{
    unmap_notify_release(k, n);
    *n = *by;
}

void unmap_notify_release(struct kernel *k, struct unmap_notify *n)
{
    if (n->holds_port)
        event_put(k, n->port);
    n->holds_port = false;
}

static const struct kernel_verdict *verdict_of(struct kernel *k, struct unmap_notify *n)
{
    if (!n->asked)
        n->verdict = point_passed(k, KERNEL_NOTIFY, n->flags, n->port);
    n->asked = true;
    return &n->verdict;
}

bool unmap_notify_clears(struct kernel *k, struct unmap_notify *n)
{
    if (!(n->flags & UNMAP_NOTIFY_CLEAR_BYTE))
        return false;
    verdict_of(k, n);
    n->flags &= ~(unsigned)UNMAP_NOTIFY_CLEAR_BYTE;
    return n->verdict.action != KERNEL_DROP;
}

void unmap_notify_send(struct kernel *k, struct unmap_notify *n)
{
    if (!(n->flags & UNMAP_NOTIFY_SEND_EVENT))
        return;
    verdict_of(k, n);
    n->flags &= ~(unsigned)UNMAP_NOTIFY_SEND_EVENT;
    event_notify_as(k, n->port, &n->verdict);
    unmap_notify_release(k, n);
}
