/* SPDX-License-Identifier: MIT */
/*
 * forker DOMID REF: maps a page, starts a helper process, and is done with the page.
 *                                            -> mapped TEXT, helper PID, unmapped
 * Waits for the helper at the end of its input, and says how it ended.    -> helper ended | helper killed by SIGNAL
 */
#ifndef FORKER_H
#define FORKER_H

#include "sample.h"

/* In the child. Closes begun when it has begun; so does exec, and its end. */
void helper(xengnttab_handle *gnttab, const volatile char *page, int begun);

#endif
