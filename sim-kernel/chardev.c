/* SPDX-License-Identifier: MIT */
/* Wraps the devices' operations with the VFS's checks. */
#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel_i.h"
#include "privcmd_i.h"
#include "xenbus_i.h"

/* As much address space as a process has. */
#define TASK_SIZE ((1ull << 47) - PAGE_SIZE)

const struct chardev *const kernel_chardevs[] = {
    &gntdev_chardev,
    &gntalloc_chardev,
    &evtchn_chardev,
    &privcmd_chardev,
    &hypercall_chardev,
    &xenbus_chardev,
    &xenbus_backend_chardev,
    &xsd_kva_chardev,
    &xsd_port_chardev,
    &capabilities_chardev,
    NULL,
};

const struct chardev *kernel_chardev_find(const char *name)
{
    for (const struct chardev *const *dev = kernel_chardevs; *dev; dev++)
        if (!strcmp((*dev)->name, name))
            return *dev;
    return NULL;
}

bool kernel_has_chardev(const struct kernel *k, const struct chardev *dev, bool in_proc)
{
    enum chardev_place elsewhere = in_proc ? CHARDEV_IN_DEV : CHARDEV_IN_PROC;

    return dev->place != elsewhere && (k->privileged || !dev->initial_only);
}

/* ---- Open and close --------------------------------------------------------------------------- */

static bool may_read(const struct file *file)
{
    return (file->flags & O_ACCMODE) != O_WRONLY;
}

static bool may_write(const struct file *file)
{
    return (file->flags & O_ACCMODE) != O_RDONLY;
}

/* A call that is not a request: 0, or what it fails with. */
static int may_go_on(struct kernel *k, struct kernel_point *point)
{
    struct kernel_verdict verdict;

    if (k->dead)
        return -ENODEV;
    verdict = point_inject(k, point);
    if (k->dead)
        return -ENODEV;
    return verdict.action == KERNEL_FAIL ? (int)verdict.value : 0;
}

int kernel_open(struct kernel *k, const struct chardev *dev, unsigned flags, struct file **out)
{
    struct file *file = calloc(1, sizeof *file);
    struct kernel_point point;
    int rc = -ENOMEM;

    if (dev->initial_only && !k->privileged) {
        free(file);
        return -ENOENT;
    }
    if (!file)
        return rc;
    file->dev = dev;
    file->kernel = k;
    file->flags = flags & (O_ACCMODE | O_NONBLOCK);
    file->id = ++k->last_file;
    point = (struct kernel_point){ .op = KERNEL_OPEN, .dev = dev, .file = file->id, .args = { flags } };
    kernel_enter(k);
    point_enter(k, &point);
    rc = may_go_on(k, &point);
    if (!rc && dev->ops->open)
        rc = dev->ops->open(file);
    if (rc) {
        free(file);
        goto out;
    }
    DL_PREPEND(k->files, file);
    *out = file;
out:
    point_done(k, &point, rc);
    kernel_leave(k);
    return rc;
}

void kernel_file_close(struct file *file)
{
    struct kernel_point point = { .op = KERNEL_RELEASE, .dev = file->dev, .file = file->id };
    struct kernel *k = file->kernel;

    if (k) {
        kernel_enter(k);
        point_enter(k, &point);
        point_inject(k, &point);
    }
    if (file->dev->ops->release)
        file->dev->ops->release(file);
    if (file->kernel)
        DL_DELETE(file->kernel->files, file);
    free(file);
    if (k) {
        point_done(k, &point, 0);
        kernel_leave(k);
    }
}

/* ---- Calls that may be answered later --------------------------------------------------------- */

static void begin(struct file *file, struct kreq *req, enum kernel_op op)
{
    struct kernel *k = file->kernel;

    assert(req && req->done);
    req->kernel = NULL;
    req->abort = NULL;
    req->interruptible = false;
    req->in_call = true;
    req->completed = false;
    req->vma = NULL;
    req->fill = (struct vma_fill){ .vma = NULL };
    req->driver = NULL;
    req->prev = req->next = NULL;
    req->file = file;
    req->buf = NULL;
    req->point = (struct kernel_point){ .op = op, .dev = file->dev, .file = file->id,
                                        .can_wait = op != KERNEL_READ || !(file->flags & O_NONBLOCK) };
    kernel_enter(k);
}

