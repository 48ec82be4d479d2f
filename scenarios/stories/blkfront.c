/* SPDX-License-Identifier: MIT */
/* Right: when there is no reference left, the oldest block is finished first. */
#include "blkfront.h"

char *page_for_block(struct front *f)
{
    char *page = share_page(f);

    while (!page && f->first < f->last) {
        complete_oldest(f);
        page = share_page(f);
    }
    return page;
}
