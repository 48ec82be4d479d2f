/* SPDX-License-Identifier: MIT */
/* Makes the machine's directory, and removes those of machines that were killed. */
#include "private_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PREFIX "gntsim-machine."

/* ---- Sweeping -------------------------------------------------------------------------------- */

/*
 * Removes what a machine puts into a directory: files, and one level of directories. Closes fd. It
 * takes no further descriptor for the directory, as a process that cleans up may have none.
 */
static void empty(int fd, unsigned levels)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    int below;

    if (!dir) {
        close(fd);
        return;
    }
    while ((entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
            !unlinkat(fd, entry->d_name, 0) || !levels)
            continue;
        below = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below < 0)
            continue;
        empty(below, levels - 1);
        unlinkat(fd, entry->d_name, AT_REMOVEDIR);
    }
    closedir(dir);
}

/* Removes a directory whose machine is gone. */
static void sweep_one(int base, const char *name)
{
    int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return;
    if (!fstat(fd, &st) && st.st_uid == geteuid() && !flock(fd, LOCK_EX | LOCK_NB)) {
        empty(fd, 1);
        unlinkat(base, name, AT_REMOVEDIR);
    } else {
        close(fd);
    }
}

static void sweep(const char *base)
{
    struct dirent *entry;
    DIR *dir = opendir(base);

    while (dir && (entry = readdir(dir)))
        if (!strncmp(entry->d_name, PREFIX, sizeof PREFIX - 1))
            sweep_one(dirfd(dir), entry->d_name);
    if (dir)
        closedir(dir);
}

/* ---- Making ---------------------------------------------------------------------------------- */

/* The event that a file of the directory was closed, waited for if it must come. */
static bool was_closed(int inotify, bool must)
{
    struct pollfd fd = { inotify, POLLIN, 0 };
    char event[512];

    return poll(&fd, 1, must ? 1000 : 0) == 1 && read(inotify, event, sizeof event) > 0;
}

/*
 * Whether the end of a mapping shows as the close of what it was made from, not before and no
 * later.
 */
static bool shows_ends(int dir)
{
    int inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), file = -1, link = -1;
    void *page = MAP_FAILED;
    bool works = false;
    char path[32];

    snprintf(path, sizeof path, "/proc/self/fd/%d", dir);
    file = openat(dir, "file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (inotify >= 0 && file >= 0 && !ftruncate(file, 4096) &&
        !linkat(dir, "file", dir, "link", 0)) {
        link = openat(dir, "link", O_RDWR | O_CLOEXEC);
        unlinkat(dir, "link", 0);
    }
    if (link >= 0 && inotify_add_watch(inotify, path, IN_CLOSE) >= 0)
        page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, link, 0);
    if (link >= 0)
        close(link);
    if (page != MAP_FAILED) {
        works = !was_closed(inotify, false);
        munmap(page, 4096);
        works = works && was_closed(inotify, true);
    }
    if (file >= 0)
        close(file);
    unlinkat(dir, "file", 0);
    if (inotify >= 0)
        close(inotify);
    return works;
}

/* Whether programs may map libraries from there. */
static bool may_execute(int dir)
{
    struct statvfs fs;

    return !fstatvfs(dir, &fs) && !(fs.f_flag & ST_NOEXEC);
}

static int make_in(const char *base, bool (*will_do)(int dir), struct private_dir *dir)
{
    struct statvfs fs;
    struct stat st;
    int rc = 0;

    if ((size_t)snprintf(dir->path, sizeof dir->path, "%s/" PREFIX "XXXXXX", base) >=
        sizeof dir->path)
        return -ENAMETOOLONG;
    sweep(base);
    do {
        strcpy(dir->path + strlen(dir->path) - 6, "XXXXXX");
        if (!mkdtemp(dir->path))
            return -errno;
        dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir->fd < 0) {
            rc = -errno;
            rmdir(dir->path);
            return rc;
        }
        /* Somebody's sweep may have come between: then once more. */
        if (flock(dir->fd, LOCK_EX | LOCK_NB) || fstat(dir->fd, &st) || !st.st_nlink) {
            close(dir->fd);
            dir->fd = -1;
        }
    } while (dir->fd < 0);
    if (!will_do(dir->fd) || fstatvfs(dir->fd, &fs))
        rc = -EOPNOTSUPP;
    else
        dir->bytes_free = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (rc)
        private_dir_remove(dir);
    return rc;
}

#define NR_BASES 5u

/* Where it may be; not all of them are there. */
static void list_bases(const char *bases[NR_BASES])
{
    const char *all[NR_BASES] = { getenv("GNTSIM_TMPDIR"), "/dev/shm", getenv("XDG_RUNTIME_DIR"),
                                  getenv("TMPDIR"), "/tmp" };

    for (unsigned i = 0; i < NR_BASES; i++)
        bases[i] = all[i] && all[i][0] == '/' ? all[i] : NULL;
}

static int create(bool (*will_do)(int dir), struct private_dir *dir)
{
    const char *bases[NR_BASES];
    int rc = -ENOENT;

    list_bases(bases);
    for (unsigned i = 0; rc && i < NR_BASES; i++)
        if (bases[i])
            rc = make_in(bases[i], will_do, dir);
    return rc;
}

int private_dir_create(struct private_dir *dir)
{
    return create(shows_ends, dir);
}

int private_dir_create_for_libraries(struct private_dir *dir)
{
    return create(may_execute, dir);
}

void private_dir_sweep(void)
{
    const char *bases[NR_BASES];

    list_bases(bases);
    for (unsigned i = 0; i < NR_BASES; i++)
        if (bases[i])
            sweep(bases[i]);
}

void private_dir_remove(struct private_dir *dir)
{
    empty(dir->fd, 1);
    rmdir(dir->path);
    dir->fd = -1;
}
