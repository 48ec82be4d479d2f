/* SPDX-License-Identifier: MIT */
/*
 * /dev/xen/privcmd: a process's hypercalls, device model operations and restriction. Mappings of
 * other domains' memory are in privcmd_map.c.
 */
#include "ioctls_i.h"
#include "privcmd_i.h"

#include <stdlib.h>

/* Module parameters dm_op_max_nr_bufs and dm_op_buf_max_size. */
#define DM_OP_MAX_BUFS 16u
#define DM_OP_MAX_BUF_SIZE 4096u

/* Nobody restricted the file; the domain that nobody is. */
#define UNRESTRICTED DOMID_INVALID
#define NO_TARGET ((domid_t)0x7fff)

struct privcmd_file {
    domid_t domid;
};

bool privcmd_is_denied(const struct file *file, domid_t domid)
{
    const struct privcmd_file *priv = file->priv;

    return priv->domid != UNRESTRICTED && priv->domid != domid;
}

static long ioctl_hypercall(struct file *file, uint64_t arg, struct kreq *req)
{
    const struct privcmd_file *priv = file->priv;
    privcmd_hypercall_t call;
    int rc;

    if (priv->domid != UNRESTRICTED)
        return -EPERM;
    rc = user_read(file->kernel, req, &call, arg, sizeof call);
    return rc ? rc : privcmd_hypercall(file->kernel, req, call.op, (const uint64_t *)call.arg);
}

static long ioctl_restrict(struct file *file, uint64_t arg, struct kreq *req)
{
    struct privcmd_file *priv = file->priv;
    domid_t domid;
    int rc = user_read(file->kernel, req, &domid, arg, sizeof domid);

    if (rc)
        return rc;
    if (priv->domid == UNRESTRICTED)
        priv->domid = domid;
    return priv->domid == domid ? 0 : -EINVAL;
}

/* A buffer of a page at most, which a real kernel would pin for reading and writing. */
static int touch(struct kernel *k, const struct kreq *req, uint64_t addr, size_t size)
{
    uint64_t ends[2] = { addr, addr + size - 1 };
    unsigned char byte;
    int rc = 0;

    for (unsigned i = 0; i < 2 && size && !rc; i++) {
        rc = user_read(k, req, &byte, ends[i], 1);
        if (!rc)
            rc = user_write(k, req, ends[i], &byte, 1);
    }
    return rc;
}

static long ioctl_dm_op(struct file *file, uint64_t arg, struct kreq *req)
{
    struct kernel *k = file->kernel;
    privcmd_dm_op_buf_t bufs[DM_OP_MAX_BUFS];
    privcmd_dm_op_t op;
    int rc = user_read(k, req, &op, arg, sizeof op);

    if (rc)
        return rc;
    if (privcmd_is_denied(file, op.dom))
        return -EPERM;
    /* How libxendevicemodel finds out that the ioctl exists. */
    if (op.num == 0)
        return 0;
    if (op.num > DM_OP_MAX_BUFS)
        return -E2BIG;
    rc = user_read(k, req, bufs, (uintptr_t)op.ubufs, op.num * sizeof *bufs);
    if (rc)
        return rc;
    for (unsigned i = 0; i < op.num; i++)
        if (bufs[i].size > DM_OP_MAX_BUF_SIZE)
            return -E2BIG;
    for (unsigned i = 0; i < op.num && !rc; i++)
        rc = touch(k, req, (uintptr_t)bufs[i].uptr, bufs[i].size);
    return rc ? rc : -EOPNOTSUPP;
}

/* ---- The rest -------------------------------------------------------------------------------- */

static long ioctl_no_eventfd(struct file *file, uint64_t arg, struct kreq *req)
{
    (void)file;
    (void)arg;
    (void)req;
    return -EOPNOTSUPP;
}

static long ioctl_pcidev_get_gsi(struct file *file, uint64_t arg, struct kreq *req)
{
    uint64_t op;
    int rc = user_read(file->kernel, req, &op, arg, sizeof op);

    return rc ? rc : -EINVAL;
}

static long privcmd_ioctl(struct file *file, unsigned cmd, uint64_t arg, struct kreq *req)
{
    static const struct ioctl_handler handlers[] = {
#define ROW(name, handler, ...) { IOCTL_PRIVCMD_##name, handler },
        KERNEL_PRIVCMD_IOCTLS(ROW)
#undef ROW
    };

    return ioctl_dispatch(handlers, sizeof handlers / sizeof *handlers, file, cmd, arg, req,
                          -ENOTTY);
}

static int privcmd_open(struct file *file)
{
    struct privcmd_file *priv = calloc(1, sizeof *priv);
    const struct kernel *k = file->kernel;

    if (!priv)
        return -ENOMEM;
    /* Only the initial domain's processes may do what they like, unless the kernel was booted so;
     * others may serve one target, and there is none. */
    priv->domid = k->profile->privcmd_restricted && !k->privileged && !k->unrestricted
                    ? NO_TARGET
                    : UNRESTRICTED;
    file->priv = priv;
    return 0;
}

static void privcmd_release(struct file *file)
{
    free(file->priv);
}

static const struct chardev_ops privcmd_ops = {
    .open = privcmd_open,
    .release = privcmd_release,
    .ioctl = privcmd_ioctl,
    .mmap = privcmd_mmap,
};

const struct chardev privcmd_chardev = {
    .name = "privcmd", .place = CHARDEV_IN_BOTH, .ops = &privcmd_ops
};
