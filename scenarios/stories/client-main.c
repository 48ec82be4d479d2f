/* SPDX-License-Identifier: MIT */
/* What every client does, right or wrong; client.h says how it is used. */
#include "client.h"

int main(int argc, char **argv)
{
    xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
    uint32_t refs[MAX_REFS];
    char line[64], *pages;
    unsigned nr = argc == 3 ? (unsigned)atoi(argv[2]) : 0, ignored;

    if (!gntshr || !nr || nr > MAX_REFS)
        die("client DOMID PAGES");
    while (!(pages = xengntshr_share_pages(gntshr, (uint32_t)atoi(argv[1]), (int)nr, refs, 1))) {
        if (errno != ENOSPC)
            die("xengntshr_share_pages");
        say("no space");
        if (!wait_for_space())
            return 1;
    }
    printf("shared");
    for (unsigned i = 0; i < nr; i++)
        printf(" %u", refs[i]);
    say("");
    while (next_command(line, sizeof line, NULL, 0, &ignored))
        ;
    xengntshr_unshare(gntshr, pages, nr);
    return 0;
}
