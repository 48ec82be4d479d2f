/* SPDX-License-Identifier: MIT */
/* What every reader does, right or wrong; reader.h says how it is used. */
#include "reader.h"

int main(int argc, char **argv)
{
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    char *page;

    if (argc != 3 || !gnttab)
        die("reader DOMID REF");
    page = xengnttab_map_grant_ref(gnttab, (uint32_t)atoi(argv[1]), (uint32_t)atoi(argv[2]),
                                   PROT_READ);
    if (!page)
        die("xengnttab_map_grant_ref");
    look(page);
    if (xengnttab_unmap(gnttab, page, 1))
        die("xengnttab_unmap");
    return 0;
}
