/* SPDX-License-Identifier: MIT */
/* Right: what a frontend published is good for one connection. */
#include "reconnect.h"

long ring_reference(struct keys *keys)
{
    long ref = keys->ring_ref0 >= 0 ? keys->ring_ref0 : keys->ring_ref;

    keys->ring_ref = keys->ring_ref0 = -1;
    return ref;
}
