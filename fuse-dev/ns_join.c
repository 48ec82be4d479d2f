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

/* ---- Root directories ------------------------------------------------------------------------ */

/* What a root directory is known by: the mount namespace and the mount that it is seen through,
 * where it is in that namespace, and the directory itself. */
#define ROOT_FORMAT_OUT "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu32 ":%" PRIu32 " %" PRIu64
#define ROOT_FORMAT_IN  "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu32 ":%" SCNu32 " %" SCNu64
struct root {
    uint64_t ns, mount, place, ino;
    uint32_t major, minor;
};

/* Puts the path of our root directory within our namespace into path. setns leads to
 * the root directory of the whole namespace, from where a link in /proc reads as that path. Nobody
 * but root can look, and nobody else can have the device files in a chroot: others get "/". */
static void find_place(char path[PATH_MAX])
{
    int ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), status;
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int links = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char number[16];
    pid_t child = -1;

    snprintf(number, sizeof number, "%d", root);
    memset(path, 0, PATH_MAX);
    if (ns >= 0 && root >= 0 && links >= 0)
        /* not fork: to copy this process takes longer than all else here */
        child = vfork();
    if (!child)
        _exit(setns(ns, CLONE_NEWNS) || readlinkat(links, number, path, PATH_MAX - 1) < 0);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (!path[0])
        path[0] = '/';
    for (int *fd = (int[]){ ns, root, links, -2 }; *fd != -2; fd++)
        if (*fd >= 0)
            close(*fd);
}

/* A number for a path, since a path may be no text. */
static uint64_t path_number(const char *path)
{
    uint64_t number = UINT64_C(0xcbf29ce484222325);      /* FNV-1a */

    for (; *path; path++)
        number = (number ^ (unsigned char)*path) * UINT64_C(0x100000001b3);
    return number;
}

int ns_root_name(char name[NS_ROOT_NAME])
{
    char path[PATH_MAX];
    struct statx root;
    struct stat ns;

    if (stat("/proc/self/ns/mnt", &ns) ||
        statx(AT_FDCWD, "/", 0, STATX_INO | STATX_MNT_ID, &root))
        return -errno;
    find_place(path);
    snprintf(name, NS_ROOT_NAME, ROOT_FORMAT_OUT, (uint64_t)ns.st_ino, (uint64_t)root.stx_mnt_id,
             path_number(path), (uint32_t)root.stx_dev_major,
             (uint32_t)root.stx_dev_minor, (uint64_t)root.stx_ino);
    return 0;
}

static bool parse(const char *name, struct root *root)
{
    return sscanf(name, ROOT_FORMAT_IN, &root->ns, &root->mount, &root->place, &root->major,
                  &root->minor, &root->ino) == 6;
}

bool ns_same_root(const char *one, const char *other)
{
    struct root a, b;

    if (!parse(one, &a) || !parse(other, &b) || a.major != b.major || a.minor != b.minor ||
        a.ino != b.ino)
        return false;
    /* A directory may be the root of several views of the host (bind mounts). The mounts of two
     * namespaces cannot be compared, but one is a copy of the other, in which each has its
     * place. */
    return a.ns == b.ns ? a.mount == b.mount : a.place == b.place;
}

/* ---- Joining --------------------------------------------------------------------------------- */

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
    static const char *const trees[] = { "/dev", "/sys/module", "/sys/hypervisor", "/proc/xen",
                                         "/run/xenstored", "/var/run/xenstored" };
    static const char *const alone[] = { "/sys", "/run", "/var/run", "/var/lib/xen" };

    for (unsigned i = 0; i < sizeof trees / sizeof *trees; i++) {
        size_t size = strlen(trees[i]);

        if (!strncmp(path, trees[i], size) && (!path[size] || path[size] == '/'))
            return true;
    }
    for (unsigned i = 0; i < sizeof alone / sizeof *alone; i++)
        if (!strcmp(path, alone[i]))
            return true;
    return false;
}

/*
 * A directory without a path (it was removed) stays the working directory: the descriptor leads
 * there from any namespace.
 */
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
    return ns_complain("cannot return to %s in the domain, where it is another directory (was "
                       "something mounted after the machine was started?)",
                       place->path);
}

int ns_join(int user_ns_fd, int mount_ns_fd, int root_fd)
{
    struct place place;
    int rc = remember(&place);

    if (!rc && user_ns_fd >= 0 && setns(user_ns_fd, CLONE_NEWUSER))
        rc = ns_complain(
            "cannot enter the machine's user namespace (was it started by another user?)");
    /* A runtime (ThreadSanitizer's) may have started a thread that shares our working directory;
     * setns minds. */
    if (!rc && (unshare(CLONE_FS) || setns(mount_ns_fd, CLONE_NEWNS)))
        rc = ns_complain(
            "cannot enter the domain's mount namespace (was the machine started by another user?)");
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
