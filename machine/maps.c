/* SPDX-License-Identifier: MIT */
#include "maps.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "machine.h"
#include "trace.h"


struct maps {
    struct hv *hv;
    struct machine *machine;
    int dir_fd;                  /* holds "memory" and "maps" */
    int links_fd;                /* "maps" */
    int memory_fd;
    int inotify_fd;
    void *memory;
    size_t memory_size;
    dev_t dev;
    uint64_t next_id;
    uint64_t next_link;
    struct link *links;          /* by number */
    struct link *idle;
    unsigned nr_idle;
    uint64_t next_addr;
    uint64_t longest;            /* pages of the longest mapping ever */
    struct mapping *by_id;
    struct mapping **by_addr;    /* placed ones, ascending addr */
    size_t nr, capacity;
};

#define MAX_IDLE 64u

/* What a mapping is made from, and inotify names. Once it is closed another mapping of the same pages can be made from it. */
struct link {
    uint64_t number;
    struct mapping *mapping;     /* NULL while idle */
    char name[80];
    size_t same;                 /* where what the name says of the pages begins */
    struct link *next;           /* of the idle ones, latest first */
    UT_hash_handle hh;           /* of the others */
};

static void link_free(struct maps *maps, struct link *link)
{
    unlinkat(maps->links_fd, link->name, 0);
    free(link);
}

/* ---- Life ------------------------------------------------------------------------------------- */

