/* SPDX-License-Identifier: MIT */
/* Finds the mapping at an address of a process. */
#include "maps_i.h"

#include <assert.h>
#include <dirent.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "machine.h"

/* ---- The index by address -------------------------------------------------------------------- */

/* Index of the first placed mapping with an address >= addr. */
static size_t lower_bound(const struct maps *maps, uint64_t addr)
{
    size_t low = 0, high = maps->nr;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (maps->by_addr[mid]->addr < addr)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void maps_index_remove(struct maps *maps, struct mapping *mapping)
{
    size_t i;

    if (!mapping->addr)
        return;
    for (i = lower_bound(maps, mapping->addr); i < maps->nr && maps->by_addr[i] != mapping; i++)
        ;
    assert(i < maps->nr);
    maps->nr--;
    memmove(&maps->by_addr[i], &maps->by_addr[i + 1], (maps->nr - i) * sizeof *maps->by_addr);
    mapping->addr = 0;
}

bool maps_index_insert(struct maps *maps, struct mapping *mapping, uint64_t addr)
{
    size_t i;

    if (maps->nr == maps->capacity) {
        size_t capacity = maps->capacity ? maps->capacity * 2 : 64;
        struct mapping **bigger = realloc(maps->by_addr, capacity * sizeof *bigger);

        if (!bigger)
            return false;
        maps->by_addr = bigger;
        maps->capacity = capacity;
    }
    mapping->addr = addr;
    i = lower_bound(maps, addr);
    memmove(&maps->by_addr[i + 1], &maps->by_addr[i], (maps->nr - i) * sizeof *maps->by_addr);
    maps->by_addr[i] = mapping;
    maps->nr++;
    return true;
}

static bool same_address_space(pid_t a, pid_t b)
{
    return a == b || syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0) == 0;
}

struct mapping *maps_find(struct maps *maps, pid_t tid, uint64_t start, uint64_t end,
                          size_t *cursor)
{
    size_t i = *cursor;

    if (!i) {
        /* Addresses of the window belong to one mapping; elsewhere (MAP_FIXED) those of several
         * processes may overlap, and any that starts up to the longest one's size below may reach
         * into the range. */
        uint64_t reach = start >= WINDOW_START && start < WINDOW_END
            ? 0 : maps->longest * HV_PAGE_SIZE;

        i = lower_bound(maps, start);
        while (i > 0) {
            struct mapping *below = maps->by_addr[i - 1];

            if (below->addr + below->nr_pages * HV_PAGE_SIZE <= start &&
                below->addr + reach <= start)
                break;
            i--;
        }
    }
    for (; i < maps->nr && maps->by_addr[i]->addr < end; i++) {
        struct mapping *mapping = maps->by_addr[i];

        if (mapping->pages_left && mapping->addr + mapping->nr_pages * HV_PAGE_SIZE > start &&
            same_address_space(mapping->tid, tid)) {
            *cursor = i + 1;
            return mapping;
        }
    }
    *cursor = i;
    return NULL;
}

/* ---- What processes show --------------------------------------------------------------------- */

/* The number of the link behind a line of /proc/<pid>/maps, 0 if it is none of ours. */
static uint64_t parse_line(const struct maps *maps, const char *line, uint64_t *start,
                           uint64_t *end)
{
    unsigned dev_major, dev_minor;
    unsigned long long ino;
    const char *slash;

    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*x %x:%x %llu", start, end, &dev_major,
               &dev_minor, &ino) != 5) {
        *start = *end = 0;
        return 0;
    }
    /* Another machine of this file system has links of the same numbers. */
    if (dev_major != major(maps->dev) || dev_minor != minor(maps->dev) || ino != maps->ino)
        return 0;
    slash = strrchr(line, '/');
    return slash ? strtoull(slash + 1, NULL, 10) : 0;
}

/* The first area of the process that is made from a link of ours, or is any (*number is then its
 * link, or 0), and reaches into [*start, *end), which become its own. */
static bool find_area(const struct maps *maps, pid_t tid, bool any, uint64_t *start, uint64_t *end,
                      uint64_t *number)
{
    char path[32], *line = NULL;
    uint64_t from, to;
    bool found = false;
    size_t size = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/maps", tid);
    file = fopen(path, "re");
    while (file && !found && getline(&line, &size, file) > 0) {
        *number = parse_line(maps, line, &from, &to);
        if (from >= *end)
            break;
        found = to > *start && (any || *number);
    }
    if (found) {
        *start = from;
        *end = to;
    }
    free(line);
    if (file)
        fclose(file);
    return found;
}

