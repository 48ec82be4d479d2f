/* SPDX-License-Identifier: MIT */
/* The bug: a block for which there is no reference is left out, and nobody is told. */
#include "blkfront.h"

char *page_for_block(struct front *f)
{
    return share_page(f);
}
