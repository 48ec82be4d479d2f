/* SPDX-License-Identifier: MIT */
/* Keeps the device mappings of clients and notices when one ends. */
#include "maps_i.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "follow.h"
#include "machine.h"
#include "trace.h"

#define RESERVE_AHEAD (1u << 20)     /* bytes: a call for each page would take longer */

/* ---- Life ------------------------------------------------------------------------------------ */

int maps_create(struct maps **out, int dir_fd, uint64_t nr_frames, void **memory)
{
    struct maps *maps = calloc(1, sizeof *maps);
    char path[64];
    struct stat st;
    int rc;

    if (!maps) {
        close(dir_fd);
        return -ENOMEM;
    }
    *maps = (struct maps){ .dir_fd = dir_fd, .links_fd = -1, .memory_fd = -1, .inotify_fd = -1,
                           .memory = MAP_FAILED, .next_id = 1 };
    maps->memory_size = nr_frames * HV_PAGE_SIZE;
    maps->memory_fd = openat(dir_fd, "memory", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (maps->memory_fd < 0 || ftruncate(maps->memory_fd, (off_t)maps->memory_size) ||
        fstat(maps->memory_fd, &st))
        goto fail;
    maps->dev = st.st_dev;
    maps->ino = st.st_ino;
    maps->memory = mmap(NULL, maps->memory_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                        maps->memory_fd, 0);
    if (maps->memory == MAP_FAILED || mkdirat(dir_fd, "maps", 0700))
        goto fail;
    maps->links_fd = openat(dir_fd, "maps", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    maps->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (maps->links_fd < 0 || maps->inotify_fd < 0)
        goto fail;
    snprintf(path, sizeof path, "/proc/self/fd/%d", maps->links_fd);
    maps->watch = inotify_add_watch(maps->inotify_fd, path, IN_CLOSE);
    if (maps->watch < 0)
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
    links_destroy(maps);
    free(maps->by_addr);
    if (maps->memory != MAP_FAILED)
        munmap(maps->memory, maps->memory_size);
    if (maps->inotify_fd >= 0)
        close(maps->inotify_fd);
    if (maps->links_fd >= 0)
        close(maps->links_fd);
    if (maps->memory_fd >= 0)
        close(maps->memory_fd);
    close(maps->dir_fd);
    free(maps);
}

void maps_unwatch(struct maps *maps)
{
    inotify_rm_watch(maps->inotify_fd, maps->watch);
}

int maps_inotify_fd(const struct maps *maps)
{
    return maps->inotify_fd;
}

int maps_memory_fd(const struct maps *maps)
{
    return maps->memory_fd;
}

/* Room for an unused part of the file, on a file system that knows no fallocate. */
static int write_zeroes(int fd, size_t from, size_t to)
{
    static const char zeroes[HV_PAGE_SIZE];

    for (; from < to; from += sizeof zeroes)
        if (pwrite(fd, zeroes, sizeof zeroes, (off_t)from) != (ssize_t)sizeof zeroes)
            return -ENOSPC;
    return 0;
}

static int reserve_to(struct maps *maps, size_t end)
{
    int rc;

    do
        rc = fallocate(maps->memory_fd, 0, (off_t)maps->reserved, (off_t)(end - maps->reserved))
               ? -errno
               : 0;
    while (rc == -EINTR);
    if (rc == -EOPNOTSUPP)
        rc = write_zeroes(maps->memory_fd, maps->reserved, end);
    if (!rc)
        maps->reserved = end;
    return rc;
}

int maps_reserve(struct maps *maps, uint64_t nr_frames)
{
    size_t end = nr_frames * HV_PAGE_SIZE,
           more = (end + RESERVE_AHEAD - 1) / RESERVE_AHEAD * RESERVE_AHEAD;

    if (end <= maps->reserved ||
        !reserve_to(maps, more < maps->memory_size ? more : maps->memory_size))
        return 0;
    return reserve_to(maps, end);
}

bool maps_have_news(struct maps *maps)
{
    return atomic_exchange(&maps->news, false);
}

size_t maps_count(const struct maps *maps)
{
    return HASH_COUNT(maps->by_id);
}

/* ---- Making and ending ----------------------------------------------------------------------- */

/* While a process may see a frame it is not given to anybody else. */
static void move_frames(struct maps *maps, const struct vma_run *runs, size_t nr_runs, bool hold)
{
    void (*move)(struct hv *, uint64_t) = hold ? hv_frame_get : hv_frame_put;

    trace_frames(maps->machine, runs, nr_runs, hold);
    for (size_t i = 0; i < nr_runs; i++)
        for (uint64_t j = 0; runs[i].mfn != HV_INVALID_MFN && j < runs[i].nr; j++)
            move(maps->hv, runs[i].mfn + j);
}

void maps_hold(struct maps *maps, uint64_t mfn, bool hold)
{
    struct vma_run run = { mfn, 1 };

    move_frames(maps, &run, 1, hold);
}

struct mapping *maps_first(const struct maps *maps)
{
    return maps->by_id;
}

/* Whether the kernel that said what these frames are still has them: its end gives them back. */
static bool are_there(const struct maps *maps, const struct vma *vma, const struct vma_run *runs,
                      size_t nr_runs)
{
    const struct kernel *k = vma->file->kernel;

    if (k && !hv_domain_state(maps->hv, kernel_domid(k)))
        return true;
    for (size_t i = 0; i < nr_runs; i++)
        if (runs[i].mfn != HV_INVALID_MFN)
            return false;
    return true;
}

/*
 * Another link for the mapping, from which these frames will be shown. They are held from now on.
 * What is held is in the books of the mapping itself: the kernel that made the vma may end before
 * it does.
 */
static int add_frames(struct maps *maps, struct mapping *mapping, const struct vma_run *runs,
                      size_t nr_runs, int *link_fd)
{
    struct vma_run *held;
    int rc;

    if (!are_there(maps, mapping->vma, runs, nr_runs))
        return -ENODEV;
    held = reallocarray(mapping->held, mapping->nr_held + nr_runs, sizeof *held);
    if (!held)
        return -ENOMEM;
    mapping->held = held;
    rc = links_open(maps, mapping, link_fd);
    if (rc)
        return rc;
    memcpy(held + mapping->nr_held, runs, nr_runs * sizeof *runs);
    mapping->nr_held += nr_runs;
    move_frames(maps, runs, nr_runs, true);
    return 0;
}

uint64_t maps_take_frame(struct mapping *mapping, uint64_t page)
{
    struct vma_run *held = reallocarray(mapping->held, mapping->nr_held + 1, sizeof *held), *run;
    uint64_t mfn;
    size_t i = 0;

    if (!held)
        return HV_INVALID_MFN;
    mapping->held = held;
    for (; page >= mapping->vma->runs[i].nr; i++)
        page -= mapping->vma->runs[i].nr;
    mfn = mapping->vma->runs[i].mfn + page;
    for (run = held; mfn < run->mfn || mfn - run->mfn >= run->nr; run++)
        ;
    /* The run ends before it, and goes on behind it as another one. */
    held[mapping->nr_held++] = (struct vma_run){ mfn + 1, run->mfn + run->nr - mfn - 1 };
    run->nr = mfn - run->mfn;
    return mfn;
}

static void mapping_free(struct mapping *mapping)
{
    free(mapping->held);
    free(mapping->gone);
    free(mapping);
}

int maps_add(struct maps *maps, struct vma *vma, pid_t tid, void (*ended)(struct file *file),
             struct mapping **out, int *link_fd)
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
    rc = add_frames(maps, mapping, vma->runs, vma->nr_runs, link_fd);
    if (rc)
        goto fail;
    maps->next_id++;
    if (maps->longest < vma->nr_pages)
        maps->longest = vma->nr_pages;
    vma->owner = mapping;
    HASH_ADD(hh, maps->by_id, id, sizeof mapping->id, mapping);
    *out = mapping;
    return 0;

fail:
    mapping_free(mapping);
    return rc;
}

int maps_fill(struct maps *maps, struct vma *vma, const struct vma_run *runs, size_t nr_runs,
              int *link_fd)
{
    return add_frames(maps, vma->owner, runs, nr_runs, link_fd);
}

uint64_t maps_window_alloc(struct maps *maps, uint64_t nr_pages, bool reported)
{
    uint64_t start = reported ? WINDOW_START : WINDOW_MIDDLE,
             end = reported ? WINDOW_MIDDLE : WINDOW_END;
    uint64_t *next = &maps->next_addr[reported], size = nr_pages * HV_PAGE_SIZE, addr;

    if (nr_pages > (end - start) / HV_PAGE_SIZE)
        return 0;
    if (*next < start || *next + size > end)
        *next = start;
    addr = *next;
    *next += size;
    return addr;
}

struct mapping *maps_mapping(const struct maps *maps, uint64_t id)
{
    struct mapping *mapping;

    HASH_FIND(hh, maps->by_id, &id, sizeof id, mapping);
    return mapping;
}

bool maps_place(struct maps *maps, uint64_t id, uint64_t addr, pid_t pid)
{
    struct mapping *mapping = maps_mapping(maps, id);

    if (!mapping)
        return false;
    mapping->placed = true;
    if (pid)
        mapping->tid = pid;
    maps_index_remove(maps, mapping);
    if (maps->machine && maps->machine->watched)
        PARTS_TELL(maps->machine, mapping_placed, maps->machine, mapping->vma, addr);
    if (!maps_index_insert(maps, mapping, addr))
        return false;
    follow_placed(maps->machine, mapping);
    return true;
}

void maps_settled(struct maps *maps, uint64_t id)
{
    struct mapping *mapping = maps_mapping(maps, id);

    if (mapping)
        mapping->placed = true;
}

void maps_unmapped(struct maps *maps, struct mapping *mapping, uint64_t start, uint64_t end)
{
    uint64_t first = start > mapping->addr ? (start - mapping->addr) / HV_PAGE_SIZE : 0;
    uint64_t last = (end - mapping->addr) / HV_PAGE_SIZE;
    uint64_t *gone = maps_gone(mapping);

    (void)maps;
    if (last > mapping->nr_pages)
        last = mapping->nr_pages;
    for (uint64_t i = first, run; i < last; i += run) {
        bool was_gone = gone[i / 64] >> (i % 64) & 1;

        for (run = 0; i + run < last && (gone[(i + run) / 64] >> ((i + run) % 64) & 1) == was_gone;
             run++)
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
    maps_index_remove(maps, mapping);
    HASH_DEL(maps->by_id, mapping);
    follow_end(maps->machine, mapping);
    move_frames(maps, mapping->held, mapping->nr_held, false);
    kernel_vma_close(mapping->vma);
    mapping->ended(file);
    mapping_free(mapping);
}

struct vma *maps_vma_of(const struct maps *maps, uint64_t number)
{
    const struct mapping *mapping = links_find(maps, number);

    return mapping && mapping->pages_left ? mapping->vma : NULL;
}

static void link_closed(struct maps *maps, uint64_t number)
{
    struct mapping *mapping = links_close(maps, number);

    if (mapping && !--mapping->nr_links)
        mapping_end(maps, mapping);
}

/* Whatever links it has. */
static void end_whole(struct maps *maps, struct mapping *mapping)
{
    links_drop(maps, mapping);
    mapping_end(maps, mapping);
}

/* ---- Seeing the end -------------------------------------------------------------------------- */

/* Events were lost: every mapping that no process shows any more has ended. */
static void resync(struct maps *maps)
{
    struct mapping *mapping, *next;

    if (!maps_look_around(maps))
        return;
    HASH_ITER(hh, maps->by_id, mapping, next)
        if (!mapping->shown)
            end_whole(maps, mapping);
}

void maps_end_all(struct maps *maps)
{
    struct mapping *mapping, *next;

    if (!maps)
        return;
    links_drop(maps, NULL);
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
        atomic_store(&maps->news, true);
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
