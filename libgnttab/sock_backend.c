/* SPDX-License-Identifier: MIT */
/* The back end over a domain's socket. */
#include "handle_i.h"

#include <fcntl.h>
#include <stdlib.h>

#include <xen/sys/gntalloc.h>
#include <xen/sys/gntdev.h>

#include "sock_area_i.h"
#include "sock_client_i.h"
#include "sock_copy_i.h"
#include "sock_lost_i.h"
#include "sock_says_i.h"

static const struct {
    const char *name;
    int flags;                   /* as those of devfiles.c */
} devices[] = {
    [GNT_DEVICE_GNTDEV]   = { "gntdev", O_RDWR | O_CLOEXEC },
    [GNT_DEVICE_GNTALLOC] = { "gntalloc", O_RDWR },
};

/* Longer arguments are refused by any kernel for the count in their first bytes. */
#define MAX_ARGUMENT (SOCK_MAX_MESSAGE - 4096u)

/* How long an ioctl's argument is, where its number does not say. */
static size_t argument_size(unsigned long cmd, const void *arg)
{
    size_t fixed = _IOC_SIZE(cmd), size = fixed;

    if (cmd == IOCTL_GNTDEV_MAP_GRANT_REF)
        size = offsetof(struct ioctl_gntdev_map_grant_ref, refs) +
               (size_t)((const struct ioctl_gntdev_map_grant_ref *)arg)->count *
                   sizeof(struct ioctl_gntdev_grant_ref);
    else if (cmd == IOCTL_GNTALLOC_ALLOC_GREF)
        size = offsetof(struct ioctl_gntalloc_alloc_gref, gref_ids) +
               (size_t)((const struct ioctl_gntalloc_alloc_gref *)arg)->count * sizeof(uint32_t);
    return size < fixed || size > MAX_ARGUMENT ? fixed : size;
}

static int socket_open(struct xengntdev_handle *h, enum gnt_device device)
{
    struct sock_client *client = malloc(sizeof *client);
    int fd;

    if (!client)
        return -1;
    fd = sock_client_open(client, devices[device].name, devices[device].flags);
    if (fd < 0) {
        int saved_errno = errno;

        free(client);
        errno = saved_errno;
        return fd;
    }
    h->priv = client;
    /* Now: a program that changes its root later may find no /proc there. */
    if (device == GNT_DEVICE_GNTDEV)
        sock_client_maps(client);
    return fd;
}

static int socket_close(struct xengntdev_handle *h)
{
    int rc = sock_client_close(h->priv);

    free(h->priv);
    return rc;
}

static int socket_ioctl(struct xengntdev_handle *h, unsigned long cmd, void *arg)
{
    int rc = sock_client_ioctl(h->priv, cmd, arg, argument_size(cmd, arg));

    sock_lost_learn(h->priv);
    return rc;
}

/* The mmap part of a reply. Ends it. */
static void *take_mapping(struct sock_client *client, const struct sock_answer *answer,
                          size_t length)
{
    void *area = MAP_FAILED;

    if (answer->reply->mapped || !answer->reply->nr_runs)
        errno = -answer->reply->mapped;
    else if (answer->fd < 0)
        /* there was no room for the descriptor, which comes by itself only */
        errno = EMFILE;
    else
        area = sock_area_place(answer, length);
    sock_client_end(client);
    return area;
}

/* The device's mmap. It needs only the handle's descriptor, and nothing a sandbox may forbid. */
static void *map_handle(struct xengntdev_handle *h, size_t length, int prot, uint64_t index)
{
    return mmap(NULL, length, prot, MAP_SHARED, h->fd, (off_t)index);
}

