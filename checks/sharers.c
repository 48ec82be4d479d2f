/* SPDX-License-Identifier: MIT */
/* Compares the descriptors of processes: sockets by their numbers, devices by their inodes. */
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

/* An open file's inode and mount, as the kernel tells without asking the file system: each machine
 * has a mount of its own. */
static uint64_t device_of(const char *pid, const char *fd)
{
    unsigned long long ino = 0, mount = 0;
    char path[300], line[128];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%s/fdinfo/%s", pid, fd);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        sscanf(line, "ino: %llu", &ino);
        sscanf(line, "mnt_id: %llu", &mount);
    }
    if (file)
        fclose(file);
    return ino + (mount << 32);
}

static uint64_t name_of(const char *pid, const char *fd)
{
    char path[300], link[64];
    unsigned long long ino;
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%s/fd/%s", pid, fd);
    n = readlink(path, link, sizeof link - 1);
    link[n < 0 ? 0 : n] = 0;
    if (sscanf(link, "socket:[%llu]", &ino) == 1)
        return ino;
    if (strstr(link, "/xen/"))
        return device_of(pid, fd) | 1ull << 63;
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

pid_t find_sharer(pid_t tid)
{
    struct files *files = calloc(2, sizeof *files);
    pid_t leader = leader_of(tid), sharer = 0;
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    char name[16];

    snprintf(name, sizeof name, "%d", leader);
    if (files)
        list_files(name, &files[0]);
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