uint64_t maps_shown(const struct maps *maps, pid_t tid, uint64_t start, uint64_t end)
{
    uint64_t number;

    return find_area(maps, tid, false, &start, &end, &number) ? number : 0;
}

uint64_t maps_area_end(const struct maps *maps, pid_t tid, uint64_t addr)
{
    uint64_t start = addr, end = addr + 1, number;

    return find_area(maps, tid, true, &start, &end, &number) ? end : addr;
}

struct mapping *maps_own(struct maps *maps, uint64_t number, pid_t tid)
{
    struct mapping *mapping = links_find(maps, number);

    return mapping && same_address_space(mapping->tid, tid) ? mapping : NULL;
}

/* The first mapping of the process that ends above addr, if it is one of ours. */
static struct vma *find_in_proc(const struct maps *maps, pid_t tid, uint64_t addr)
{
    uint64_t start = addr, end = UINT64_MAX, number;
    struct mapping *mapping = find_area(maps, tid, true, &start, &end, &number)
                                ? links_find(maps, number)
                                : NULL;

    return mapping ? mapping->vma : NULL;
}

bool maps_look_around(struct maps *maps)
{
    struct mapping *mapping, *next;
    struct dirent *entry;
    DIR *proc = opendir("/proc");

    if (!proc)
        return false;
    HASH_ITER(hh, maps->by_id, mapping, next)
        mapping->shown = !mapping->placed;    /* one in the making is held by an open link */
    while ((entry = readdir(proc))) {
        char path[300], *line = NULL;
        size_t size = 0;
        FILE *file;

        if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
            continue;
        snprintf(path, sizeof path, "/proc/%s/maps", entry->d_name);
        file = fopen(path, "re");
        while (file && getline(&line, &size, file) > 0) {
            uint64_t start, end;

            mapping = links_find(maps, parse_line(maps, line, &start, &end));
            if (mapping)
                mapping->shown = true;
        }
        free(line);
        if (file)
            fclose(file);
    }
    closedir(proc);
    return true;
}

/* Whether the process shows the mapping. */
static bool shows(struct maps *maps, const char *pid, uint64_t id)
{
    char path[300], *line = NULL;
    bool found = false;
    size_t size = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%s/maps", pid);
    file = fopen(path, "re");
    while (file && !found && getline(&line, &size, file) > 0) {
        uint64_t start, end, number = parse_line(maps, line, &start, &end);
        const struct mapping *mapping;

        if (!number)
            continue;
        machine_lock_only(maps->machine);
        mapping = links_find(maps, number);
        found = mapping && mapping->id == id;
        machine_unlock_only(maps->machine);
    }
    free(line);
    if (file)
        fclose(file);
    return found;
}

bool maps_has_heirs(struct maps *maps, uint64_t id, pid_t tid)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    bool found = false;

    while (proc && !found && (entry = readdir(proc)))
        found = entry->d_name[0] >= '0' && entry->d_name[0] <= '9' &&
                atoi(entry->d_name) != tid && shows(maps, entry->d_name, id) &&
                !same_address_space(atoi(entry->d_name), tid);
    if (proc)
        closedir(proc);
    return found || !proc;
}

/* ---- A page of a process --------------------------------------------------------------------- */

struct vma *maps_find_vma(struct maps *maps, pid_t tid, uint64_t addr)
{
    size_t cursor = 0;
    struct mapping *mapping = addr + 1 ? maps_find(maps, tid, addr, addr + 1, &cursor) : NULL;

    /* Known for certain only where every munmap is seen and no fork can have copied it. */
    if (mapping && mapping->vma->dont_copy && mapping->addr >= WINDOW_START &&
        mapping->addr < WINDOW_END) {
        uint64_t page = (addr - mapping->addr) / HV_PAGE_SIZE;

        if (!(maps_gone(mapping)[page / 64] >> (page % 64) & 1))
            return mapping->vma;
    }
    return find_in_proc(maps, tid, addr);
}

struct vma *maps_vma_at(struct maps *maps, pid_t tid, uint64_t addr, uint64_t *page)
{
    size_t cursor = 0;
    struct mapping *mapping = addr + 1 ? maps_find(maps, tid, addr, addr + 1, &cursor) : NULL;

    if (!mapping)
        return NULL;
    *page = (addr - mapping->addr) / HV_PAGE_SIZE;
    return maps_gone(mapping)[*page / 64] >> (*page % 64) & 1 ? NULL : mapping->vma;
}
