/* SPDX-License-Identifier: MIT */
/*
 * Makes room for names that the host does not have: covers a directory with a tmpfs that shows what
 * is in it. So nothing is made on the host, and an ordinary user can do it, too.
 */
#include "ns_i.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void ns_show_entry(int dir_fd, const char *name, const char *target)
{
    char from[64 + NAME_MAX], to[PATH_MAX], link[PATH_MAX];
    struct stat st;
    ssize_t n;
    int fd;

    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW))
        return;
    snprintf(from, sizeof from, "/proc/self/fd/%d/%s", dir_fd, name);
    snprintf(to, sizeof to, "%s/%s", target, name);
    if (S_ISLNK(st.st_mode)) {
        n = readlinkat(dir_fd, name, link, sizeof link - 1);
        if (n > 0) {
            link[n] = 0;
            if (symlink(link, to))
                return;
        }
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        if (mkdir(to, st.st_mode & 07777))
            return;
    } else {
        fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
            return;
        close(fd);
    }
    if (mount(from, to, NULL, MS_BIND | (S_ISDIR(st.st_mode) ? MS_REC : 0), NULL)) {
        if (S_ISDIR(st.st_mode))
            rmdir(to);
        else
            unlink(to);
    }
}

int ns_cover(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (mount("gntsim", path, "tmpfs", MS_NOSUID, "mode=0755,size=1m")) {
        int rc = -errno;

        close(fd);
        return rc;
    }
    return fd;
}


int ns_cover_showing(const char *path, bool (*is_shown)(const char *name))
{
    int fd = ns_cover(path), copy = fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *entry;
    int rc = errno;

    if (!dir) {
        if (copy >= 0)
            close(copy);
        if (fd >= 0) {
            umount2(path, MNT_DETACH);
            close(fd);
        }
        return fd < 0 ? fd : -rc;
    }
    while ((entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
            (!is_shown || is_shown(entry->d_name)))
            ns_show_entry(fd, entry->d_name, path);
    closedir(dir);
    return fd;
}

static bool is_directory(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

bool ns_make_room(const char *path)
{
    char parent[PATH_MAX], *slash, real[PATH_MAX];
    int fd;

    if (is_directory(path))
        return true;
    snprintf(parent, sizeof parent, "%s", path);
    slash = strrchr(parent, '/');
    *slash = '\0';
    /* A mount on a symbolic link would be one on what it leads to. */
    if (!realpath(parent, real))
        return false;
    fd = ns_cover_showing(real, NULL);
    if (fd < 0)
        return false;
    close(fd);
    return !mkdir(path, 0755);
}

int ns_show(const char *what, const char *place)
{
    struct stat one, other;

    if (!ns_make_room(place))
        return -ENOENT;
    /* One directory may have two names. */
    if (!stat(what, &one) && !stat(place, &other) && one.st_dev == other.st_dev &&
        one.st_ino == other.st_ino)
        return 0;
    return mount(what, place, NULL, MS_BIND | MS_REC, NULL) ? -errno : 0;
}

/* ---- What a store's daemon needs besides ----------------------------------------------------- */

#define HOST_NAME  ".host"
#define LIMIT_FILE "/run/xenstored/.nr_open"

/* In the covered /proc: links into the host's for all but processes. */
static int link_entries(void)
{
    DIR *dir = opendir("/proc/" HOST_NAME);
    char link[16 + NAME_MAX], to[16 + NAME_MAX];
    struct dirent *entry;

    if (!dir)
        return -errno;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.' || (entry->d_name[0] >= '0' && entry->d_name[0] <= '9'))
            continue;
        snprintf(link, sizeof link, HOST_NAME "/%s", entry->d_name);
        snprintf(to, sizeof to, "/proc/%s", entry->d_name);
        if (symlink(link, to))
            break;
    }
    closedir(dir);
    return entry ? -EIO : 0;
}

/*
 * oxenstored raises its limit of descriptors to what the host allows anybody, or ends. So it is
 * told what this process may have. A comfort.
 */
static void show_limit(void)
{
    FILE *file = fopen(LIMIT_FILE, "we");
    struct rlimit limit;

    if (!file)
        return;
    if (!getrlimit(RLIMIT_NOFILE, &limit))
        fprintf(file, "%llu\n", (unsigned long long)limit.rlim_max);
    if (!fclose(file))
        mount(LIMIT_FILE, "/proc/sys/fs/nr_open", NULL, MS_BIND, NULL);
}

static int show_proc(void)
{
    int tree;

    if (is_directory("/proc/xen"))
        return 0;
    tree = (int)syscall(SYS_open_tree, AT_FDCWD, "/proc",
                        OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (tree < 0 || mount("gntsim", "/proc", "tmpfs", MS_NOSUID, "mode=0755,size=1m") ||
        mkdir("/proc/" HOST_NAME, 0755) ||
        syscall(SYS_move_mount, tree, "", AT_FDCWD, "/proc/" HOST_NAME, MOVE_MOUNT_F_EMPTY_PATH) ||
        link_entries() || mkdir("/proc/xen", 0755) ||
        mount(XENFS_DIR, "/proc/xen", NULL, MS_BIND, NULL))
        return ns_complain("cannot show /proc/xen");
    close(tree);
    return 0;
}

int ns_show_for_store(void)
{
    static const char *const own[] = { "/var/log/xen", "/var/run/xen", "/var/lib/xenstored" };
    int rc;

    if (unshare(CLONE_NEWNS))
        return ns_complain("cannot make a mount namespace for the store's daemon");
    rc = show_proc();
    if (rc)
        return rc;
    show_limit();
    /* Where it cannot have these, it says so. */
    for (unsigned i = 0; i < sizeof own / sizeof *own; i++)
        ns_show("/run/xenstored", own[i]);
    return 0;
}
