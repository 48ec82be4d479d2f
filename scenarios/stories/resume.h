/* SPDX-License-Identifier: MIT */
/*
 * resume DOMID: a frontend that lives on when its domain is suspended and resumed.
 *
 *   put WORD          writes a word into the shared page             -> ref N
 *   resumed           the domain was suspended and resumed           -> ready
 */
#ifndef RESUME_H
#define RESUME_H

#include "sample.h"

struct front {
    xengntshr_handle *gntshr;
    uint32_t domid, ref;
    char *page;
};

/* The domain was suspended and resumed. */
void resumed(struct front *f);
void share(struct front *f);

#endif
