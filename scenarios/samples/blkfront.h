/* SPDX-License-Identifier: MIT */
/*
 * blkfront DOMID BLOCKS IMAGE: writes BLOCKS blocks. Each lies in a page that is shared with the backend in domain DOMID until
 * it has been written to IMAGE; many are under way at once.                       -> wrote BLOCKS blocks
 */
#ifndef BLKFRONT_H
#define BLKFRONT_H

#include <fcntl.h>

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
static inline void complete_oldest(struct front *f)
{
    struct block *block = &f->blocks[f->first++];

    if (pwrite(f->image, block->page, PAGE, (off_t)block->nr * PAGE) != (ssize_t)PAGE)
        die("image");
    if (xengntshr_unshare(f->gntshr, block->page, 1))
        die("xengntshr_unshare");
}

static inline char *share_page(struct front *f)
{
    uint32_t ref;
    char *page = xengntshr_share_pages(f->gntshr, f->domid, 1, &ref, 1);

    if (!page) {
        if (errno != ENOSPC)
            die("xengntshr_share_pages");
        if (!f->full++)
            say("no space with %u blocks under way", f->last - f->first);
    }
    return page;
}

int main(int argc, char **argv)
{
    struct front f = { .gntshr = xengntshr_open(NULL, 0) };
    unsigned nr;

    if (argc != 4 || !f.gntshr)
        die("blkfront DOMID BLOCKS IMAGE");
    f.domid = (uint32_t)atoi(argv[1]);
    nr = (unsigned)atoi(argv[2]);
    f.image = open(argv[3], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    f.blocks = calloc(nr, sizeof *f.blocks);
    if (f.image < 0 || !f.blocks)
        die(argv[3]);
    for (unsigned i = 0; i < nr; i++) {
        char *page = page_for_block(&f);

        if (!page)
            continue;
        memset(page, 'a' + (int)(i % 26), PAGE);
        f.blocks[f.last++] = (struct block){ i, page };
    }
    while (f.first < f.last)
        complete_oldest(&f);
    say("wrote %u blocks", nr);
    return 0;
}

#endif
