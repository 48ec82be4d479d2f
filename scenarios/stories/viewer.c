/* SPDX-License-Identifier: MIT */
/*
 * viewer DOMID PORT FILE: shows the windows whose references are in FILE (see windows.h), sets byte
 * 0 of each.
 *
 *   close             unmaps them, byte 0 before, and rings -> closed
 */
#include "sample.h"

#define MAX_WINDOWS 4096u

struct window {
    char *pixels;
    uint32_t nr;
};

static void show(xengnttab_handle *gnttab, uint32_t domid, char *line, struct window *window)
{
    uint32_t refs[MAX_REFS];
    char *save;

    for (char *word = strtok_r(line, " \n", &save); word && window->nr < MAX_REFS;
         word = strtok_r(NULL, " \n", &save))
        refs[window->nr++] = (uint32_t)strtoul(word, NULL, 0);
    window->pixels = xengnttab_map_domain_grant_refs(gnttab, window->nr, domid, refs,
                                                     PROT_READ | PROT_WRITE);
    if (!window->pixels)
        die("xengnttab_map_domain_grant_refs");
    window->pixels[0] = 1;
}

int main(int argc, char **argv)
{
    static struct window windows[MAX_WINDOWS];
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    xenevtchn_handle *evtchn = xenevtchn_open(NULL, 0);
    FILE *file = argc == 4 ? fopen(argv[3], "r") : NULL;
    unsigned nr = 0, ignored;
    char line[4096];
    int port;

    if (!file || !gnttab || !evtchn)
        die("viewer DOMID PORT FILE");
    port = xenevtchn_bind_interdomain(evtchn, (uint32_t)atoi(argv[1]),
                                      (evtchn_port_t)atoi(argv[2]));
    if (port < 0)
        die("xenevtchn_bind_interdomain");
    while (nr < MAX_WINDOWS && fgets(line, sizeof line, file))
        show(gnttab, (uint32_t)atoi(argv[1]), line, &windows[nr++]);
    say("shown %u windows", nr);
    if (!next_command(line, sizeof line, NULL, 0, &ignored))
        return 0;
    for (unsigned i = 0; i < nr; i++) {
        windows[i].pixels[0] = 0;
        if (xengnttab_unmap(gnttab, windows[i].pixels, windows[i].nr))
            die("xengnttab_unmap");
    }
    if (xenevtchn_notify(evtchn, port))
        die("xenevtchn_notify");
    say("closed");
    return 0;
}
