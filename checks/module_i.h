/* SPDX-License-Identifier: MIT */
/* A file that programs have mapped to execute it: what unwinding and symbols need of it. */
#ifndef GNTSIM_CHECKS_MODULE_I_H
#define GNTSIM_CHECKS_MODULE_I_H

#include <elfutils/libdwfl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "witness.h"

struct module {
    char *path;
    dev_t dev;
    ino_t ino;
    int fd;      /* -1: it could not be opened */
    bool opened; /* elf and cfi have been tried */
    Elf *elf;    /* NULL: none */
    Dwarf *dwarf;
    Dwarf_CFI *eh_cfi, *debug_cfi;
    Dwfl *dwfl; /* for symbols; NULL: not tried, or none */
    bool dwfl_tried;
    uint64_t *starts; /* of functions, ascending, as .eh_frame_hdr says */
    size_t nr_starts;
    struct module *next;
};

/* An executable mapping of a process. */
struct area {
    uint64_t start, end, offset; /* offset in the file of start */
    struct module *module;
};

/* Makes elf, cfi and starts available. */
void module_open(struct module *module);
void module_free(struct module *module);
/* The address in the file's own numbering of the byte at offset of it. False: it is not loaded. */
bool module_vaddr(struct module *module, uint64_t offset, uint64_t *vaddr);
bool module_offset(struct module *module, uint64_t vaddr, uint64_t *offset);
/* The start of the function that holds vaddr, 0 if it is not known. */
uint64_t module_function(const struct module *module, uint64_t vaddr);

/* A stack that is being walked, in a copy of the thread's memory. */
struct walk {
    pid_t tid;
    const struct area *areas;
    size_t nr_areas;
    uint64_t pc, sp, bp;
    bool has_bp;    /* bp is known, and pc is where something went wrong */
    uint64_t start; /* of the copy */
    const unsigned char *bytes;
    size_t size;
    pthread_mutex_t *lock; /* held, but not while the thread's memory is read */
    bool approximate;      /* out */
};
const struct area *area_find(const struct area *areas, size_t nr, uint64_t address);
/* At most nr return addresses, the first the pc itself. How many there are. With the lock. */
size_t walk_stack(struct walk *walk, uint64_t *addresses, size_t nr);

/* symbols.c. Tells the frames at vaddr of the module, where a call returns to unless is_pc. */
void module_read(struct module *module, uint64_t offset, bool is_pc,
                 void (*tell)(void *ctx, const struct frame_text *frame), void *ctx);

#endif
