/* SPDX-License-Identifier: MIT */
/* The bug: a key that the former frontend left behind counts as the new one's. */
#include "reconnect.h"

long ring_reference(struct keys *keys)
{
    return keys->ring_ref0 >= 0 ? keys->ring_ref0 : keys->ring_ref;
}
