/* SPDX-License-Identifier: MIT */
/* The file system's names: directories, attributes, module parameters. */
#include "dev_fs_i.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOREVER 1e9

static const struct param {
    const char *module, *name, *kernel_name;
} params[] = {
    { "xen_gntdev", "limit", "xen_gntdev/limit" },
    { "xen_gntalloc", "limit", "xen_gntalloc/limit" },
    { "grant_table", "free_per_iteration", "grant_table/free_per_iteration" },
};
#define NR_PARAMS (sizeof params / sizeof *params)

static fuse_ino_t static_ino(enum kind kind, domid_t domid, unsigned index)
{
    return (fuse_ino_t)kind << 40 | (fuse_ino_t)domid << 8 | index;
}

static domid_t ino_domid(fuse_ino_t ino)
{
    return (domid_t)(ino >> 8);
}

static void fill_attr(fuse_ino_t ino, struct stat *st)
{
    enum kind kind = ino_kind(ino);

    *st = (struct stat){ .st_ino = ino, .st_nlink = 1, .st_uid = geteuid(), .st_gid = getegid(), .st_blksize = 4096 };
    switch (kind) {
    case KIND_DEVICE:
        st->st_mode = S_IFREG | 0666;
        break;
    case KIND_PARAMETER:
        st->st_mode = S_IFREG | 0644;
        st->st_size = 4096;
        break;
    default:
        st->st_mode = S_IFDIR | 0755;
        st->st_nlink = 2;
    }
}

/* ---- Names ------------------------------------------------------------------------------------ */

static fuse_ino_t lookup_device(struct dev_fs *fs, domid_t domid, const char *name)
{
    const struct chardev *dev = kernel_chardev_find(name);
    struct node *node;

    if (!dev)
        return 0;
    node = calloc(1, sizeof *node);
    if (!node)
        return 0;
    *node = (struct node){ .ino = fs->next_ino++, .lookups = 1, .domid = domid, .dev = dev };
    HASH_ADD(hh, fs->nodes, ino, sizeof node->ino, node);
    return node->ino;
}

static fuse_ino_t lookup_root(struct dev_fs *fs, const char *name)
{
    unsigned id;
    int end = 0;

    if (sscanf(name, "%u%n", &id, &end) != 1 || id >= DOMID_FIRST_RESERVED || !machine_domain(fs->machine, (domid_t)id))
        return 0;
    if (!name[end])
        return static_ino(KIND_DOMAIN, (domid_t)id, 0);
    return strcmp(name + end, ".module") ? 0 : static_ino(KIND_MODULES, (domid_t)id, 0);
}

static fuse_ino_t lookup_name(struct dev_fs *fs, fuse_ino_t parent, const char *name)
{
    domid_t id = ino_domid(parent);
    unsigned index = parent & 0xff;

    switch (ino_kind(parent)) {
    case KIND_ROOT:
        return lookup_root(fs, name);
    case KIND_DOMAIN:
        return lookup_device(fs, id, name);
    case KIND_MODULES:
        for (unsigned i = 0; i < NR_PARAMS; i++)
            if (!strcmp(params[i].module, name))
                return static_ino(KIND_MODULE, id, i);
        return 0;
    case KIND_MODULE:
        return strcmp(name, "parameters") ? 0 : static_ino(KIND_PARAMETERS, id, index);
    case KIND_PARAMETERS:
        return strcmp(name, params[index].name) ? 0 : static_ino(KIND_PARAMETER, id, index);
    default:
        return 0;
    }
}

void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct fuse_entry_param entry = { .attr_timeout = FOREVER };

    machine_lock(fs->machine);
    entry.ino = lookup_name(fs, parent, name);
    machine_unlock(fs->machine);
    if (!entry.ino) {
        fuse_reply_err(req, ENOENT);
        return;
    }
    fill_attr(entry.ino, &entry.attr);
    if (ino_kind(entry.ino) != KIND_DEVICE)
        entry.entry_timeout = 1;
    fuse_reply_entry(req, &entry);
}

