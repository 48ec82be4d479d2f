/* SPDX-License-Identifier: MIT */
/* Calls that end, move or rearrange device mappings: munmap, mremap, mprotect, remap_file_pages. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "filter.h"
#include "machine.h"
#include "maps.h"
#include "supervisor_i.h"

/* Tells the kernel model that pages left the thread's address space, then what ended altogether. Without the lock. */
static void pages_left(struct notice *notice, uint64_t start, uint64_t end)
{
    struct machine *m = notice->supervisor->machine;
    struct mapping *mapping;
    size_t cursor = 0;

    /* Not machine_lock, which would first see the end of mappings whose pages have not been reported. */
    machine_lock_only(m);
    m->stats.notifications++;
    machine_caller(m, notice->tid);
    while ((mapping = maps_find(m->maps, notice->tid, start, end, &cursor)))
        maps_unmapped(m->maps, mapping, start, end);
    maps_drain(m->maps);
    machine_unlock(m);
}

/*
 * If [start, end) holds nothing but mappings that no fork can have copied, whose pages go nowhere else: they end here and now, so they may as
 * well end a moment before the kernel does it. The frames are not reused before.
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
        m->stats.notifications++;
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
    uint64_t start = notice->args[0], size = notice->args[1], end;
    struct inject inject;
    long result;

    size = (size + HV_PAGE_SIZE - 1) & ~(uint64_t)(HV_PAGE_SIZE - 1);
    end = start + size;
    if (start % HV_PAGE_SIZE || !size || end < start) {
        answer_continue(notice);
        return;
    }
    if (left_if_only_here(notice, start, end)) {
        answer_continue(notice);
        return;
    }
    /* Whether the mapping ends depends on forked children: known when the call is over, and to be known before it returns. The
     * kernel closes what it unmapped before the thread stops behind the call. */
    if (stop_thread(notice, &inject)) {
        answer_continue(notice);
        return;
    }
    result = inject_call(&inject, SYS_munmap, (uint64_t[6]){ start, size, INJECTED_MAGIC });
    if (!result)
        pages_left(notice, start, end);
    inject_end(&inject, result);
}

/* An mremap that is allowed, executed by the stopped thread. The filter reports it again. */
static long inject_mremap(struct notice *notice, struct inject *inject)
{
    struct notice again;
    bool received = false;

    /* A stop of somebody's (SIGSTOP) can end the call before it was received: once more. */
    for (int tries = 0; tries < 1000 && !received && !inject->gone; tries++)
        received = inject_call_begin(inject, SYS_mremap, notice->args) && receive_from(notice->supervisor, inject, &again);
    if (!received)
        return -ESRCH;
    answer_continue(&again);
    return inject_call_end(inject);
}

/*
 * mremap of device mappings. None may grow. One that is not inherited by fork, a PV kernel's, may not move: a real one's grants
 * are unmapped by it, which leaves the process nothing to use.
 */
void handle_mremap(struct notice *notice)
{
    struct machine *m = notice->supervisor->machine;
    uint64_t start = notice->args[0], old_size = notice->args[1], new_size = notice->args[2], id = 0, end;
    bool ours, may_move;
    struct mapping *mapping = NULL;
    struct inject inject;
    size_t cursor = 0;
    long result;

    old_size = (old_size + HV_PAGE_SIZE - 1) & ~(uint64_t)(HV_PAGE_SIZE - 1);
    new_size = (new_size + HV_PAGE_SIZE - 1) & ~(uint64_t)(HV_PAGE_SIZE - 1);
    end = start + (old_size ? old_size : HV_PAGE_SIZE);
    machine_lock(m);
    if (end > start)
        mapping = maps_find(m->maps, notice->tid, start, end, &cursor);
    /* An address of the window without a mapping of this process is one that a fork inherited. */
    ours = mapping || (start >= WINDOW_START && start < WINDOW_END);
    may_move = !mapping || !mapping->vma->dont_copy;
    if (mapping && mapping->addr == start)
        id = mapping->id;
    machine_unlock(m);
    if (!ours) {
        answer_continue(notice);
        return;
    }
    if (start % HV_PAGE_SIZE || !new_size) {
        answer_error(notice, -EINVAL);
        return;
    }
    if (new_size > old_size || (notice->args[3] & MREMAP_FIXED && !may_move) || stop_thread(notice, &inject)) {
        answer_error(notice, -EFAULT);
        return;
    }
    result = inject_mremap(notice, &inject);
    if (result >= 0) {
        if ((uint64_t)result != start && id) {
            machine_lock(m);
            maps_place(m->maps, id, (uint64_t)result);
            machine_unlock(m);
        }
        if (new_size < old_size)
            pages_left(notice, (uint64_t)result + new_size, (uint64_t)result + old_size);
    }
    inject_end(&inject, result);
}

/*
 * mprotect of a PV kernel's grant mapping: to a real one that is as if the pages were taken away. It unmaps the grants (the byte of a
 * notification is cleared), and what is left is an area in which every access is SIGBUS.
 */
void handle_mprotect(struct notice *notice)
{
    struct machine *m = notice->supervisor->machine;
    uint64_t start = notice->args[0], end = start + ((notice->args[1] + HV_PAGE_SIZE - 1) & ~(uint64_t)(HV_PAGE_SIZE - 1));
    unsigned prot = (unsigned)notice->args[2];
    struct vma_run nothing = { HV_INVALID_MFN, (end - start) / HV_PAGE_SIZE };
    struct mapping *mapping;
    struct vma shown = { 0 };
    struct vma_fill fill = { .vma = &shown, .runs = &nothing, .nr_runs = 1 };
    bool changes = false;
    size_t cursor = 0;
    int link_fd, rc = 0;

    machine_lock(m);
    mapping = end > start && !(start % HV_PAGE_SIZE) ? maps_find(m->maps, notice->tid, start, end, &cursor) : NULL;
    if (mapping && mapping->vma->dont_copy && start >= mapping->addr && end <= mapping->addr + mapping->nr_pages * HV_PAGE_SIZE) {
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
        answer_continue(notice);
    else if (rc || !changes)
        answer(notice, rc, 0, 0);
    else
        place_fill(notice, &fill, start, link_fd, 0);
}

void handle_remap_file_pages(struct notice *notice)
{
    struct machine *m = notice->supervisor->machine;
    uint64_t start = notice->args[0], end = start + notice->args[1];
    size_t cursor = 0;
    bool ours;

    machine_lock(m);
    ours = (start >= WINDOW_START && start < WINDOW_END) ||
           (end > start && maps_find(m->maps, notice->tid, start, end, &cursor));
    machine_unlock(m);
    if (ours)
        answer_error(notice, -EINVAL);
    else
        answer_continue(notice);
}
