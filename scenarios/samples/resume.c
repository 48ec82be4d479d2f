/* SPDX-License-Identifier: MIT */
/* Right: nothing of before is good any more; it begins anew. */
#include "resume.h"

void resumed(struct front *f)
{
    xengntshr_unshare(f->gntshr, f->page, 1);      /* the memory; the grant is gone already */
    xengntshr_close(f->gntshr);
    connect_front(f);
}
