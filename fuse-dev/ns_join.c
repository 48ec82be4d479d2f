/* SPDX-License-Identifier: MIT */
/*
 * Joins a domain's namespaces and keeps the caller's root and working directory. setns moves a
 * process to the root directory of the whole mount namespace. Only a process with the machine's
 * root directory finds its own directory there, and the domain's devices in it.
 */
#include "ns_i.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Root directories --------------------------------------------------------------------------- */

/* What a root directory is known by: the mount namespace and the mount that it is seen through, whether it is a chroot in there, and the
 * directory itself. */
#define ROOT_FORMAT_OUT "%" PRIu64 " %" PRIu64 " %u %" PRIu32 ":%" PRIu32 " %" PRIu64
#define ROOT_FORMAT_IN  "%" SCNu64 " %" SCNu64 " %u %" SCNu32 ":%" SCNu32 " %" SCNu64
struct root {
    uint64_t ns, mount, ino;
    uint32_t major, minor;
    unsigned chroot;
};

static int stat_root(struct statx *root)
{
    return statx(AT_FDCWD, "/", 0, STATX_INO | STATX_MNT_ID, root);
}

/* Whether our root directory is another one than our namespace's, which is what setns leads to. Nobody but root can look; others: false. */
static bool is_chroot(const struct statx *root)
{
    struct statx top;
    int status, ns;
    pid_t child = vfork();       /* not fork: to copy this process takes longer than all else here */

    if (!child) {
        ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
        _exit(ns >= 0 && !setns(ns, CLONE_NEWNS) && !stat_root(&top) && (top.stx_mnt_id != root->stx_mnt_id || top.stx_ino != root->stx_ino));
    }
    while (child > 0 && waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status);
}

int ns_root_name(char name[NS_ROOT_NAME])
{
    struct statx root;
    struct stat ns;

    if (stat("/proc/self/ns/mnt", &ns) || stat_root(&root))
        return -errno;
    snprintf(name, NS_ROOT_NAME, ROOT_FORMAT_OUT, (uint64_t)ns.st_ino, (uint64_t)root.stx_mnt_id, (unsigned)is_chroot(&root),
             (uint32_t)root.stx_dev_major, (uint32_t)root.stx_dev_minor, (uint64_t)root.stx_ino);
    return 0;
}

static bool parse(const char *name, struct root *root)
{
    return sscanf(name, ROOT_FORMAT_IN, &root->ns, &root->mount, &root->chroot, &root->major, &root->minor,
                  &root->ino) == 6;
}

bool ns_same_root(const char *one, const char *other)
{
    struct root a, b;

    if (!parse(one, &a) || !parse(other, &b) || a.major != b.major || a.minor != b.minor || a.ino != b.ino)
        return false;
    /* A directory may be the root of several views of the host (bind mounts). Mounts of two namespaces cannot be compared. */
    return a.ns == b.ns ? a.mount == b.mount : a.chroot == b.chroot;
}

/* ---- Joining ------------------------------------------------------------------------------------ */

/* Where a process works, as far as that can be said. */
struct place {
    int fd;
    char path[PATH_MAX];         /* empty: it has none any more */
    struct stat st;
};

static int remember(struct place *place)
{
    place->fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (place->fd < 0 || fstat(place->fd, &place->st))
        return ns_complain("cannot open the working directory");
    if (!getcwd(place->path, sizeof place->path))
        place->path[0] = 0;
    return 0;
}

/* These are the domain's own. */
static bool is_covered(const char *path)
{
    return !strcmp(path, "/dev") || !strncmp(path, "/dev/", 5) || !strcmp(path, "/sys/module") || !strncmp(path, "/sys/module/", 12);
}

/* A directory without a path (it was removed) stays the working directory: the descriptor leads there from any namespace. */
static int go_back(const struct place *place)
{
    struct stat st;

    if (!place->path[0])
        return fchdir(place->fd) ? ns_complain("cannot return to the working directory") : 0;
    if (chdir(place->path) || stat(".", &st))
        return ns_complain("cannot return to %s in the domain", place->path);
    if ((st.st_dev == place->st.st_dev && st.st_ino == place->st.st_ino) || is_covered(place->path))
        return 0;
    errno = EXDEV;
    return ns_complain("cannot return to %s in the domain, where it is another directory (was something mounted after the machine was started?)",
                       place->path);
}

int ns_join(int user_ns_fd, int mount_ns_fd, int root_fd)
{
    struct place place;
    int rc = remember(&place);

    if (!rc && user_ns_fd >= 0 && setns(user_ns_fd, CLONE_NEWUSER))
        rc = ns_complain("cannot enter the machine's user namespace (was it started by another user?)");
    /* A runtime (ThreadSanitizer's) may have started a thread that shares our working directory; setns minds. */
    if (!rc && (unshare(CLONE_FS) || setns(mount_ns_fd, CLONE_NEWNS)))
        rc = ns_complain("cannot enter the domain's mount namespace (was the machine started by another user?)");
    if (!rc && (fchdir(root_fd) || chroot(".")))
        rc = ns_complain("cannot enter the machine's root directory in the domain");
    if (!rc)
        rc = go_back(&place);
    if (place.fd >= 0)
        close(place.fd);
    return rc;
}

uint64_t ns_number(void)
{
    struct stat ns;

    return stat("/proc/thread-self/ns/mnt", &ns) ? 0 : ns.st_ino;
}
