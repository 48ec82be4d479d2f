/* SPDX-License-Identifier: MIT */
/* What every blkfront does, right or wrong; blkfront.h says how it is used. */
#include <fcntl.h>

#include "blkfront.h"

void complete_oldest(struct front *f)
{
    struct block *block = &f->blocks[f->first++];

    if (pwrite(f->image, block->page, PAGE, (off_t)block->nr * PAGE) != (ssize_t)PAGE)
        die("image");
    if (xengntshr_unshare(f->gntshr, block->page, 1))
        die("xengntshr_unshare");
}

char *share_page(struct front *f)
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
