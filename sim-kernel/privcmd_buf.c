/* SPDX-License-Identifier: MIT */
/*
 * /dev/xen/hypercall: memory for the arguments of a process's hypercalls. It is the kernel's, so
 * that it is always there, and a forked child shares it.
 */
#include "privcmd_i.h"

#include <stdlib.h>

/* Pages of one mapping: more than any argument needs. */
#define MAX_PAGES 4096u

struct buffer {
    uint64_t nr;
    struct kernel_page *pages[];
};

static void buffer_free(struct kernel *k, struct buffer *b)
{
    for (uint64_t i = 0; i < b->nr; i++)
        kernel_page_put(k, b->pages[i]);
    free(b);
}

static void buffer_close(struct vma *vma)
{
    buffer_free(vma->file->kernel, vma->priv);
}

static void buffer_unpin(struct kernel_pin *pin)
{
    kernel_page_put(pin->k, pin->obj);
}

static int buffer_pin(struct vma *vma, uint64_t page, struct kernel_pin *pin)
{
    const struct buffer *b = vma->priv;

    pin->obj = b->pages[page];
    pin->unpin = buffer_unpin;
    kernel_page_get(pin->obj);
    return 0;
}

static const struct vma_ops buffer_vma_ops = {
    .close = buffer_close,
    .pin = buffer_pin,
};

static uint64_t page_mfn(const void *ctx, uint64_t i)
{
    const struct buffer *b = ctx;

    return kernel_page_mfn(b->pages[i]);
}

static long buffer_mmap(struct file *file, struct vma *vma, struct kreq *req)
{
    struct buffer *b;

    (void)req;
    if (!vma->shared)
        return -EINVAL;
    if (vma->nr_pages > MAX_PAGES)
        return -ENOMEM;
    b = calloc(1, sizeof *b + vma->nr_pages * sizeof *b->pages);
    if (!b)
        return -ENOMEM;
    if (kernel_pages_alloc(file->kernel, vma->nr_pages, b->pages)) {
        free(b);
        return -ENOMEM;
    }
    b->nr = vma->nr_pages;
    if (vma_set_runs(vma, page_mfn, b)) {
        buffer_free(file->kernel, b);
        return -ENOMEM;
    }
    vma->map_prot = vma->prot;
    vma->may_write = true;
    vma->own = true;
    vma->dont_copy = false;
    vma->ops = &buffer_vma_ops;
    vma->priv = b;
    return 0;
}

static const struct chardev_ops buffer_ops = { .mmap = buffer_mmap };

const struct chardev hypercall_chardev = { .name = "hypercall", .ops = &buffer_ops };
