/* SPDX-License-Identifier: MIT */
/* Answers calls that end, move or rearrange device mappings. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "filter.h"
#include "fuse_way_i.h"
#include "maps.h"
#include "proc.h"
#include "space.h"
#include "supervisor_i.h"

static uint64_t pages_up(uint64_t size)
{
    return (size + HV_PAGE_SIZE - 1) & ~(uint64_t)(HV_PAGE_SIZE - 1);
}

/*
 * Tells the kernel model that pages left the thread's address space, then what ended altogether.
 * Without the lock.
 */
static void pages_left(struct notice *notice, uint64_t start, uint64_t end)
{
    struct machine *m = notice->supervisor->machine;
    struct mapping *mapping;
    size_t cursor = 0;

    /* Not machine_lock, which would first see the end of mappings whose pages have not been
     * reported. */
    machine_lock_only(m);
    fuse_of(m)->notifications++;
    machine_caller(m, notice->tid);
    while ((mapping = maps_find(m->maps, notice->tid, start, end, &cursor)))
        maps_unmapped(m->maps, mapping, start, end);
    maps_drain(m->maps);
    machine_unlock(m);
}

/*
 * If [start, end) holds nothing but mappings that no fork can have copied, whose pages go nowhere
 * else: they end here and now, so they may as well end a moment before the kernel does it. The
 * frames are not reused before.
 */
static bool left_if_only_here(struct notice *notice, uint64_t start, uint64_t end)
{
    struct machine *m = notice->supervisor->machine;
    struct mapping *mapping;
    bool some = false, all = true;
    size_t cursor = 0;

    machine_lock(m);
    while ((mapping = maps_find(m->maps, notice->tid, start, end, &cursor))) {
        some = true;
        all &= mapping->vma->dont_copy;
    }
    if (some && all) {
        fuse_of(m)->notifications++;
        machine_caller(m, notice->tid);
        cursor = 0;
        while ((mapping = maps_find(m->maps, notice->tid, start, end, &cursor)))
            maps_unmapped(m->maps, mapping, start, end);
    }
    machine_unlock(m);
    return some && all;
}

void handle_munmap(struct notice *notice)
{
    uint64_t start = notice->args[0], size = pages_up(notice->args[1]), end = start + size;
    struct inject inject;
    long result;

    if (start % HV_PAGE_SIZE || !size || end < start) {
        answer_continue(notice);
        return;
    }
    if (left_if_only_here(notice, start, end)) {
        answer_continue(notice);
        return;
    }
    /* Whether the mapping ends depends on forked children: known when the call is over, and to be
     * known before it returns. The kernel closes what it unmapped before the thread stops behind
     * the call. */
    if (stop_thread(notice, &inject)) {
        answer_continue(notice);
        return;
    }
    result = inject_call(&inject, SYS_munmap, (uint64_t[6]){ start, size, INJECTED_MAGIC });
    if (!result)
        pages_left(notice, start, end);
    end_stop(notice, &inject, result);
}

/* ---- What a process shows of ours ------------------------------------------------------------ */

/* A device mapping in a range of the caller's. */
struct found {
    uint64_t link;               /* 0: there is none */
    uint64_t id;                 /* of the caller's own mapping, 0: inherited by fork */
    uint64_t addr;               /* where that begins */
    bool may_write, may_move;
};

/*
 * Looks at what the process shows: a mapping's own thread may be gone, and forked children have
 * what their parents mapped.
 */
static struct found find_shown(struct notice *notice, uint64_t start, uint64_t end)
{
    struct maps *maps = notice->supervisor->machine->maps;
    struct found found = { 0 };
    struct mapping *mapping;
    struct vma *vma;

    if (start % HV_PAGE_SIZE || end <= start ||
        !(found.link = maps_shown(maps, notice->tid, start, end)))
        return found;
    machine_lock(notice->supervisor->machine);
    mapping = maps_own(maps, found.link, notice->tid);
    vma = maps_vma_of(maps, found.link);
    found.may_write = vma && (vma->may_write || vma->is_private);
    found.may_move = !mapping || !mapping->vma->dont_copy;
    if (mapping) {
        found.id = mapping->id;
        found.addr = mapping->addr;
    }
    machine_unlock(notice->supervisor->machine);
    return found;
}

/* ---- mremap ---------------------------------------------------------------------------------- */

/*
 * An mremap that is allowed, executed by the stopped thread. News of an area that moves would say
 * that it is gone.
 */
static long inject_mremap(struct notice *notice, struct inject *inject, uint64_t old_size,
                          uint64_t new_size)
{
    struct machine *m = notice->supervisor->machine;
    struct space *space = space_of(m, proc_status(notice->tid).pid);
    uint64_t args[6];
    long result;

    memcpy(args, notice->args, sizeof args);
    args[5] = INJECTED_MAGIC;
    if (space)
        space_ignore(space, args[0], old_size);
    result = inject_call(inject, SYS_mremap, args);
    if (space) {
        if (result >= 0)
            space_watch(space, (uint64_t)result, new_size);
        else
            space_watch(space, args[0], old_size);
        space_put(m, space);
    }
    return result;
}

/*
 * mremap of device mappings. None may grow. One that is not inherited by fork, a PV kernel's, may
 * not move: a real one's grants are unmapped by it, which leaves the process nothing to use.
 */
