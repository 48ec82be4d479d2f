/* SPDX-License-Identifier: MIT */
/*
 * Compares the descriptors of processes: sockets by their numbers, devices by their inodes. Our
 * libraries close their sockets on exec. So one that came with an exec, as the standard input from
 * sshd, belongs to others.
 */
#include "sharers_i.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_FILES 256u /* of a process that are looked at */

struct files {
    uint64_t names[MOST_FILES]; /* those of devices have the highest bit set */
    unsigned nr;
};

/* What /proc tells of an open file, without asking its file system. */
struct info {
    unsigned long long ino, mount;
    unsigned flags;
};

static struct info info_of(const char *pid, const char *fd)
{
    struct info info = { 0 };
    char path[300], line[128];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%s/fdinfo/%s", pid, fd);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        sscanf(line, "flags: %o", &info.flags);
        sscanf(line, "ino: %llu", &info.ino);
        sscanf(line, "mnt_id: %llu", &info.mount);
    }
    if (file)
        fclose(file);
    return info;
}

static uint64_t name_of(const char *pid, const char *fd)
{
    char path[300], link[64];
    struct info info;
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%s/fd/%s", pid, fd);
    n = readlink(path, link, sizeof link - 1);
    link[n < 0 ? 0 : n] = 0;
    if (!strncmp(link, "socket:", 7)) {
        info = info_of(pid, fd);
        return info.flags & O_CLOEXEC ? info.ino : 0;
    }
    if (strstr(link, "/xen/")) {
        info = info_of(pid, fd);
        return (info.ino + (info.mount << 32)) | 1ull << 63; /* each machine has its own mount */
    }
    return 0;
}

static void list_files(const char *pid, struct files *files)
{
    struct dirent *entry;
    char path[300];
    DIR *dir;

    files->nr = 0;
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    dir = opendir(path);
    while (dir && files->nr < MOST_FILES && (entry = readdir(dir))) {
        uint64_t name = entry->d_name[0] == '.' ? 0 : name_of(pid, entry->d_name);

        if (name)
            files->names[files->nr++] = name;
    }
    if (dir)
        closedir(dir);
}

static bool has_common(const struct files *a, const struct files *b)
{
    for (unsigned i = 0; i < a->nr; i++)
        for (unsigned j = 0; j < b->nr; j++)
            if (a->names[i] == b->names[j])
                return true;
    return false;
}

/* The thread's process. */
static pid_t leader_of(pid_t tid)
{
    char path[32], line[128];
    int leader = tid;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", tid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Tgid: %d", &leader) == 1)
            break;
    if (file)
        fclose(file);
    return leader;
}

pid_t find_sharer(pid_t tid, bool *holds)
{
    struct files *files = calloc(2, sizeof *files);
    pid_t leader = leader_of(tid), sharer = 0;
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    char name[16];

    snprintf(name, sizeof name, "%d", leader);
    if (files)
        list_files(name, &files[0]);
    *holds = files && files[0].nr;
    while (files && files[0].nr && dir && !sharer && (entry = readdir(dir))) {
        pid_t pid = atoi(entry->d_name);

        if (pid <= 0 || pid == leader || pid == getpid())
            continue;
        list_files(entry->d_name, &files[1]);
        if (has_common(&files[0], &files[1]))
            sharer = pid;
    }
    if (dir)
        closedir(dir);
    free(files);
    return sharer;
}
