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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
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