void handle_mremap(struct notice *notice)
{
    struct machine *m = notice->supervisor->machine;
    uint64_t start = notice->args[0], old_size = pages_up(notice->args[1]),
             new_size = pages_up(notice->args[2]);
    struct found found = find_shown(notice, start, start + (old_size ? old_size : HV_PAGE_SIZE));
    struct inject inject;
    long result;

    if (!found.link) {
        answer_continue(notice);
        return;
    }
    if (!new_size || notice->args[3] & MREMAP_DONTUNMAP) {
        answer_error(notice, -EINVAL);
        return;
    }
    if (new_size > old_size || (notice->args[3] & MREMAP_FIXED && !found.may_move) ||
        stop_thread(notice, &inject)) {
        answer_error(notice, -EFAULT);
        return;
    }
    result = inject_mremap(notice, &inject, old_size, new_size);
    if (result >= 0) {
        if ((uint64_t)result != start && found.id && found.addr == start) {
            machine_lock(m);
            maps_place(m->maps, found.id, (uint64_t)result, 0);
            machine_unlock(m);
        }
        if (new_size < old_size)
            pages_left(notice, (uint64_t)result + new_size, (uint64_t)result + old_size);
    }
    end_stop(notice, &inject, result);
}

/* ---- mprotect -------------------------------------------------------------------------------- */

/* mprotect of a mapping that is not unmapped by it: what it is made from could be written. */
static void protect_others(struct notice *notice, uint64_t start, uint64_t end, unsigned prot)
{
    struct found found = { 0 };

    if (prot & PROT_WRITE)
        found = find_shown(notice, start, end);
    if (found.link && !found.may_write)
        answer_error(notice, -EACCES);
    else
        answer_continue(notice);
}

/*
 * mprotect of a PV kernel's grant mapping: to a real one that is as if the pages were taken away.
 * It unmaps the grants (the byte of a notification is cleared), and what is left is an area in
 * which every access is SIGBUS.
 */
void handle_mprotect(struct notice *notice)
{
    struct machine *m = notice->supervisor->machine;
    uint64_t start = notice->args[0], end = start + pages_up(notice->args[1]);
    unsigned prot = (unsigned)notice->args[2];
    struct vma_run nothing = { HV_INVALID_MFN, (end - start) / HV_PAGE_SIZE };
    struct mapping *mapping;
    struct vma shown = { 0 };
    struct vma_fill fill = { .vma = &shown, .runs = &nothing, .nr_runs = 1 };
    bool changes = false;
    size_t cursor = 0;
    int link_fd, rc = 0;

    machine_lock(m);
    mapping = end > start && !(start % HV_PAGE_SIZE)
                ? maps_find(m->maps, notice->tid, start, end, &cursor)
                : NULL;
    if (mapping && mapping->vma->dont_copy && start >= mapping->addr &&
        end <= mapping->addr + mapping->nr_pages * HV_PAGE_SIZE) {
        changes = prot != mapping->vma->prot;
        if (prot & PROT_WRITE && (mapping->vma->file->flags & O_ACCMODE) == O_RDONLY)
            rc = -EACCES;
        else if (changes)
            rc = maps_fill(m->maps, mapping->vma, &nothing, 1, &link_fd);
    } else {
        mapping = NULL;
    }
    if (mapping && !rc && changes) {
        shown = *mapping->vma;
        shown.map_prot = shown.may_write ? prot : prot & ~(unsigned)PROT_WRITE;
        maps_unmapped(m->maps, mapping, start, end);
        machine_settle(m);
    }
    machine_unlock(m);
    if (!mapping)
        protect_others(notice, start, end, prot);
    else if (rc || !changes)
        answer_notice(notice, rc, 0, 0);
    else
        place_fill(notice, &fill, start, link_fd, 0);
}

/* ---- Calls that a device does not have ------------------------------------------------------- */

void handle_remap_file_pages(struct notice *notice)
{
    if (find_shown(notice, notice->args[0], notice->args[0] + notice->args[1]).link)
        answer_error(notice, -EINVAL);
    else
        answer_continue(notice);
}

/*
 * Pages that are not needed leave a mapping. A hole in the memory behind it would be one in the
 * granter's page; Linux has none for character devices.
 */
void handle_madvise(struct notice *notice)
{
    uint64_t start = notice->args[0], end = start + pages_up(notice->args[1]);
    bool takes = notice->args[2] == MADV_DONTNEED || notice->args[2] == MADV_DONTNEED_LOCKED;
    struct found found = { 0 };

    if (takes && !(start % HV_PAGE_SIZE) && end > start)
        left_if_only_here(notice, start, end);
    else if (!takes)
        found = find_shown(notice, start, end);
    if (!found.link)
        answer_continue(notice);
    else if (notice->args[2] == MADV_REMOVE)
        answer_error(notice, found.may_write ? -ENODEV : -EACCES);
    else
        answer_error(notice, -EINVAL);
}

/* shmat over what is there. How much it took away shows when it is done. */
void handle_shmat(struct notice *notice)
{
    struct machine *m = notice->supervisor->machine;
    uint64_t start = notice->args[1];
    struct inject inject;
    long result;

    if (!maps_shown(m->maps, notice->tid, start, UINT64_MAX) || stop_thread(notice, &inject)) {
        answer_continue(notice);
        return;
    }
    result = inject_call(&inject, SYS_shmat,
                         (uint64_t[6]){ notice->args[0], start, notice->args[2], INJECTED_MAGIC });
    if (result > 0)
        pages_left(notice, (uint64_t)result, maps_area_end(m->maps, notice->tid, (uint64_t)result));
    end_stop(notice, &inject, result);
}
