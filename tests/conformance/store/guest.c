/* SPDX-License-Identifier: MIT */
/* The guest's end of a ring page, and what a connection has heard. */
#include <stdlib.h>
#include <string.h>

#include "side.h"

void heard_add(struct heard *heard, const void *bytes, size_t len)
{
    if (heard->room - heard->len < len) {
        heard->room = 2 * heard->room + len;
        heard->bytes = realloc(heard->bytes, heard->room);
        if (!heard->bytes)
            abort();
    }
    memcpy(heard->bytes + heard->len, bytes, len);
    heard->len += len;
}

void heard_clear(struct heard *heard)
{
    heard->len = 0;
    heard->closed = false;
}

bool guest_put(struct xenstore_domain_interface *ring, const void *bytes, size_t len)
{
    uint32_t cons = __atomic_load_n(&ring->req_cons, __ATOMIC_ACQUIRE), prod = ring->req_prod;

    if (prod - cons > XENSTORE_RING_SIZE || XENSTORE_RING_SIZE - (prod - cons) < len)
        return false;
    for (size_t i = 0; i < len; i++)
        ring->req[MASK_XENSTORE_IDX(prod++)] = ((const char *)bytes)[i];
    __atomic_store_n(&ring->req_prod, prod, __ATOMIC_RELEASE);
    return true;
}

bool guest_take(struct xenstore_domain_interface *ring, struct heard *heard)
{
    uint32_t prod = __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE), cons = ring->rsp_cons;
    bool some = prod != cons;

    for (; cons != prod; cons++)
        heard_add(heard, &ring->rsp[MASK_XENSTORE_IDX(cons)], 1);
    __atomic_store_n(&ring->rsp_cons, cons, __ATOMIC_RELEASE);
    return some;
}
