/* SPDX-License-Identifier: MIT */
/* Wrong: an event without data is one to wait on for. */
#include "vchan-end.h"

bool goes_on(struct libxenvchan *vchan)
{
    (void)vchan;
    return true;
}
