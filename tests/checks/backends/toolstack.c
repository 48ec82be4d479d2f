/* SPDX-License-Identifier: MIT */
/* Makes the store's nodes of a block device: toolstack FRONT BACK. */
#include <stdio.h>
#include <stdlib.h>
#include <xenstore.h>

static int make(struct xs_handle *xs, const char *path, unsigned owner, unsigned reader)
{
    struct xs_permissions rights[] = { { owner, XS_PERM_NONE }, { reader, XS_PERM_READ } };

    return xs_mkdir(xs, XBT_NULL, path) && xs_set_permissions(xs, XBT_NULL, path, rights, 2);
}

int main(int argc, char **argv)
{
    struct xs_handle *xs = xs_open(0);
    char path[100];
    unsigned front = argc == 3 ? strtoul(argv[1], NULL, 0) : 0;
    unsigned back = argc == 3 ? strtoul(argv[2], NULL, 0) : 0;

    snprintf(path, sizeof path, "/local/domain/%u/device/vbd/0", front);
    if (!xs || !make(xs, path, front, back))
        return 1;
    snprintf(path, sizeof path, "/local/domain/%u/backend/vbd/%u/0", back, front);
    return !make(xs, path, back, front);
}