long kreq_call_driver(struct kreq *req)
{
    const uint64_t *args = req->point.args;
    struct file *file = req->file;
    const struct chardev_ops *ops = file->dev->ops;

    if (!file->kernel || file->kernel->dead)
        return -ENODEV;
    switch (req->point.op) {
    case KERNEL_IOCTL:
        return ops->ioctl ? ops->ioctl(file, (unsigned)args[0], args[1], req) : -ENOTTY;
    case KERNEL_MMAP:
        return ops->mmap(file, req->vma, req);
    default:
        return ops->read(file, req->buf, args[0], req);
    }
}

static long go(struct kernel *k, struct kreq *req)
{
    struct kernel_verdict verdict;
    long rc;

    if (k->dead)
        return -ENODEV;
    point_enter(k, &req->point);
    verdict = point_inject(k, &req->point);
    if (verdict.action == KERNEL_FAIL)
        rc = verdict.value;
    else if (verdict.action == KERNEL_HOLD && req->point.can_wait && !k->dead)
        rc = hold_before(k, req, &verdict);
    else
        rc = kreq_call_driver(req);
    if (rc != KERNEL_PENDING && req->point.hold)
        rc = hold_answer(k, req, rc);
    return rc;
}

/* A request that was answered before the call returned is not answered twice. */
static long end(struct kernel *k, struct kreq *req, long rc)
{
    if (rc == KERNEL_PENDING && req->completed)
        rc = req->result;
    if (k->current == &req->point)
        k->current = NULL;
    if (rc != KERNEL_PENDING && req->point.call)
        point_done(k, &req->point, rc);
    kernel_leave(k);
    req->in_call = false;
    return rc == KERNEL_PENDING && req->completed ? req->result : rc;
}

long kernel_ioctl(struct file *file, unsigned cmd, uint64_t arg, struct kreq *req)
{
    struct kernel *k = file->kernel;

    if (!k)
        return -ENODEV;
    begin(file, req, KERNEL_IOCTL);
    req->point.args[0] = cmd;
    req->point.args[1] = arg;
    return end(k, req, go(k, req));
}

long kernel_read(struct file *file, void *buf, size_t size, struct kreq *req)
{
    struct kernel *k = file->kernel;

    if (!k)
        return -ENODEV;
    if (!may_read(file))
        return -EBADF;
    if (!file->dev->ops->read)
        return -EINVAL;
    if (!size)
        return 0;
    begin(file, req, KERNEL_READ);
    req->point.args[0] = size;
    req->point.args[1] = !!(file->flags & O_NONBLOCK);
    req->buf = buf;
    return end(k, req, go(k, req));
}

long kernel_write(struct file *file, const void *buf, size_t size)
{
    struct kernel_point point = { .op = KERNEL_WRITE, .dev = file->dev, .file = file->id, .args = { size }, .data = buf, .size = size };
    struct kernel *k = file->kernel;
    long rc;

    if (!k)
        return -ENODEV;
    if (!may_write(file))
        return -EBADF;
    if (!file->dev->ops->write)
        return -EINVAL;
    if (!size)
        return 0;
    kernel_enter(k);
    point_enter(k, &point);
    rc = may_go_on(k, &point);
    if (!rc)
        rc = file->dev->ops->write(file, buf, size);
    point_done(k, &point, rc);
    kernel_leave(k);
    return rc;
}

unsigned kernel_poll(struct file *file)
{
    struct kernel_point point = { .op = KERNEL_POLL, .dev = file->dev, .file = file->id };
    unsigned events = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
    struct kernel *k = file->kernel;

    if (!k)
        return POLLERR | POLLHUP;
    kernel_enter(k);
    point_enter(k, &point);
    if (may_go_on(k, &point))
        events = POLLERR;
    else if (file->dev->ops->poll)
        events = file->dev->ops->poll(file);
    point_done(k, &point, events);
    kernel_leave(k);
    return events;
}

/* ---- mmap ------------------------------------------------------------------------------------- */

int vma_set_runs(struct vma *vma, uint64_t (*mfn)(const void *ctx, uint64_t i), const void *ctx)
{
    struct vma_run *runs = NULL, *bigger;
    size_t nr = 0, capacity = 0;

    for (uint64_t i = 0; i < vma->nr_pages; i++) {
        uint64_t frame = mfn(ctx, i);

        if (nr && (runs[nr - 1].mfn == HV_INVALID_MFN || frame == HV_INVALID_MFN ? runs[nr - 1].mfn == frame
                                                                                : runs[nr - 1].mfn + runs[nr - 1].nr == frame)) {
            runs[nr - 1].nr++;
            continue;
        }
        if (nr == capacity) {
            capacity = capacity ? capacity * 2 : 1;
            bigger = realloc(runs, capacity * sizeof *runs);
            if (!bigger) {
                free(runs);
                return -ENOMEM;
            }
            runs = bigger;
        }
        runs[nr++] = (struct vma_run){ frame, 1 };
    }
    vma->runs = runs;
    vma->nr_runs = nr;
    return 0;
}

