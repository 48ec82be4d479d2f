/* SPDX-License-Identifier: MIT */
/* Maps a page of its own domain and leaves it mapped; given an argument, it unmaps it. */
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <xengnttab.h>

int main(int argc, char **argv)
{
    xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    uint32_t ref;
    void *shared = xengntshr_share_pages(gntshr, 1, 1, &ref, 1);
    void *mapped = xengnttab_map_grant_ref(gnttab, 1, ref, PROT_READ); /* reported */

    if (!mapped)
        return 1;
    printf("mapped\n");
    if (argc > 1)
        xengnttab_unmap(gnttab, mapped, 1);
    (void)argv;
    return xengntshr_unshare(gntshr, shared, 1);
}
