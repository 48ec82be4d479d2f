/* SPDX-License-Identifier: MIT */
/*
 * What a store's daemon in domain 0 needs of its own kernel: the kernel's ring page and port, as
 * /dev/xen/xenbus_backend and as the files xsd_kva and xsd_port of /proc/xen. Beside them is
 * /proc/xen/capabilities, by which scripts know domain 0.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <gntsim/ioctls.h>

#include "ioctls_i.h"
#include "kernel_i.h"
#include "xenbus_i.h"

/* Where a kernel has all memory; the address is for people, since nobody can use it. */
#define DIRECT_MAP 0xffff888000000000ull

/* NULL: there is none, or its page is not the domain's any more. */
static struct xenbus *connection(const struct kernel *k)
{
    return xenbus_ring(k) ? k->xenbus : NULL;
}

/* ---- The page -------------------------------------------------------------------------------- */

/* It is no page that a kernel counts references to. */
static const struct vma_ops page_vma_ops = { .unmap = NULL };

static uint64_t page_mfn(const void *ctx, uint64_t i)
{
    const struct xenbus *bus = ctx;

    return bus->mfn + i;
}

static long page_mmap(struct file *file, struct vma *vma, struct kreq *req)
{
    const struct xenbus *bus = connection(file->kernel);

    (void)req;
    if (vma->nr_pages != 1 || vma->pgoff)
        return -EINVAL;
    if (!bus)
        return -EAGAIN;
    if (vma_set_runs(vma, page_mfn, bus))
        return -ENOMEM;
    vma->map_prot = vma->prot;
    vma->may_write = true;
    vma->is_private = !vma->shared && vma->prot & PROT_WRITE;
    vma->ops = &page_vma_ops;
    return 0;
}

/* ---- /dev/xen/xenbus_backend ----------------------------------------------------------------- */

static long ioctl_evtchn(struct file *file, uint64_t arg, struct kreq *req)
{
    const struct xenbus *bus = connection(file->kernel);

    (void)arg;
    (void)req;
    return bus ? (long)bus->handler.port : -ENODEV;
}

/* The store is to be another domain's: it gets the page, and a port of its own. */
static long ioctl_setup(struct file *file, uint64_t arg, struct kreq *req)
{
    struct kernel *k = file->kernel;
    struct xenbus *bus = connection(k);
    struct evtchn_alloc_unbound alloc = { .dom = DOMID_SELF, .remote_dom = (domid_t)arg };
    uint64_t frame;
    long rc;

    (void)req;
    if (!bus)
        return -ENODEV;
    if (bus->heard)
        return -EEXIST;
    rc = hv_grant_frame_number(k->hv, k->domid, bus->gfn, &frame);
    if (rc)
        return rc;
    grant_entry_write(k, GNTTAB_RESERVED_XENSTORE, (domid_t)arg, frame, GTF_permit_access);
    rc = kernel_event_channel_op(k, EVTCHNOP_alloc_unbound, &alloc);
    if (!rc)
        rc = xenbus_move(k, alloc.port);
    return rc ? rc : (long)alloc.port;
}

static const struct ioctl_handler handlers[] = {
#define ROW(name, handler, ...) { IOCTL_XENBUS_BACKEND_##name, handler },
    KERNEL_XENBUS_BACKEND_IOCTLS(ROW)
#undef ROW
};

static long backend_ioctl(struct file *file, unsigned cmd, uint64_t arg, struct kreq *req)
{
    return ioctl_dispatch(handlers, sizeof handlers / sizeof *handlers, file, cmd, arg, req,
                          -ENOTTY);
}

static const struct chardev_ops backend_ops = {
    .ioctl = backend_ioctl,
    .mmap = page_mmap,
};

const struct chardev xenbus_backend_chardev = {
    .name = "xenbus_backend", .initial_only = true, .ops = &backend_ops
};

/* ---- Files of text --------------------------------------------------------------------------- */

struct text {
    size_t size, done;
    char bytes[32];
};

static int text_open(struct file *file, const char *bytes)
{
    struct text *text = calloc(1, sizeof *text);

    if (!text)
        return -ENOMEM;
    text->size = (size_t)snprintf(text->bytes, sizeof text->bytes, "%s", bytes);
    file->priv = text;
    return 0;
}

static void text_release(struct file *file)
{
    free(file->priv);
}

static long text_read(struct file *file, void *buf, size_t size, struct kreq *req)
{
    struct text *text = file->priv;
    size_t n = text->size - text->done < size ? text->size - text->done : size;

    (void)req;
    memcpy(buf, text->bytes + text->done, n);
    text->done += n;
    return (long)n;
}

static int kva_open(struct file *file)
{
    const struct xenbus *bus = connection(file->kernel);
    char bytes[32];

    snprintf(bytes, sizeof bytes, "0x%" PRIx64,
             bus ? (uint64_t)(DIRECT_MAP + bus->gfn * PAGE_SIZE) : 0);
    return text_open(file, bytes);
}

static int port_open(struct file *file)
{
    const struct xenbus *bus = connection(file->kernel);
    char bytes[32];

    snprintf(bytes, sizeof bytes, "%u", bus ? bus->handler.port : 0);
    return text_open(file, bytes);
}

static int capabilities_open(struct file *file)
{
    return text_open(file, file->kernel->privileged ? "control_d\n" : "");
}

static const struct chardev_ops kva_ops = {
    .open = kva_open, .release = text_release, .read = text_read, .mmap = page_mmap
};
static const struct chardev_ops port_ops = {
    .open = port_open, .release = text_release, .read = text_read
};
static const struct chardev_ops capabilities_ops = {
    .open = capabilities_open, .release = text_release, .read = text_read
};

const struct chardev xsd_kva_chardev = {
    .name = "xsd_kva", .stream = true, .place = CHARDEV_IN_PROC, .initial_only = true,
    .ops = &kva_ops
};
const struct chardev xsd_port_chardev = {
    .name = "xsd_port", .stream = true, .place = CHARDEV_IN_PROC, .initial_only = true,
    .ops = &port_ops
};
const struct chardev capabilities_chardev = {
    .name = "capabilities", .stream = true, .place = CHARDEV_IN_PROC, .mode = 0444,
    .ops = &capabilities_ops
};
