/* SPDX-License-Identifier: MIT */
/*
 * copier DOMID REF LAST: copies 20 pieces of 16 bytes out of a page of domain DOMID with one call: piece i from offset 16 * i,
 * but the last one from offset LAST.           -> copied TEXT|TEXT... | error
 */
#ifndef COPIER_H
#define COPIER_H

#include "sample.h"

#define PIECES 20u
#define SIZE 16u

/* Are all pieces there? */
bool copy_all(xengnttab_handle *gnttab, xengnttab_grant_copy_segment_t *pieces);

int main(int argc, char **argv)
{
    xengnttab_grant_copy_segment_t pieces[PIECES] = { 0 };
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    char *to = aligned_alloc(PAGE, PAGE);

    if (argc != 4 || !gnttab || !to)
        die("copier DOMID REF LAST");
    memset(to, 0, PAGE);
    for (unsigned i = 0; i < PIECES; i++) {
        pieces[i].source.foreign.domid = (uint16_t)atoi(argv[1]);
        pieces[i].source.foreign.ref = (uint32_t)atoi(argv[2]);
        pieces[i].source.foreign.offset = (uint16_t)(i < PIECES - 1 ? SIZE * i : (unsigned)atoi(argv[3]));
        pieces[i].dest.virt = to + SIZE * i;
        pieces[i].len = SIZE;
        pieces[i].flags = GNTCOPY_source_gref;
    }
    if (!copy_all(gnttab, pieces)) {
        say("error");
        return 0;
    }
    printf("copied ");
    for (unsigned i = 0; i < PIECES; i++)
        printf("%s%.16s", i ? "|" : "", to + SIZE * i);
    say("");
    return 0;
}

#endif
