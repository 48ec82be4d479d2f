/* SPDX-License-Identifier: MIT */
/* The unmap notification of both sides: at a mapping's end, clear a byte and send an event. */
#include "handle_i.h"

#include <assert.h>

#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>

static_assert(IOCTL_GNTDEV_SET_UNMAP_NOTIFY == IOCTL_GNTALLOC_SET_UNMAP_NOTIFY,
              "one number for both devices");
static_assert(sizeof(struct ioctl_gntdev_unmap_notify) ==
                  sizeof(struct ioctl_gntalloc_unmap_notify),
              "one layout for both devices");

int gnt_set_unmap_notify(struct xengntdev_handle *h, uint64_t index, size_t length,
                         uint32_t notify_offset, evtchn_port_t notify_port)
{
    struct ioctl_gntdev_unmap_notify notify = { .index = index };
    int rc;

    /* An offset beyond the mapping is dropped without a word: "none" is the largest of them. */
    if (notify_offset < length) {
        notify.index += notify_offset;
        notify.action |= UNMAP_NOTIFY_CLEAR_BYTE;
    }
    if (notify_port != GNT_NO_NOTIFY) {
        notify.event_channel_port = notify_port;
        notify.action |= UNMAP_NOTIFY_SEND_EVENT;
    }
    if (!notify.action)
        return 0;

    rc = h->backend->ioctl(h, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &notify);
    if (rc)
        gnt_error(h, "ioctl SET_UNMAP_NOTIFY failed");
    return rc;
}
