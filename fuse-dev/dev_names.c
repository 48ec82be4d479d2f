/* SPDX-License-Identifier: MIT */
/* The names in the file system: directories, attributes and module parameters. */
#include "asker.h"
#include "dev_fs_i.h"
#include "dev_sys.h"

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
    bool at_boot;                /* Y or N, and not to be written */
} params[] = {
    { "xen_gntdev", "limit", "xen_gntdev/limit" },
    { "xen_gntalloc", "limit", "xen_gntalloc/limit" },
    { "grant_table", "free_per_iteration", "grant_table/free_per_iteration" },
    { "xen_privcmd", "unrestricted", "xen_privcmd/unrestricted", true },
};
#define NR_PARAMS (sizeof params / sizeof *params)

/* Of devices that can be mapped: Python's mmap looks whether a file is long enough. */
#define DEVICE_SIZE (1ll << 62)

/* A device has the rights of its node. */
static void fill_device(struct dev_fs *fs, fuse_ino_t ino, struct stat *st)
{
    struct node *node;

    HASH_FIND(hh, fs->nodes, &ino, sizeof ino, node);
    if (!node)
        return;
    node_stat(fs, node->named, st);
    st->st_mode = S_IFREG | (st->st_mode & ~(mode_t)S_IFMT);
    st->st_rdev = 0;
    if (kernel_chardevs[node->index]->ops->mmap)
        st->st_size = DEVICE_SIZE;
}

static void fill_attr(struct dev_fs *fs, fuse_ino_t ino, struct stat *st)
{
    *st = (struct stat){
        .st_ino = ino, .st_nlink = 1, .st_uid = geteuid(), .st_gid = getegid(), .st_blksize = 4096,
        .st_atim = fs->born, .st_mtim = fs->born, .st_ctim = fs->born
    };
    switch (ino_kind(ino)) {
    case KIND_DEVICE:
        fill_device(fs, ino, st);
        break;
    case KIND_NODE:
    case KIND_PROC_NODE:
        node_stat(fs, ino, st);
        break;
    case KIND_SYS_FILE:
        st->st_mode = S_IFREG | sys_mode(ino);
        st->st_size = 4096;
        break;
    case KIND_PARAMETER:
        st->st_mode = S_IFREG | (params[ino_index(ino)].at_boot ? 0444 : 0644);
        st->st_size = 4096;
        break;
    default:
        st->st_mode = S_IFDIR | 0755;
        st->st_nlink = 2;
    }
}

/* How long the kernel may remember the attributes: those of devices change by chmod. */
static double attr_timeout(fuse_ino_t ino)
{
    enum kind kind = ino_kind(ino);

    return kind == KIND_DEVICE || kind == KIND_NODE || kind == KIND_PROC_NODE ? 0 : FOREVER;
}

/* A directory with devices in it. */
static bool has_devices(fuse_ino_t dir)
{
    return ino_kind(dir) == KIND_DOMAIN || ino_kind(dir) == KIND_PROC;
}

/* Whether the domain has the device in the directory. */
static bool has_device(struct dev_fs *fs, fuse_ino_t dir, unsigned index)
{
    const struct domain *d = machine_domain_at(fs->machine, ino_domid(dir));

    return d && kernel_has_chardev(d->kernel, kernel_chardevs[index], ino_kind(dir) == KIND_PROC);
}

/* ---- Names ----------------------------------------------------------------------------------- */

static fuse_ino_t lookup_device(struct dev_fs *fs, fuse_ino_t dir, const char *name,
                                bool only_named)
{
    domid_t domid = ino_domid(dir);
    struct node *node;
    fuse_ino_t named;
    unsigned index = 0;

    while (kernel_chardevs[index] && strcmp(kernel_chardevs[index]->name, name))
        index++;
    if (!kernel_chardevs[index] || !has_device(fs, dir, index))
        return 0;
    named = static_ino(ino_kind(dir) == KIND_PROC ? KIND_PROC_NODE : KIND_NODE, domid, index);
    if (only_named)
        return named;
    node = calloc(1, sizeof *node);
    if (!node)
        return 0;
    *node = (struct node){ .ino = fs->next_ino++, .lookups = 1, .domid = domid, .index = index,
                           .named = named };
    HASH_ADD(hh, fs->nodes, ino, sizeof node->ino, node);
    return node->ino;
}

static fuse_ino_t lookup_root(struct dev_fs *fs, const char *name)
{
    static const struct {
        const char *suffix;
        enum kind kind;
    } kinds[] = { { "", KIND_DOMAIN },
                  { ".module", KIND_MODULES },
                  { ".proc", KIND_PROC },
                  { ".hypervisor", KIND_SYS } };
    unsigned id;
    int end = 0;

    if (sscanf(name, "%u%n", &id, &end) != 1 || id > UINT16_MAX ||
        !machine_domain_at(fs->machine, (domid_t)id))
        return 0;
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].suffix, name + end))
            return static_ino(kinds[i].kind, (domid_t)id, 0);
    return 0;
}

