/* SPDX-License-Identifier: MIT */
/* Where the tests of gntdev's mappings begin. */
#ifndef GNTSIM_TEST_KERNEL_SCENE_GNTDEV_H
#define GNTSIM_TEST_KERNEL_SCENE_GNTDEV_H

#include "harness.h"

static struct file *a, *g;
static struct vma *pages;
static uint32_t refs[4];

/* Domain 0 shares four pages with domain 1, which has gntdev open. */
static void up(void)
{
    world_up();
    a = open_dev(0, "gntalloc");
    g = open_dev(1, "gntdev");
    pages = share(a, 1, 4, refs);
    for (unsigned i = 0; i < 4; i++)
        *at(pages, i, 0) = (uint8_t)(0xa0 + i);
}

static void down(void)
{
    if (pages)
        do_munmap(pages);
    close_dev(a);
    close_dev(g);
    EQ(info(1).maptrack_in_use, 0);
    world_down();
}

static uint64_t new_map(uint32_t count)
{
    uint64_t index;

    EQ(map_refs(g, 0, refs, count, &index), 0);
    return index;
}

#endif
