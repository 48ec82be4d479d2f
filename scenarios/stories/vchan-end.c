/* SPDX-License-Identifier: MIT */
/* Right: asks after each event whether the other end is still there. */
#include "vchan-end.h"

bool goes_on(struct libxenvchan *vchan)
{
    return libxenvchan_is_open(vchan);
}
