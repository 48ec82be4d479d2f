/* SPDX-License-Identifier: MIT */
/* What every resume does, right or wrong; resume.h says how it is used. */
#include "resume.h"

void share(struct front *f)
{
    f->page = xengntshr_share_pages(f->gntshr, f->domid, 1, &f->ref, 1);
    if (!f->page)
        die("xengntshr_share_pages");
}

int main(int argc, char **argv)
{
    struct front f = { 0 };
    char line[128];

    if (argc != 2)
        die("resume DOMID");
    f.domid = (uint32_t)atoi(argv[1]);
    f.gntshr = xengntshr_open(NULL, 0);
    if (!f.gntshr)
        die("xengntshr_open");
    share(&f);
    say("ready");
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "put ", 4)) {
            strcpy(f.page, line + 4);
            say("ref %u", f.ref);
        } else if (!strcmp(line, "resumed")) {
            resumed(&f);
            say("ready");
        }
    }
    xengntshr_unshare(f.gntshr, f.page, 1);
    return 0;
}