static fuse_ino_t lookup_name(struct dev_fs *fs, fuse_ino_t parent, const char *name,
                              bool only_named)
{
    domid_t id = ino_domid(parent);
    unsigned index = ino_index(parent);

    switch (ino_kind(parent)) {
    case KIND_ROOT:
        return lookup_root(fs, name);
    case KIND_DOMAIN:
    case KIND_PROC:
        return lookup_device(fs, parent, name, only_named);
    case KIND_SYS:
        return sys_lookup(parent, name);
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
    bool only_named = has_devices(parent) && asker_names_only(fuse_req_ctx(req)->pid);
    struct fuse_entry_param entry = { 0 };

    machine_lock(fs->machine);
    entry.ino = lookup_name(fs, parent, name, only_named);
    if (entry.ino)
        fill_attr(fs, entry.ino, &entry.attr);
    machine_unlock(fs->machine);
    if (!entry.ino) {
        fuse_reply_err(req, ENOENT);
        return;
    }
    entry.attr_timeout = attr_timeout(entry.ino);
    if (!has_devices(parent))
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

static void reply_attr(fuse_req_t req, fuse_ino_t ino)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct stat st;

    machine_lock_only(fs->machine);
    fill_attr(fs, ino, &st);
    machine_unlock(fs->machine);
    fuse_reply_attr(req, &st, attr_timeout(ino));
}

void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    reply_attr(req, ino);
}

/*
 * chmod, chown and utimes of a device, by name or by descriptor, are its node's. O_TRUNC succeeds
 * as on a real node.
 */
void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                struct fuse_file_info *fi)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    fuse_ino_t named = ino_kind(ino) == KIND_NODE || ino_kind(ino) == KIND_PROC_NODE ? ino : 0;
    struct node *node;
    int rc = 0;

    if (ino_kind(ino) == KIND_DEVICE && to_set & FUSE_SET_ATTR_SIZE && fi) {
        fuse_reply_err(req, EINVAL);       /* ftruncate */
        return;
    }
    machine_lock_only(fs->machine);
    if (ino_kind(ino) == KIND_DEVICE) {
        HASH_FIND(hh, fs->nodes, &ino, sizeof ino, node);
        named = node ? node->named : 0;
    }
    if (named)
        rc = node_set(fs, named, attr, to_set);
    machine_unlock(fs->machine);
    if (rc)
        fuse_reply_err(req, -rc);
    else
        reply_attr(req, ino);
}

/* The index-th name in a directory that programs see, NULL after the last. */
static const char *name_at(struct dev_fs *fs, fuse_ino_t dir, off_t index)
{
    unsigned param = ino_index(dir);

    switch (ino_kind(dir)) {
    case KIND_DOMAIN:
    case KIND_PROC:
        for (unsigned i = 0; kernel_chardevs[i]; i++)
            if (has_device(fs, dir, i) && !index--)
                return kernel_chardevs[i]->name;
        return NULL;
    case KIND_SYS:
        return sys_name_at(dir, index);
    case KIND_MODULE:
        return index ? NULL : "parameters";
    case KIND_PARAMETERS:
        return index ? NULL : params[param].name;
    default:
        return NULL;
    }
}

/* The type of the index-th name; of what is no node, that which stat tells. */
static mode_t entry_type(fuse_ino_t dir, off_t index)
{
    switch (ino_kind(dir)) {
    case KIND_DOMAIN:
        return S_IFCHR;
    case KIND_PARAMETERS:
    case KIND_PROC:
        return S_IFREG;
    case KIND_SYS:
        return sys_is_directory(dir, index) ? S_IFDIR : S_IFREG;
    default:
        return S_IFDIR;
    }
}

void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    char *out = malloc(size);
    size_t used = 0;

    (void)fi;
    if (!out) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    machine_lock_only(fs->machine);
    for (;; off++) {
        struct stat st = { .st_ino = ~0u,
                           .st_mode = off < 2 ? S_IFDIR : entry_type(ino, off - 2) };
        const char *name = off == 0 ? "." : off == 1 ? ".." : name_at(fs, ino, off - 2);
        size_t need;

        if (!name)
            break;
        need = fuse_add_direntry(req, out + used, size - used, name, &st, off + 1);
        if (need > size - used)
            break;
        used += need;
    }
    machine_unlock_only(fs->machine);
    fuse_reply_buf(req, out, used);
    free(out);
}

/* ---- Module parameters ----------------------------------------------------------------------- */

void param_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off)
{
    struct dev_fs *fs = fuse_req_userdata(req);
    struct domain *d;
    int64_t value;
    char text[32];
    int rc = -ENODEV, n;

    machine_lock(fs->machine);
    d = machine_domain_at(fs->machine, ino_domid(ino));
    if (d)
        rc = kernel_param_get(d->kernel, params[ino_index(ino)].kernel_name, &value);
    machine_unlock(fs->machine);
    if (rc) {
        fuse_reply_err(req, -rc);
        return;
    }
    if (params[ino_index(ino)].at_boot)
        n = snprintf(text, sizeof text, "%c\n", value ? 'Y' : 'N');
    else
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

    if (params[ino_index(ino)].at_boot || size >= sizeof text) {
        fuse_reply_err(req, size >= sizeof text ? EINVAL : EACCES);
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
    d = machine_domain_at(fs->machine, ino_domid(ino));
    if (d)
        rc = kernel_param_set(d->kernel, params[ino_index(ino)].kernel_name, value);
    machine_unlock(fs->machine);
    if (rc)
        fuse_reply_err(req, -rc);
    else
        fuse_reply_write(req, size);
}
