/* SPDX-License-Identifier: MIT */
/*
 * owner DOMID: shares a page of its own with a domain, and uses it.
 *     -> ref REF; read -> read TEXT; write N -> wrote text N
 */
#include "sample.h"

int main(int argc, char **argv)
{
    xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
    unsigned long args[1] = { 0 };
    char line[256], *word, *page;
    uint32_t ref;
    unsigned nr;

    if (argc != 2 || !gntshr)
        die("owner DOMID");
    page = xengntshr_share_pages(gntshr, (uint32_t)atoi(argv[1]), 1, &ref, 1);
    if (!page)
        die("xengntshr_share_pages");
    strcpy(page, "text 0");
    say("ref %u", ref);
    while ((word = next_command(line, sizeof line, args, 1, &nr)))
        if (!strcmp(word, "write")) {
            snprintf(page, 32, "text %lu", args[0]);
            say("wrote %s", page);
        } else {
            say("read %.32s", page);
        }
    if (xengntshr_unshare(gntshr, page, 1))
        die("xengntshr_unshare");
    xengntshr_close(gntshr);
    say("bye");
    return 0;
}
