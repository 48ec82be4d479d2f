/* SPDX-License-Identifier: MIT */
/*
 * copier DOMID REF LAST: copies 20 pieces of 16 bytes out of a page of domain DOMID with one call:
 * piece i from offset 16 * i,
 * but the last one from offset LAST.           -> copied TEXT|TEXT... | error
 */
#ifndef COPIER_H
#define COPIER_H

#include "sample.h"

#define PIECES 20u
#define SIZE 16u

/* Are all pieces there? */
bool copy_all(xengnttab_handle *gnttab, xengnttab_grant_copy_segment_t *pieces);

#endif
