/* SPDX-License-Identifier: MIT */
/*
 * The mappings of a machine's memory in this process. The name of the mapped file tells what a
 * mapping is. So the library asks the kernel's list of mappings, as a real gntdev does, and
 * remembers nothing that a plain munmap could make wrong.
 */
#ifndef GNTSIM_LIBGNTTAB_SOCK_AREA_I_H
#define GNTSIM_LIBGNTTAB_SOCK_AREA_I_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sock_answer;
struct sock_client;

struct sock_area {
    uint64_t start, end;
    uint64_t id;                 /* the mapping's number */
    uint64_t page;               /* at start, in the file */
    uint64_t offset;             /* in its device, bytes */
    uint32_t count;              /* pages of the mmap that it is a part of */
    bool is_gntdev;
};

/* The first mapping that ends above addr, if it is one of a machine's. */
bool sock_area_find(struct sock_client *client, uint64_t addr, struct sock_area *area);
/* Maps what a reply offers and closes its descriptor. As mmap(2). */
void *sock_area_place(const struct sock_answer *answer, size_t length);

#endif
