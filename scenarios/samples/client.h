/* SPDX-License-Identifier: MIT */
/*
 * client DOMID PAGES: shares PAGES pages with domain DOMID.         -> shared REF... | no space
 * When there is no space it is told "again" when it may be better.  -> (as above)
 * Ends at the end of its input.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include "sample.h"

/* There is no space: true to try again. */
bool wait_for_space(void);

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
    return 0;
}

#endif
