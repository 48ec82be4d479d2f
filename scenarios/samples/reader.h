/* SPDX-License-Identifier: MIT */
/* reader DOMID REF: reads what domain DOMID shares read-only.   -> read TEXT */
#ifndef READER_H
#define READER_H

#include "sample.h"

void look(char *page);

int main(int argc, char **argv)
{
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    char *page;

    if (argc != 3 || !gnttab)
        die("reader DOMID REF");
    page = xengnttab_map_grant_ref(gnttab, (uint32_t)atoi(argv[1]), (uint32_t)atoi(argv[2]), PROT_READ);
    if (!page)
        die("xengnttab_map_grant_ref");
    look(page);
    if (xengnttab_unmap(gnttab, page, 1))
        die("xengnttab_unmap");
    return 0;
}

#endif
