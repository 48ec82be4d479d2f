/* SPDX-License-Identifier: MIT */
/* Right: the memory and the open device are as before, the grant is gone. Another page is
 * shared. */
#include "resume.h"

void resumed(struct front *f)
{
    xengntshr_unshare(f->gntshr, f->page, 1);
    share(f);
}
