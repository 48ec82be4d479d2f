/* SPDX-License-Identifier: MIT */
/* Calls that the kernel answers later, and access to their callers' memory. */
#include "kernel_i.h"

#include <assert.h>
#include <string.h>

static void unlink_request(struct kreq *req)
{
    DL_DELETE(req->kernel->requests, req);
    req->prev = req->next = NULL;
}

void kreq_restart(struct kreq *req)
{
    unlink_request(req);
    req->kernel = NULL;
    req->abort = NULL;
    req->interruptible = false;
    req->driver = NULL;
    req->in_call = true;
    req->completed = false;
}

void kreq_adopt(struct kernel *k, struct kreq *req)
{
    req->kernel = k;
    DL_PREPEND(k->requests, req);
}

long kreq_pend(struct kernel *k, struct kreq *req, bool interruptible,
               void (*abort)(struct kreq *, long), void *driver)
{
    assert(!req->kernel && !k->dead);
    assert(!interruptible || abort);
    req->kernel = k;
    req->interruptible = interruptible;
    req->abort = abort;
    req->driver = driver;
    DL_APPEND(k->requests, req);
    return KERNEL_PENDING;
}

void kreq_complete(struct kreq *req, long result)
{
    struct kernel *k = req->kernel;

    assert(k && req->prev);
    unlink_request(req);
    req->interruptible = false;
    req->result = result;
    if (req->in_call) {
        req->completed = true;
        req->kernel = NULL;
        return;
    }
    DL_APPEND(k->completed, req);
}

void kernel_cancel(struct kreq *req)
{
    struct kernel_point point = { .op = KERNEL_CANCEL, .args = { req->point.call } };
    struct kernel *k = req->kernel;

    if (!k || !req->interruptible)
        return;
    kernel_enter(k);
    point_enter(k, &point);
    req->abort(req, -EINTR);
    point_done(k, &point, 0);
    kernel_leave(k);
}

/*
 * Whatever waits for the end of a call would wait for this process's memory, so it is done first;
 * and calls that come in between are outermost calls of their own.
 */
struct stepped {
    unsigned depth;
    struct kernel_point *current;
};

static struct stepped step_out(struct kernel *k)
{
    struct stepped was;

    kernel_enter(k);
    was = (struct stepped){ k->depth - 1, k->current };
    k->depth = 1;
    kernel_leave(k);
    k->depth = 0;
    k->current = NULL;
    return was;
}

static int step_in(struct kernel *k, struct stepped was, int rc)
{
    k->depth = was.depth;
    k->current = was.current;
    kernel_notice_death(k);
    if (k->dead)
        return -ENODEV;
    return rc ? -EFAULT : 0;
}

static void tell(struct kernel *k, const struct kreq *req, enum kernel_user op, uint64_t addr,
                 const void *data, size_t size, const struct vma *vma, int rc)
{
    const struct kernel_hooks *hooks = k->config.hooks;

    if (hooks && hooks->user)
        hooks->user(k->config.ctx, &req->point, op, addr, data, size, vma, rc);
}

int user_read(struct kernel *k, const struct kreq *req, void *to, uint64_t from, size_t size)
{
    struct stepped was = step_out(k);
    int rc = req->mem.ops->read(req->mem.ctx, to, from, size);

    tell(k, req, KERNEL_USER_READ, from, to, size, NULL, rc);
    return step_in(k, was, rc);
}

int user_write(struct kernel *k, const struct kreq *req, uint64_t to, const void *from, size_t size)
{
    struct stepped was = step_out(k);
    int rc = req->mem.ops->write(req->mem.ctx, to, from, size);

    tell(k, req, KERNEL_USER_WRITE, to, from, size, NULL, rc);
    return step_in(k, was, rc);
}

int user_find_vma(struct kernel *k, const struct kreq *req, uint64_t addr, struct vma **vma)
{
    struct stepped was = step_out(k);

    *vma = req->mem.ops->find_vma ? req->mem.ops->find_vma(req->mem.ctx, addr) : NULL;
    tell(k, req, KERNEL_USER_FIND_VMA, addr, NULL, 0, *vma, 0);
    return step_in(k, was, 0);
}

int user_vma_at(struct kernel *k, const struct kreq *req, uint64_t addr, struct vma **vma,
                uint64_t *page)
{
    struct stepped was = step_out(k);

    *vma = req->mem.ops->vma_at ? req->mem.ops->vma_at(req->mem.ctx, addr, page) : NULL;
    tell(k, req, KERNEL_USER_VMA_AT, addr, page, sizeof *page, *vma, 0);
    return step_in(k, was, 0);
}

/* ---- A caller in this very process ----------------------------------------------------------- */

/* Below is the page that holds NULL, above nothing that a program can have. */
#define USER_START 4096u
#define USER_END (1ull << 47)

static bool is_user(uint64_t addr, size_t size)
{
    return addr >= USER_START && addr < USER_END && size <= USER_END - addr;
}

static int plain_read(void *ctx, void *to, uint64_t from, size_t size)
{
    (void)ctx;
    if (!is_user(from, size))
        return -EFAULT;
    memcpy(to, (const void *)(uintptr_t)from, size);
    return 0;
}

static int plain_write(void *ctx, uint64_t to, const void *from, size_t size)
{
    (void)ctx;
    if (!is_user(to, size))
        return -EFAULT;
    memcpy((void *)(uintptr_t)to, from, size);
    return 0;
}

static const struct user_memory_ops plain_ops = {
    .read = plain_read,
    .write = plain_write,
};

const struct user_memory user_memory_plain = { &plain_ops, NULL };