static int check_mmap(const struct file *file, uint64_t offset, uint64_t length, unsigned prot, unsigned type)
{
    if (offset % PAGE_SIZE)
        return -EINVAL;
    if (!length)
        return -EINVAL;
    if (length > TASK_SIZE)
        return -ENOMEM;
    if (offset + ((length + PAGE_SIZE - 1) & PAGE_MASK) < offset)
        return -EOVERFLOW;
    if (type != MAP_SHARED && type != MAP_SHARED_VALIDATE && type != MAP_PRIVATE)
        return -EINVAL;
    if (type != MAP_PRIVATE && prot & PROT_WRITE && !may_write(file))
        return -EACCES;
    if (!may_read(file))
        return -EACCES;
    return file->dev->ops->mmap ? 0 : -ENODEV;
}

long kernel_mmap(struct file *file, uint64_t offset, uint64_t length, unsigned prot, unsigned mmap_flags,
                 struct vma **out, struct kreq *req)
{
    struct kernel *k = file->kernel;
    unsigned type = mmap_flags & MAP_TYPE;
    struct vma *vma;
    long rc;

    *out = NULL;
    if (!k)
        return -ENODEV;
    rc = check_mmap(file, offset, length, prot, type);
    if (rc)
        return rc;
    vma = calloc(1, sizeof *vma);
    if (!vma)
        return -ENOMEM;
    vma->file = file;
    vma->pgoff = offset >> PAGE_SHIFT;
    vma->nr_pages = (length + PAGE_SIZE - 1) >> PAGE_SHIFT;
    vma->prot = prot;
    vma->shared = type != MAP_PRIVATE && may_write(file);
    vma->id = ++k->last_vma;
    begin(file, req, KERNEL_MMAP);
    req->vma = vma;
    req->point.vma = vma->id;
    memcpy(req->point.args, (uint64_t[]){ offset, length, prot, mmap_flags }, sizeof req->point.args);
    rc = go(k, req);
    if (rc != KERNEL_PENDING)
        req->vma = NULL;
    rc = end(k, req, rc);
    if (rc == 0 || rc == KERNEL_PENDING) {
        *out = vma;
        return rc;
    }
    free(vma->runs);
    free(vma);
    return rc;
}

void kernel_vma_unmap(struct vma *vma, uint64_t first, uint64_t nr)
{
    struct kernel_point point = { .op = KERNEL_MUNMAP, .dev = vma->file->dev, .file = vma->file->id, .vma = vma->id,
                                  .args = { first, nr } };
    struct kernel *k = vma->file->kernel;

    assert(first <= vma->nr_pages && nr <= vma->nr_pages - first);
    if (!k || !nr)
        return;
    kernel_enter(k);
    point_enter(k, &point);
    point_inject(k, &point);
    if (vma->ops->unmap && vma->file->kernel)
        vma->ops->unmap(vma, first, nr);
    point_done(k, &point, 0);
    kernel_leave(k);
}

void kernel_vma_close(struct vma *vma)
{
    struct kernel_point point = { .op = KERNEL_VMA_CLOSE, .dev = vma->file->dev, .file = vma->file->id, .vma = vma->id };
    struct kernel *k = vma->file->kernel;

    if (k) {
        kernel_enter(k);
        point_enter(k, &point);
    }
    if (vma->ops->close)
        vma->ops->close(vma);
    free(vma->runs);
    free(vma);
    if (k) {
        point_done(k, &point, 0);
        kernel_leave(k);
    }
}

int kernel_vma_pin(struct vma *vma, uint64_t page, struct kernel_pin **out)
{
    struct kernel *k = vma->file->kernel;
    struct kernel_pin *pin;
    int rc;

    if (!k || k->dead)
        return -ENODEV;
    if (page >= vma->nr_pages || !vma->ops->pin)
        return -EFAULT;
    pin = calloc(1, sizeof *pin);
    if (!pin)
        return -ENOMEM;
    pin->k = k;
    pin->page = page;
    rc = vma->ops->pin(vma, page, pin);
    if (rc) {
        free(pin);
        return rc;
    }
    DL_PREPEND(k->pins, pin);
    *out = pin;
    return 0;
}

void kernel_unpin(struct kernel_pin *pin)
{
    pin->unpin(pin);
    if (pin->k)
        DL_DELETE(pin->k->pins, pin);
    free(pin);
}
