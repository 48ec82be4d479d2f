/* SPDX-License-Identifier: MIT */
/* What every copier does, right or wrong; copier.h says how it is used. */
#include "copier.h"

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
        pieces[i].source.foreign.offset = (uint16_t)(i < PIECES - 1 ? SIZE * i
                                                                    : (unsigned)atoi(argv[3]));
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
