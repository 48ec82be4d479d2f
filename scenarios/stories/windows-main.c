/* SPDX-License-Identifier: MIT */
/* What every windows does, right or wrong; windows.h says how it is used. */
#include "windows.h"

void unshare_all(struct windows *w)
{
    for (unsigned i = 0; i < w->nr; i++)
        if (xengntshr_unshare(w->gntshr, w->window[i], w->pages))
            die("xengntshr_unshare");
}

static void share_windows(struct windows *w, uint32_t domid, const char *path)
{
    uint32_t *refs = calloc(w->pages, sizeof *refs);
    FILE *file = fopen(path, "w");

    w->window = calloc(w->nr, sizeof *w->window);
    if (!refs || !file || !w->window)
        die(path);
    for (unsigned i = 0; i < w->nr; i++) {
        w->window[i] = xengntshr_share_pages(w->gntshr, domid, (int)w->pages, refs, 1);
        if (!w->window[i])
            die("xengntshr_share_pages");
        for (unsigned j = 0; j < w->pages; j++)
            fprintf(file, "%u%c", refs[j], j + 1 < w->pages ? ' ' : '\n');
    }
    if (fclose(file))
        die(path);
    free(refs);
}

int main(int argc, char **argv)
{
    struct windows w = { .gntshr = xengntshr_open(NULL, 0), .evtchn = xenevtchn_open(NULL, 0) };
    unsigned nr;
    char line[64];

    if (argc != 5 || !w.gntshr || !w.evtchn)
        die("windows DOMID WINDOWS PAGES FILE");
    w.nr = (unsigned)atoi(argv[2]);
    w.pages = (unsigned)atoi(argv[3]);
    w.port = xenevtchn_bind_unbound_port(w.evtchn, (uint32_t)atoi(argv[1]));
    if (w.port < 0)
        die("xenevtchn_bind_unbound_port");
    share_windows(&w, (uint32_t)atoi(argv[1]), argv[4]);
    say("shared %u windows of %u pages, port %d", w.nr, w.pages, w.port);
    if (next_command(line, sizeof line, NULL, 0, &nr)) {
        close_windows(&w);
        say("closed");
    }
    while (next_command(line, sizeof line, NULL, 0, &nr))
        ;
    return 0;
}
