/* SPDX-License-Identifier: MIT */
/* Finds the domain of a process by its mounts, even after it made namespaces of its own. */
#include "member.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "dev_fs_i.h"
#include "fuse_way_i.h"

/*
 * A line of mountinfo: the mount's number, its parent's, the device, what of it is mounted. -1: not
 * ours, or no domain's.
 */
static int domain_of_mount(const char *line, dev_t dev)
{
    unsigned device_major, device_minor, id;
    int after = 0;

    if (sscanf(line, "%*u %*u %u:%u /%u%n", &device_major, &device_minor, &id, &after) != 3)
        return -1;
    return makedev(device_major, device_minor) == dev && id < DOMID_FIRST_RESERVED &&
                   (line[after] == ' ' || line[after] == '/')
             ? (int)id
             : -1;
}

int fuse_domain_of(struct machine *m, pid_t pid)
{
    char path[64], *line = NULL;
    size_t capacity = 0;
    int domain = -1;
    FILE *mounts;

    snprintf(path, sizeof path, "/proc/%d/mountinfo", pid);
    mounts = fopen(path, "re");
    if (!mounts)
        return -1;
    while (domain < 0 && getline(&line, &capacity, mounts) > 0)
        domain = domain_of_mount(line, fuse_of(m)->fs->dev);
    free(line);
    fclose(mounts);
    return domain;
}