static void forget_one(struct dev_fs *fs, fuse_ino_t ino, uint64_t lookups)
{
    struct node *node;

    HASH_FIND(hh, fs->nodes, &ino, sizeof ino, node);
    if (!node)
        return;
    assert(node->lookups >= lookups);
    node->lookups -= lookups;
    if (node->lookups)
        return;
    if (node->file)
        node->file->node = NULL;
    HASH_DEL(fs->nodes, node);
    free(node);
}

void fs_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
    struct dev_fs *fs = fuse_req_userdata(req);

    machine_lock(fs->machine);
    forget_one(fs, ino, lookups);
    machine_unlock(fs->machine);
    fuse_reply_none(req);
}

void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st;

    (void)fi;
    fill_attr(ino, &st);
    fuse_reply_attr(req, &st, FOREVER);
}

/* Device files have nothing to set; O_TRUNC and chmod succeed as on a real node. */
void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
    (void)attr;
    (void)to_set;
    fs_getattr(req, ino, fi);
}

/* The index-th name in a directory that programs see, NULL after the last. */
static const char *name_at(fuse_ino_t dir, off_t index)
{
    unsigned param = dir & 0xff;

    switch (ino_kind(dir)) {
    case KIND_DOMAIN:
        for (off_t i = 0; i < index; i++)
            if (!kernel_chardevs[i])
                return NULL;
        return kernel_chardevs[index] ? kernel_chardevs[index]->name : NULL;
    case KIND_MODULE:
        return index ? NULL : "parameters";
    case KIND_PARAMETERS:
        return index ? NULL : params[param].name;
    default:
        return NULL;
    }
}

void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    char *out = malloc(size);
    size_t used = 0;

    (void)fi;
    if (!out) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    for (;; off++) {
        enum kind child = ino_kind(ino) == KIND_DOMAIN || ino_kind(ino) == KIND_PARAMETERS ? KIND_DEVICE : KIND_DOMAIN;
        struct stat st = { .st_ino = ~0u, .st_mode = child == KIND_DEVICE ? S_IFREG : S_IFDIR };
        const char *name = off == 0 ? "." : off == 1 ? ".." : name_at(ino, off - 2);
        size_t need;

        if (!name)
            break;
        need = fuse_add_direntry(req, out + used, size - used, name, &st, off + 1);
        if (need > size - used)
            break;
        used += need;
    }
    fuse_reply_buf(req, out, used);
    free(out);
}

/* ---- Module parameters ------------------------------------------------------------------------ */

void param_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct domain *d;
    int64_t value;
    char text[32];
    int rc = -ENODEV, n;

    machine_lock(fs->machine);
    d = machine_domain(fs->machine, ino_domid(ino));
    if (d)
        rc = kernel_param_get(d->kernel, params[ino & 0xff].kernel_name, &value);
    machine_unlock(fs->machine);
    if (rc) {
        fuse_reply_err(req, -rc);
        return;
    }
    n = snprintf(text, sizeof text, "%" PRId64 "\n", value);
    if (off >= n)
        fuse_reply_buf(req, NULL, 0);
    else
        fuse_reply_buf(req, text + off, (size_t)(n - off) < size ? (size_t)(n - off) : size);
}

void param_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct domain *d;
    char text[32], *end;
    long long value;
    int rc = -ENODEV;

    if (size >= sizeof text) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    memcpy(text, buf, size);
    text[size] = 0;
    errno = 0;
    value = strtoll(text, &end, 0);
    if (end == text || (*end && strcmp(end, "\n"))) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    if (errno) {
        fuse_reply_err(req, ERANGE);
        return;
    }
    machine_lock(fs->machine);
    d = machine_domain(fs->machine, ino_domid(ino));
    if (d)
        rc = kernel_param_set(d->kernel, params[ino & 0xff].kernel_name, value);
    machine_unlock(fs->machine);
    if (rc)
        fuse_reply_err(req, -rc);
    else
        fuse_reply_write(req, size);
}
