/* SPDX-License-Identifier: MIT */
/*
 * Machine memory as clients map it. The memory is one file on a private tmpfs. Each device mapping
 * is made from a hard link of its own, maps/<number>.<device>.<offset>.<pages>, which is kept for
 * the next mapping of its kind. When the last piece of a mapping goes, by munmap, exit or SIGKILL
 * in the last process, the kernel closes the link's open file and inotify reports it.
 */
#ifndef GNTSIM_MACHINE_MAPS_H
#define GNTSIM_MACHINE_MAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <uthash.h>

#include <gntsim/kernel.h>

#include "window.h"

struct machine;
struct maps;

/* One completed (or being completed) mmap of a device. It may have several links: one for the mmap,
 * and one each time that an ioctl filled pages of it. */
struct mapping {
    uint64_t id;
    unsigned nr_links;
    struct vma *vma;
    pid_t tid; /* thread that makes it, and its process once placed; its address space is the
                  mapping's */
    uint64_t addr;              /* 0 until placed */
    uint64_t nr_pages;
    uint64_t pages_left;        /* in that address space */
    uint64_t *gone;             /* bitmap of pages that left it; NULL: inline_gone */
    uint64_t inline_gone;
    struct vma_run *held;       /* frames, some of them more than once */
    size_t nr_held;
    struct shown_page **followed; /* by page (follow.h); NULL: none is */
    uint64_t nr_waiting;        /* pages of them whose writes wait */
    /* a part's: no fork inherits it for now; somebody has inherited it */
    bool is_alone, has_heirs;
    void (*ended)(struct file *file);   /* gives the file's reference back */
    bool told_by_link;          /* a part's: the link alone tells of its end */
    bool placed; /* the link is in nobody's hands any more: what is not mapped from it has ended */
    bool shown;                 /* resync's: some process shows it */
    UT_hash_handle hh;          /* by id */
};

/* dir_fd: an empty directory on a tmpfs of our own, which is closed with the maps, or now on an
 * error. 0 or negative errno; the memory of nr_frames is mapped at *memory. */
int maps_create(struct maps **out, int dir_fd, uint64_t nr_frames, void **memory);
void maps_destroy(struct maps *maps);      /* after maps_end_all */
/* The machine whose frames they are; before the first mapping. */
void maps_set_machine(struct maps *maps, struct machine *m);
/* Readable when a mapping ended. */
int maps_inotify_fd(const struct maps *maps);
/* Whether somebody has taken note of mappings that ended since the last call of this. */
bool maps_have_news(struct maps *maps);
size_t maps_count(const struct maps *maps);
/* Has the file system give room for the first nr_frames frames: an access to one that it has no
 * room for would be SIGBUS, for us and for programs. 0 or negative errno. Waits for nobody: the
 * file is on a tmpfs, or another local file system. */
int maps_reserve(struct maps *maps, uint64_t nr_frames);
/* The memory as a whole, for reading and writing; stays maps'. */
int maps_memory_fd(const struct maps *maps);

/* The following need the machine's lock. */

/* Takes note of all mappings that ended: their vmas are closed. */
void maps_drain(struct maps *maps);
/* No end of a mapping is seen any more. The kernel takes up to 20 ms to let go of a watch, and a
 * close waits for it: so this comes some time before maps_destroy. */
void maps_unwatch(struct maps *maps);
/* Ends every mapping, whoever still has it: the machine stops. */
void maps_end_all(struct maps *maps);
/*
 * Registers a mapping of vma, holds its frames, and opens its link, read-only unless the vma may be
 * written. It belongs into the hold of the lock in which the kernel model said yes: the end of the
 * domain gives the frames to others. *link_fd is the caller's: once every copy of it is closed and
 * nothing is mapped from it, the vma is closed and ended called with its file. Negative errno
 * (-ENODEV: the domain has ended): the vma is still the caller's.
 */
int maps_add(struct maps *maps, struct vma *vma, pid_t tid, void (*ended)(struct file *file),
             struct mapping **out, int *link_fd);
/* The same for pages that an ioctl filled: holds the frames and opens another link. The mapping
 * lasts until all its links are closed. Negative errno: nothing is held, and there is no link. */
int maps_fill(struct maps *maps, struct vma *vma, const struct vma_run *runs, size_t nr_runs,
              int *link_fd);
/*
 * An address for nr_pages that was not used before (or long ago), in the half where munmap is
 * reported or the other one; 0 if there is none.
 */
uint64_t maps_window_alloc(struct maps *maps, uint64_t nr_pages, bool reported);
/* The vma of a mapping that has the link, NULL if it has ended. */
struct vma *maps_vma_of(const struct maps *maps, uint64_t number);
/*
 * The mapping id was placed at addr, of process pid (0: of its own); false: it has ended meanwhile.
 */
bool maps_place(struct maps *maps, uint64_t id, uint64_t addr, pid_t pid);
/* The mapping id was placed, at an address that its process does not tell. */
void maps_settled(struct maps *maps, uint64_t id);
/*
 * The first mapping at or after *cursor (0 at first) with pages in [start, end) of tid's memory;
 * NULL.
 */
struct mapping *maps_find(struct maps *maps, pid_t tid, uint64_t start, uint64_t end,
                          size_t *cursor);
/*
 * The number of the first link that the process shows in [start, end), wherever it comes from: 0 if
 * there is none. Without the lock.
 */
uint64_t maps_shown(const struct maps *maps, pid_t tid, uint64_t start, uint64_t end);
/* Where the process's area ends that holds addr; addr if there is none. Without the lock. */
uint64_t maps_area_end(const struct maps *maps, pid_t tid, uint64_t addr);
/* The mapping of a link that the process shows, if the process made it and did not inherit it. */
struct mapping *maps_own(struct maps *maps, uint64_t number, pid_t tid);
/* Pages of [start, end) left the mapping's address space. */
void maps_unmapped(struct maps *maps, struct mapping *mapping, uint64_t start, uint64_t end);
/* NULL: it has ended. */
struct mapping *maps_mapping(const struct maps *maps, uint64_t id);
/* All mappings, in a uthash by hh. */
struct mapping *maps_first(const struct maps *maps);
/* Holds the frame for a process, or not any more. */
void maps_hold(struct maps *maps, uint64_t mfn, bool hold);
/* The frame of a page, whose hold is the caller's from now on: the mapping's end leaves it alone.
 * HV_INVALID_MFN: no memory. */
uint64_t maps_take_frame(struct mapping *mapping, uint64_t page);
/* Whether another address space than tid's shows the mapping. Takes the lock for moments. */
bool maps_has_heirs(struct maps *maps, uint64_t id, pid_t tid);
/* For user_memory_ops.find_vma: what struct user_memory says. */
struct vma *maps_find_vma(struct maps *maps, pid_t tid, uint64_t addr);
/* The same for vma_at. */
struct vma *maps_vma_at(struct maps *maps, pid_t tid, uint64_t addr, uint64_t *page);

#endif
