/* SPDX-License-Identifier: MIT */
/*
 * sharer DOMA GFNA DOMB GFNB [REF]: shares a page of one domain with a page of another.
 *     share -> shares the two; still -> is the page of DOMA a shared one?
 *     full -> DOMA can have no page more, not even for a copy
 *     map, copy, unmap -> does so with what REF of DOMA grants
 *     end-source, end-client -> destroys DOMA, DOMB; gone -> nothing is shared any more
 * Each is answered by itself and "ok", or the name of an error. A helper says "made room".
 */
#ifndef SHARER_H
#define SHARER_H

#include "sample.h"

/* What a sharer does right or wrong. */
struct manners {
    bool writes;                /* maps pages to write that it only reads */
    bool keeps_handle;          /* of a page that may have been written since */
    bool is_alone;              /* serves no ring, so nobody makes room for copies */
};

extern const struct manners manners;

#endif
