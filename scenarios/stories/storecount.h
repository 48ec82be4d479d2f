/* SPDX-License-Identifier: MIT */
/* A program that adds one to a number in xenstore: storecount PATH -> counted | failed. */
#ifndef STORECOUNT_H
#define STORECOUNT_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenstore.h>

bool count(struct xs_handle *xs, const char *path);
/* In a transaction: the number that is there, and one more is written. */
bool storecount_add(struct xs_handle *xs, xs_transaction_t transaction, const char *path);

#endif
