/* SPDX-License-Identifier: MIT */
/* What every loopback does, right or wrong; loopback.h says how it is used. */
#include "loopback.h"

int main(int argc, char **argv)
{
    struct loop loop = { xengntshr_open(NULL, 0), xengnttab_open(NULL, 0), NULL, NULL };
    char line[64];
    unsigned nr;

    if (argc != 3 || !loop.gntshr || !loop.gnttab)
        die("loopback DOMID ROUNDS");
    for (int i = 0; i < atoi(argv[2]); i++) {
        uint32_t ref;

        loop.shared = xengntshr_share_pages(loop.gntshr, (uint32_t)atoi(argv[1]), 1, &ref, 1);
        if (!loop.shared)
            die("xengntshr_share_pages");
        loop.mapped = xengnttab_map_grant_ref(loop.gnttab, (uint32_t)atoi(argv[1]), ref,
                                              PROT_READ | PROT_WRITE);
        if (!loop.mapped)
            die("xengnttab_map_grant_ref");
        snprintf(loop.shared, PAGE, "round %d", i);
        say("through the mapping: %.32s", loop.mapped);
        strcpy(loop.mapped, "back");
        if (strcmp(loop.shared, "back"))
            die("the two are not one page");
        tear_down(&loop);
    }
    say("done");
    while (next_command(line, sizeof line, NULL, 0, &nr))
        ;
    return 0;
}
