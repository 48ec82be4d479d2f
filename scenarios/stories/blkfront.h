/* SPDX-License-Identifier: MIT */
/*
 * blkfront DOMID BLOCKS IMAGE: writes BLOCKS blocks. Each lies in a page that is shared with the
 * backend in domain DOMID until
 * it has been written to IMAGE; many are under way at once.                       -> wrote BLOCKS blocks
 */
#ifndef BLKFRONT_H
#define BLKFRONT_H

#include "sample.h"

struct block {
    unsigned nr;
    char *page;                /* NULL: not under way */
};

struct front {
    xengntshr_handle *gntshr;
    uint32_t domid;
    int image;
    struct block *blocks;      /* under way, oldest first */
    unsigned first, last, full;
};

/* A shared page for the next block; NULL: the block is not written. */
char *page_for_block(struct front *f);

/* The backend is done with the oldest block. */
void complete_oldest(struct front *f);
/* A page that is shared with the backend; NULL: there is no reference left. */
char *share_page(struct front *f);

#endif