/* As map_handle, after a reply whose descriptor the process had no room for. */
static void *map_again(struct xengntdev_handle *h, unsigned long cmd, void *arg,
                       const uint64_t *index, size_t length, int prot, int *requested)
{
    void *area = map_handle(h, length, prot, *index);

    if (area != MAP_FAILED || cmd != IOCTL_GNTDEV_MAP_GRANT_REF)
        return area;
    /* Most kernels map an index once only, and that was the reply's. */
    {
        struct ioctl_gntdev_unmap_grant_ref unmap = {
            .index = *index, .count = ((struct ioctl_gntdev_map_grant_ref *)arg)->count
        };

        socket_ioctl(h, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap);
    }
    *requested = ioctl(h->fd, cmd, arg);
    return *requested ? MAP_FAILED : map_handle(h, length, prot, *index);
}

static void *socket_mmap(struct xengntdev_handle *h, size_t length, int prot, uint64_t index)
{
    struct sock_mmap request = {
        .header.op = SOCK_MMAP, .offset = index, .length = length, .prot = (uint32_t)prot,
        .flags = MAP_SHARED
    };
    struct iovec part = { &request, sizeof request };
    struct sock_answer answer;

    if (!sock_client_begin(h->priv, &part, 1, &answer))
        return take_mapping(h->priv, &answer, length);
    return sock_client_is_forbidden(h->priv) ? map_handle(h, length, prot, index) : MAP_FAILED;
}

static void *socket_ioctl_mmap(struct xengntdev_handle *h, unsigned long cmd, void *arg,
                               const uint64_t *index, size_t length, int prot, int *requested)
{
    struct sock_client *client = h->priv;
    size_t size = argument_size(cmd, arg);
    struct {
        struct sock_ioctl_mmap both;
        struct sock_range range;
    } request = {
        .both = { .ioctl = { .header.op = SOCK_IOCTL_MMAP,
                             .arg = (uintptr_t)arg,
                             .cmd = (uint32_t)cmd,
                             .nr_ranges = 1 },
                  .index = (uintptr_t)index,
                  .length = length,
                  .prot = (uint32_t)prot,
                  .flags = MAP_SHARED },
        .range = { .addr = (uintptr_t)arg, .size = (uint32_t)size },
    };
    struct iovec parts[] = { { &request, sizeof request }, { arg, size } };
    struct sock_answer answer;
    void *area;

    *requested = -1;
    if (sock_client_begin(client, parts, 2, &answer)) {
        if (sock_client_is_forbidden(client))
            *requested = ioctl(h->fd, cmd, arg);
        return *requested ? MAP_FAILED : map_handle(h, length, prot, *index);
    }
    sock_answer_apply(&answer, arg, size);
    if (answer.reply->result >= 0) {
        *requested = 0;
        area = take_mapping(client, &answer, length);
        return area == MAP_FAILED && errno == EMFILE && client->is_known
                 ? map_again(h, cmd, arg, index, length, prot, requested)
                 : area;
    }
    errno = (int)-answer.reply->result;
    sock_client_end(client);
    return MAP_FAILED;
}

static int socket_get_offset_for_vaddr(struct xengntdev_handle *h,
                                       struct ioctl_gntdev_get_offset_for_vaddr *where)
{
    struct sock_client *client = h->priv;
    struct sock_area area;

    if (client->is_known && sock_client_maps(client) < 0)
        return ioctl(h->fd, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, where);
    if (!sock_area_find(client, where->vaddr, &area) || !area.is_gntdev) {
        sock_says(client, SOCK_SAY_UNMAPS, where->vaddr, SOCK_NO_INDEX);
        errno = EINVAL;
        return -1;
    }
    where->offset = area.offset;
    where->count = area.count;
    sock_says(client, SOCK_SAY_UNMAPS, where->vaddr, where->offset);
    return 0;
}

static int socket_grant_copy(struct xengntdev_handle *h, struct ioctl_gntdev_grant_copy *copy)
{
    return sock_grant_copy(h->priv, copy);
}

const struct gnt_backend gnt_socket = {
    .open  = socket_open,
    .close = socket_close,
    .ioctl = socket_ioctl,
    .mmap  = socket_mmap,
    .ioctl_mmap = socket_ioctl_mmap,
    .get_offset_for_vaddr = socket_get_offset_for_vaddr,
    .grant_copy = socket_grant_copy,
};
