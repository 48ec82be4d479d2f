/* SPDX-License-Identifier: MIT */
/* Wrong: takes a transaction for a lock, which cannot fail at its end. */
#include "storecount.h"

bool count(struct xs_handle *xs, const char *path)
{
    xs_transaction_t transaction = xs_transaction_start(xs);

    if (transaction == XBT_NULL || !storecount_add(xs, transaction, path))
        return false;
    xs_transaction_end(xs, transaction, false);
    return true;
}
