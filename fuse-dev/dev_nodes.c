/* SPDX-License-Identifier: MIT */
/*
 * The device nodes for stat and chmod: mode, owner and times, for each domain. A new domain's nodes
 * belong to the machine's user and nobody else, as on a host whose udev has no rule for them.
 */
#include "dev_fs_i.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

/*
 * The number for devices without one of their own, and minors of it that Linux leaves to local use:
 * whatever they lead to is no driver of the host's.
 */
#define MISC_MAJOR 10
#define FIRST_MINOR 240

/* What was changed of a node. */
struct node_rights {
    fuse_ino_t ino;              /* the node's */
    mode_t mode;
    uid_t uid;
    gid_t gid;
    struct timespec accessed, modified, changed;
    UT_hash_handle hh;
};

#define PERMISSIONS 07777

static struct node_rights *find(struct dev_fs *fs, fuse_ino_t ino)
{
    struct node_rights *rights;

    HASH_FIND(hh, fs->rights, &ino, sizeof ino, rights);
    return rights;
}

static mode_t mode_of(fuse_ino_t ino)
{
    unsigned mode = kernel_chardevs[ino_index(ino)]->mode;

    return mode ? mode : 0600;
}

static struct node_rights as_new(const struct dev_fs *fs, fuse_ino_t ino)
{
    return (struct node_rights){
        .ino = ino, .mode = mode_of(ino), .uid = geteuid(), .gid = getegid(), .accessed = fs->born,
        .modified = fs->born, .changed = fs->born
    };
}

void node_stat(struct dev_fs *fs, fuse_ino_t ino, struct stat *st)
{
    struct node_rights made, *rights = find(fs, ino);

    if (!rights) {
        made = as_new(fs, ino);
        rights = &made;
    }
    st->st_mode = (ino_kind(ino) == KIND_NODE ? S_IFCHR : S_IFREG) | rights->mode;
    st->st_uid = rights->uid;
    st->st_gid = rights->gid;
    if (ino_kind(ino) == KIND_NODE)
        st->st_rdev = makedev(MISC_MAJOR, FIRST_MINOR + ino_index(ino));
    st->st_atim = rights->accessed;
    st->st_mtim = rights->modified;
    st->st_ctim = rights->changed;
}

int node_set(struct dev_fs *fs, fuse_ino_t ino, const struct stat *attr, int to_set)
{
    struct node_rights *rights = find(fs, ino);
    struct timespec now;

    if (!rights) {
        rights = malloc(sizeof *rights);
        if (!rights)
            return -ENOMEM;
        *rights = as_new(fs, ino);
        HASH_ADD(hh, fs->rights, ino, sizeof rights->ino, rights);
    }
    clock_gettime(CLOCK_REALTIME, &now);
    if (to_set & FUSE_SET_ATTR_MODE)
        rights->mode = attr->st_mode & PERMISSIONS;
    if (to_set & FUSE_SET_ATTR_UID)
        rights->uid = attr->st_uid;
    if (to_set & FUSE_SET_ATTR_GID)
        rights->gid = attr->st_gid;
    if (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW))
        rights->accessed = to_set & FUSE_SET_ATTR_ATIME_NOW ? now : attr->st_atim;
    if (to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW))
        rights->modified = to_set & FUSE_SET_ATTR_MTIME_NOW ? now : attr->st_mtim;
    rights->changed = now;
    return 0;
}

void dev_fs_new_nodes(struct dev_fs *fs, domid_t domid)
{
    struct node_rights *rights, *next;

    HASH_ITER(hh, fs->rights, rights, next) {
        if (ino_domid(rights->ino) != domid)
            continue;
        HASH_DEL(fs->rights, rights);
        free(rights);
    }
}

void nodes_free(struct dev_fs *fs)
{
    struct node_rights *rights, *next;

    HASH_ITER(hh, fs->rights, rights, next) {
        HASH_DEL(fs->rights, rights);
        free(rights);
    }
}
