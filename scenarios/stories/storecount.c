/* SPDX-License-Identifier: MIT */
/* Right: a commit that says EAGAIN has done nothing, so all of it is done again. */
#include "storecount.h"

bool count(struct xs_handle *xs, const char *path)
{
    for (;;) {
        xs_transaction_t transaction = xs_transaction_start(xs);

        if (transaction == XBT_NULL)
            return false;
        if (!storecount_add(xs, transaction, path)) {
            xs_transaction_end(xs, transaction, true);
            return false;
        }
        if (xs_transaction_end(xs, transaction, false))
            return true;
        if (errno != EAGAIN)
            return false;
    }
}