int maps_create(struct maps **out, int dir_fd, uint64_t nr_frames, void **memory)
{
    struct maps *maps = calloc(1, sizeof *maps);
    char path[64];
    struct stat st;
    int rc;

    if (!maps)
        return -ENOMEM;
    *maps = (struct maps){ .dir_fd = dir_fd, .links_fd = -1, .memory_fd = -1, .inotify_fd = -1,
                           .memory = MAP_FAILED, .next_id = 1, .next_addr = WINDOW_START };
    maps->memory_size = nr_frames * HV_PAGE_SIZE;
    maps->memory_fd = openat(dir_fd, "memory", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (maps->memory_fd < 0 || ftruncate(maps->memory_fd, (off_t)maps->memory_size) || fstat(maps->memory_fd, &st))
        goto fail;
    maps->dev = st.st_dev;
    maps->memory = mmap(NULL, maps->memory_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, maps->memory_fd, 0);
    if (maps->memory == MAP_FAILED || mkdirat(dir_fd, "maps", 0700))
        goto fail;
    maps->links_fd = openat(dir_fd, "maps", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    maps->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (maps->links_fd < 0 || maps->inotify_fd < 0)
        goto fail;
    snprintf(path, sizeof path, "/proc/self/fd/%d", maps->links_fd);
    if (inotify_add_watch(maps->inotify_fd, path, IN_CLOSE) < 0)
        goto fail;
    *memory = maps->memory;
    *out = maps;
    return 0;

fail:
    rc = -errno;
    maps_destroy(maps);
    return rc;
}

void maps_destroy(struct maps *maps)
{
    if (!maps)
        return;
    assert(!maps->by_id);
    while (maps->idle) {
        struct link *link = maps->idle;

        maps->idle = link->next;
        link_free(maps, link);
    }
    free(maps->by_addr);
    if (maps->memory != MAP_FAILED)
        munmap(maps->memory, maps->memory_size);
    if (maps->inotify_fd >= 0)
        close(maps->inotify_fd);
    if (maps->links_fd >= 0)
        close(maps->links_fd);
    if (maps->memory_fd >= 0)
        close(maps->memory_fd);
    free(maps);
}

int maps_inotify_fd(const struct maps *maps)
{
    return maps->inotify_fd;
}

int maps_memory_fd(const struct maps *maps)
{
    return maps->memory_fd;
}

size_t maps_count(const struct maps *maps)
{
    return HASH_COUNT(maps->by_id);
}

/* ---- The index by address --------------------------------------------------------------------- */

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

static void index_remove(struct maps *maps, struct mapping *mapping)
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

static bool index_insert(struct maps *maps, struct mapping *mapping, uint64_t addr)
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

/* ---- Making and ending ------------------------------------------------------------------------ */

static uint64_t *gone_bits(struct mapping *mapping)
{
    return mapping->gone ? mapping->gone : &mapping->inline_gone;
}

/* While a process may see a frame it is not given to anybody else. */
static void hold_frames(struct maps *maps, const struct vma_run *runs, size_t nr_runs, void (*hold)(struct hv *, uint64_t))
{
    trace_frames(maps->machine, runs, nr_runs, hold == hv_frame_get);
    for (size_t i = 0; i < nr_runs; i++)
        for (uint64_t j = 0; runs[i].mfn != HV_INVALID_MFN && j < runs[i].nr; j++)
            hold(maps->hv, runs[i].mfn + j);
}

/* A link that was closed, and is known to be: no event of its past is to come. */
static void link_rest(struct maps *maps, struct link *link)
{
    struct link **last;

    link->mapping = NULL;
    link->next = maps->idle;
    maps->idle = link;
    if (++maps->nr_idle <= MAX_IDLE)
        return;
    for (last = &maps->idle; (*last)->next; last = &(*last)->next)
        ;
    link_free(maps, *last);
    *last = NULL;
    maps->nr_idle--;
}

/* A link for the vma: an idle one if its name fits, else a new one. NULL: errno says why. */
static struct link *link_get(struct maps *maps, const struct vma *vma)
{
    char pages[60];
    struct link **found, *link;

    snprintf(pages, sizeof pages, ".%.11s.%" PRIu64 ".%" PRIu64, vma->file->dev->name, vma->pgoff * HV_PAGE_SIZE, vma->nr_pages);
    for (found = &maps->idle; (link = *found); found = &link->next) {
        if (strcmp(link->name + link->same, pages))
            continue;
        *found = link->next;
        maps->nr_idle--;
        return link;
    }
    link = calloc(1, sizeof *link);
    if (!link)
        return NULL;
    link->number = ++maps->next_link;
    link->same = (size_t)sprintf(link->name, "%" PRIu64, link->number);
    strcpy(link->name + link->same, pages);
    if (!linkat(maps->dir_fd, "memory", maps->links_fd, link->name, 0))
        return link;
    free(link);
    return NULL;
}

/* Opens a link for the mapping. */
static int open_link(struct maps *maps, struct mapping *mapping, int *link_fd)
{
    struct link *link = link_get(maps, mapping->vma);
    int rc;

    if (!link)
        return -errno;
    *link_fd = openat(maps->links_fd, link->name, (mapping->vma->may_write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (*link_fd < 0) {
        rc = -errno;
        link_free(maps, link);
        return rc;
    }
    link->mapping = mapping;
    mapping->nr_links++;
    HASH_ADD(hh, maps->links, number, sizeof link->number, link);
    return 0;
}

int maps_add(struct maps *maps, struct vma *vma, pid_t tid, void (*ended)(struct file *file), struct mapping **out, int *link_fd)
{
    struct mapping *mapping = calloc(1, sizeof *mapping);
    int rc = -ENOMEM;

    if (!mapping)
        return -ENOMEM;
    *mapping = (struct mapping){ .id = maps->next_id, .vma = vma, .tid = tid, .ended = ended,
                                 .nr_pages = vma->nr_pages, .pages_left = vma->nr_pages };
    if (vma->nr_pages > 64) {
        mapping->gone = calloc((vma->nr_pages + 63) / 64, sizeof *mapping->gone);
        if (!mapping->gone)
            goto fail;
    }
    rc = open_link(maps, mapping, link_fd);
    if (rc)
        goto fail;
    maps->next_id++;
    if (maps->longest < vma->nr_pages)
        maps->longest = vma->nr_pages;
    vma->owner = mapping;
    hold_frames(maps, vma->runs, vma->nr_runs, hv_frame_get);
    HASH_ADD(hh, maps->by_id, id, sizeof mapping->id, mapping);
    *out = mapping;
    return 0;

fail:
    free(mapping->gone);
    free(mapping);
    return rc;
}

int maps_fill(struct maps *maps, struct vma *vma, const struct vma_run *runs, size_t nr_runs, int *link_fd)
{
    hold_frames(maps, runs, nr_runs, hv_frame_get);
    return open_link(maps, vma->owner, link_fd);
}

uint64_t maps_window_alloc(struct maps *maps, uint64_t nr_pages)
{
    uint64_t size = nr_pages * HV_PAGE_SIZE, addr;

    if (nr_pages > (WINDOW_END - WINDOW_START) / HV_PAGE_SIZE)
        return 0;
    if (maps->next_addr + size > WINDOW_END)
        maps->next_addr = WINDOW_START;
    addr = maps->next_addr;
    maps->next_addr += size;
    return addr;
}

static struct mapping *find_id(const struct maps *maps, uint64_t id)
{
    struct mapping *mapping;

    HASH_FIND(hh, maps->by_id, &id, sizeof id, mapping);
    return mapping;
}

bool maps_place(struct maps *maps, uint64_t id, uint64_t addr)
{
    struct mapping *mapping = find_id(maps, id);

    if (!mapping)
        return false;
    mapping->placed = true;
    index_remove(maps, mapping);
    return index_insert(maps, mapping, addr);
}

void maps_settled(struct maps *maps, uint64_t id)
{
    struct mapping *mapping = find_id(maps, id);

    if (mapping)
        mapping->placed = true;
}

struct mapping *maps_find(struct maps *maps, pid_t tid, uint64_t start, uint64_t end, size_t *cursor)
{
    size_t i = *cursor;

    if (!i) {
        /* Addresses of the window belong to one mapping; elsewhere (MAP_FIXED) those of several processes may overlap,
         * and any that starts up to the longest one's size below may reach into the range. */
        uint64_t reach = start >= WINDOW_START && start < WINDOW_END ? 0 : maps->longest * HV_PAGE_SIZE;

        i = lower_bound(maps, start);
        while (i > 0) {
            struct mapping *below = maps->by_addr[i - 1];

            if (below->addr + below->nr_pages * HV_PAGE_SIZE <= start && below->addr + reach <= start)
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

void maps_unmapped(struct maps *maps, struct mapping *mapping, uint64_t start, uint64_t end)
{
    uint64_t first = start > mapping->addr ? (start - mapping->addr) / HV_PAGE_SIZE : 0;
    uint64_t last = (end - mapping->addr) / HV_PAGE_SIZE;
    uint64_t *gone = gone_bits(mapping);

    (void)maps;
    if (last > mapping->nr_pages)
        last = mapping->nr_pages;
    for (uint64_t i = first, run; i < last; i += run) {
        bool was_gone = gone[i / 64] >> (i % 64) & 1;

        for (run = 0; i + run < last && (gone[(i + run) / 64] >> ((i + run) % 64) & 1) == was_gone; run++)
            if (!was_gone)
                gone[(i + run) / 64] |= 1ull << ((i + run) % 64);
        if (was_gone)
            continue;
        mapping->pages_left -= run;
        kernel_vma_unmap(mapping->vma, i, run);
    }
}

/* The last piece is gone everywhere. */
static void mapping_end(struct maps *maps, struct mapping *mapping)
{
    struct file *file = mapping->vma->file;

    if (mapping->pages_left) {
        uint64_t addr = mapping->addr;

        maps_unmapped(maps, mapping, addr, addr + mapping->nr_pages * HV_PAGE_SIZE);
    }
    index_remove(maps, mapping);
    HASH_DEL(maps->by_id, mapping);
    hold_frames(maps, mapping->vma->runs, mapping->vma->nr_runs, hv_frame_put);
    kernel_vma_close(mapping->vma);
    mapping->ended(file);
    free(mapping->gone);
    free(mapping);
}

/* The mapping made from a link that exists. */
static struct mapping *find_link(const struct maps *maps, uint64_t number)
{
    struct link *link;

    HASH_FIND(hh, maps->links, &number, sizeof number, link);
    return link ? link->mapping : NULL;
}

struct vma *maps_vma_of(const struct maps *maps, uint64_t number)
{
    const struct mapping *mapping = find_link(maps, number);

    return mapping && mapping->pages_left ? mapping->vma : NULL;
}

static void link_closed(struct maps *maps, uint64_t number)
{
    struct mapping *mapping;
    struct link *link;

    HASH_FIND(hh, maps->links, &number, sizeof number, link);
    if (!link)
        return;
    mapping = link->mapping;
    HASH_DEL(maps->links, link);
    link_rest(maps, link);
    if (!--mapping->nr_links)
        mapping_end(maps, mapping);
}

/* Whatever links it has. */
static void end_whole(struct maps *maps, struct mapping *mapping)
{
    struct link *link, *next;

    HASH_ITER(hh, maps->links, link, next) {
        if (link->mapping != mapping)
            continue;
        HASH_DEL(maps->links, link);
        link_free(maps, link);
    }
    mapping_end(maps, mapping);
}

/* ---- What processes show ---------------------------------------------------------------------- */

/* The mapping behind a line of /proc/<pid>/maps, if it is one of ours. */
static struct mapping *parse_line(const struct maps *maps, const char *line, uint64_t *start, uint64_t *end)
{
    unsigned dev_major, dev_minor;
    const char *slash;

    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*x %x:%x", start, end, &dev_major, &dev_minor) != 4) {
        *start = *end = 0;
        return NULL;
    }
    if (dev_major != major(maps->dev) || dev_minor != minor(maps->dev))
        return NULL;
    slash = strrchr(line, '/');
    return slash ? find_link(maps, strtoull(slash + 1, NULL, 10)) : NULL;
}

/* The first mapping of the process that ends above addr, if it is one of ours. */
static struct vma *find_in_proc(const struct maps *maps, pid_t tid, uint64_t addr)
{
    struct mapping *mapping = NULL;
    char path[32], *line = NULL;
    size_t size = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/maps", tid);
    file = fopen(path, "re");
    if (!file)
        return NULL;
    while (getline(&line, &size, file) > 0) {
        uint64_t start, end;

        mapping = parse_line(maps, line, &start, &end);
        if (end > addr)
            break;
        mapping = NULL;
    }
    free(line);
    fclose(file);
    return mapping ? mapping->vma : NULL;
}

struct vma *maps_find_vma(struct maps *maps, pid_t tid, uint64_t addr)
{
    size_t cursor = 0;
    struct mapping *mapping = addr + 1 ? maps_find(maps, tid, addr, addr + 1, &cursor) : NULL;

    /* Known for certain only where every munmap is seen and no fork can have copied it. */
    if (mapping && mapping->vma->dont_copy && mapping->addr >= WINDOW_START && mapping->addr < WINDOW_END) {
        uint64_t page = (addr - mapping->addr) / HV_PAGE_SIZE;

        if (!(gone_bits(mapping)[page / 64] >> (page % 64) & 1))
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
    return gone_bits(mapping)[*page / 64] >> (*page % 64) & 1 ? NULL : mapping->vma;
}

/* ---- Seeing the end --------------------------------------------------------------------------- */

/* Events were lost: every mapping that no process shows any more has ended. */
static void resync(struct maps *maps)
{
    struct mapping *mapping, *next;
    struct dirent *entry;
    DIR *proc = opendir("/proc");

    if (!proc)
        return;
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

            mapping = parse_line(maps, line, &start, &end);
            if (mapping)
                mapping->shown = true;
        }
        free(line);
        if (file)
            fclose(file);
    }
    closedir(proc);
    HASH_ITER(hh, maps->by_id, mapping, next)
        if (!mapping->shown)
            end_whole(maps, mapping);
}

void maps_end_all(struct maps *maps)
{
    struct mapping *mapping, *next;
    struct link *link, *next_link;

    HASH_ITER(hh, maps->links, link, next_link) {
        HASH_DEL(maps->links, link);
        link_free(maps, link);
    }
    HASH_ITER(hh, maps->by_id, mapping, next)
        mapping_end(maps, mapping);
}

void maps_set_machine(struct maps *maps, struct machine *m)
{
    maps->hv = m->hv;
    maps->machine = m;
}

void maps_drain(struct maps *maps)
{
    char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t size;

    if (!maps->by_id)
        return;
    while ((size = read(maps->inotify_fd, buffer, sizeof buffer)) > 0) {
        for (char *at = buffer; at < buffer + size;) {
            struct inotify_event *event = (struct inotify_event *)(void *)at;

            at += sizeof *event + event->len;
            if (event->mask & IN_Q_OVERFLOW) {
                resync(maps);
                continue;
            }
            if (event->len)
                link_closed(maps, strtoull(event->name, NULL, 10));
        }
        if ((size_t)size < sizeof buffer / 2)
            break;               /* there was room for more */
    }
}
