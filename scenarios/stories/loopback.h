/* SPDX-License-Identifier: MIT */
/* loopback DOMID ROUNDS: shares a page with its own domain, DOMID, and maps it.       -> through
 * the mapping: TEXT */
#ifndef LOOPBACK_H
#define LOOPBACK_H

#include "sample.h"

struct loop {
    xengntshr_handle *gntshr;
    xengnttab_handle *gnttab;
    char *shared, *mapped;
};

void tear_down(struct loop *loop);

#endif
