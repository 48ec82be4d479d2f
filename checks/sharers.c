/* SPDX-License-Identifier: MIT */
/* Compares the descriptors of processes, by device and inode. The machine knows which of them stand
 * for devices; other sockets do not matter. */
#include "sharers_i.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MOST_FILES 1024u /* of a process that are looked at */
#define MOST_ANCESTORS 64u

struct files {
    struct held *held;
    size_t nr, capacity;
};

/* Whether the descriptor may stand for a device. The file system is not asked, because it may be
 * our own. */
static bool is_device(const char *pid, const char *fd, struct held *held)
{
    char path[300], link[64];
    struct statx stx;
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%s/fd/%s", pid, fd);
    n = readlink(path, link, sizeof link - 1);
    link[n < 0 ? 0 : n] = 0;
    if (strncmp(link, "socket:", 7) && !strstr(link, "/xen/"))
        return false;
    if (syscall(SYS_statx, AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, &stx))
        return false;
    *held = (struct held){ makedev(stx.stx_dev_major, stx.stx_dev_minor), stx.stx_ino, 0 };
    return true;
}

static bool has_room(struct files *files)
{
    size_t capacity = files->capacity ? files->capacity * 2 : 16;
    struct held *more;

    if (files->nr < files->capacity)
        return true;
    more = files->nr < MOST_FILES ? reallocarray(files->held, capacity, sizeof *more) : NULL;
    if (!more)
        return false;
    files->held = more;
    files->capacity = capacity;
    return true;
}

static void list_files(const char *pid, struct files *files)
{
    struct dirent *entry;
    char path[300];
    DIR *dir;

    files->nr = 0;
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    dir = opendir(path);
    while (dir && has_room(files) && (entry = readdir(dir)))
        if (entry->d_name[0] != '.' && is_device(pid, entry->d_name, &files->held[files->nr]))
            files->nr++;
    if (dir)
        closedir(dir);
}

static void note_heir(struct files *files, const struct files *others, pid_t pid)
{
    for (size_t i = 0; i < files->nr; i++)
        for (size_t j = 0; j < others->nr; j++)
            if (files->held[i].dev == others->held[j].dev &&
                files->held[i].ino == others->held[j].ino)
                files->held[i].heir = pid;
}

/* A number from /proc/PID/status; without: if it is not there. */
static pid_t status_of(pid_t pid, const char *format, pid_t without)
{
    char path[32], line[128];
    int value = without;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, format, &value) == 1)
            break;
    if (file)
        fclose(file);
    return value;
}

/* A parent cannot go on with what its child made: that was in the child's memory. */
static bool is_ancestor(pid_t ancestor, pid_t pid)
{
    for (unsigned i = 0; i < MOST_ANCESTORS && pid > 1; i++) {
        pid = status_of(pid, "PPid: %d", 0);
        if (pid == ancestor)
            return true;
    }
    return false;
}

struct held *find_held(pid_t tid, size_t *nr)
{
    struct files files = { 0 }, others = { 0 };
    pid_t leader = status_of(tid, "Tgid: %d", tid);
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    char name[16];

    snprintf(name, sizeof name, "%d", leader);
    list_files(name, &files);
    while (files.nr && dir && (entry = readdir(dir))) {
        pid_t pid = atoi(entry->d_name);

        if (pid <= 0 || pid == leader || pid == getpid())
            continue;
        list_files(entry->d_name, &others);
        if (others.nr && !is_ancestor(pid, leader))
            note_heir(&files, &others, pid);
    }
    if (dir)
        closedir(dir);
    free(others.held);
    *nr = files.nr;
    if (!files.nr) {
        free(files.held);
        files.held = NULL;
    }
    return files.held;
}
