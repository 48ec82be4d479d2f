/* SPDX-License-Identifier: MIT */
/* Notices that access to a page ends while another domain still has it mapped. */
#include <gntsim/ioctls.h>
#include <xen/sys/gntdev.h>

#include "calls_i.h"

/* Access to references of a domain has ended. */
struct revoked {
    domid_t domid;
    const struct grant *grants;
    uint32_t nr;
    struct event when;
};

static void mark_late(void *ctx, struct item *item)
{
    const struct revoked *revoked = ctx;

    if (item->key.type != ITEM_SLOT || !item->views || item->notifies || item_had(item, TURN_LATE))
        return;
    for (uint32_t i = 0; i < revoked->nr; i++)
        if (item_grants(item, revoked->domid, revoked->grants[i].ref))
            item_note(item, TURN_LATE, &revoked->when);
}

struct others {
    const struct item *item;
    bool some, notify;
};

static void look_at_other(void *ctx, struct item *other)
{
    struct others *others = ctx;

    if (other->key.type != ITEM_SHARE || other->process != others->item->process ||
        !other->grants || other->grants[0].domid != others->item->grants[0].domid)
        return;
    others->some |= other != others->item;
    others->notify |= other->notifies;
}

/* Whether a share ends while others of its process with the same peer go on. The last one, as a
 * ring's, may end first at the end of both. So may all, where a notification tells the peer. */
static bool in_midlife(struct checks *checks, const struct item *item)
{
    struct others others = { .item = item };

    ledger_each(&checks->ledger, look_at_other, &others);
    return others.some && !others.notify && !item->notifies;
}

void late_share_ended(struct checks *checks, const struct item *item, const struct event *when)
{
    struct revoked revoked = { item->domid, item->grants, item->count, *when };

    if (item->grants && in_midlife(checks, item))
        ledger_each(&checks->ledger, mark_late, &revoked);
}

void calls_access_ended(struct domain *d, grant_ref_t ref)
{
    struct checks *checks = checks_of(d->machine);
    struct grant grant = { ref, d->id };
    struct revoked revoked = { d->id, &grant, 1, event_now(checks, NULL) };

    ledger_each(&checks->ledger, mark_late, &revoked);
}

/* The end of a mapping, or of a share, will be told to the peer. */
void late_notify_over(struct checks *checks, struct call *call, long result)
{
    struct ioctl_gntdev_unmap_notify *op = (void *)call->head;
    struct item *item, *next;

    if (result || !op->action)
        return;
    HASH_ITER(hh, checks->ledger.live, item, next)
        if (item->key.domain == call->key.domain && item->key.file == call->file &&
            op->index >= item->key.number && op->index - item->key.number < item_length(item))
            item->notifies = true;
}
