/* SPDX-License-Identifier: MIT */
/* The bug: only the pieces' statuses are looked at. They say "okay" before anything is copied. */
#include "copier.h"

bool copy_all(xengnttab_handle *gnttab, xengnttab_grant_copy_segment_t *pieces)
{
    (void)!xengnttab_grant_copy(gnttab, PIECES, pieces);
    for (unsigned i = 0; i < PIECES - 1; i++)
        if (pieces[i].status != GNTST_okay)
            return false;
    return true;
}
