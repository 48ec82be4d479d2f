/* SPDX-License-Identifier: MIT */
/*
 * A guest process that does what a test tells it: a command per line on standard input, "ok
 * WORD..." or "err ENAME" per line on standard output. It uses the distribution's libxengnttab and
 * libxenevtchn, or the devices themselves, and knows nothing of the simulator. The table lists the
 * commands; a test's helper (conftest.py, Agent) sends them.
 */
#include "agent_i.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void reply(struct agent *a, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vfprintf(a->out, format, ap);
    va_end(ap);
    fputc('\n', a->out);
    fflush(a->out);
}

void ok_or_errno(struct agent *a, int rc)
{
    if (rc < 0)
        reply(a, "err %s", strerrorname_np(errno));
    else
        reply(a, "ok %d", rc);
}

const char *word(struct agent *a, int i)
{
    return i < a->nr_words ? a->words[i] : "0";
}

unsigned long number(struct agent *a, int i)
{
    return strtoul(word(a, i), NULL, 0);
}

int prot_of(const char *name)
{
    return (strchr(name, 'r') ? PROT_READ : 0) | (strchr(name, 'w') ? PROT_WRITE : 0);
}

struct region *region(struct agent *a, int i)
{
    unsigned long n = number(a, i);

    if (n >= a->nr_regions) {
        fprintf(stderr, "agent: no region %lu\n", n);
        exit(9);
    }
    return &a->regions[n];
}

void reply_region(struct agent *a, void *addr, unsigned long nr_pages, const uint32_t *refs,
                  unsigned nr_refs)
{
    if (!addr || addr == MAP_FAILED || a->nr_regions == MAX_REGIONS) {
        reply(a, "err %s", strerrorname_np(errno));
        return;
    }
    a->regions[a->nr_regions] = (struct region){ addr, nr_pages };
    fprintf(a->out, "ok %u", a->nr_regions++);
    for (unsigned i = 0; i < nr_refs; i++)
        fprintf(a->out, " %u", refs[i]);
    reply(a, "");
}

static const struct command {
    const char *name;
    void (*handler)(struct agent *a);
} commands[] = {
    { "share", do_share },                  /* COUNT DOM rw|ro -> REGION REF... */
    { "share-notify", do_share_notify },    /* DOM OFFSET PORT -> REGION REF */
    { "unshare", do_unshare },              /* REGION */
    { "map", do_map },                      /* PROT DOM:REF... -> REGION */
    { "map-notify", do_map_notify },        /* PROT DOM REF OFFSET PORT -> REGION */
    { "unmap", do_unmap },                  /* REGION [COUNT] */
    { "copy", do_copy },                    /* DOM REF OFFSET TEXT */
    { "copy-back", do_copy },               /* DOM REF OFFSET LENGTH -> TEXT */
    { "copy-pair", do_copy_pair },          /* DOM REF REF TEXT -> STATUS STATUS */
    { "copy-pages", do_copy_pages },        /* DOM REF COUNT -> SAME FIRST LAST */
    { "map-one", do_map_others },           /* PROT DOM REF -> REGION */
    { "map-domain", do_map_others },        /* PROT DOM REF... -> REGION */
    { "unmap-at", do_unmap_at },            /* ADDRESS COUNT */
    { "unshare-count", do_unshare_count },  /* REGION COUNT */
    { "set-max", do_set_max },              /* COUNT */
    { "dmabuf", do_dmabuf },                /* COUNT -> ERROR ERROR ERROR ERROR */
    { "restrict-all", do_restrict_all },    /* DOM */
    { "handle", do_handle },                /* gnttab|gntshr|evtchn -> FD */
    { "cloexec", do_cloexec },              /* FD -> 0|1 */
    { "close-null", do_close_null },        /* -> RESULT RESULT RESULT */
    { "close", do_close },                  /* gnttab|gntshr|evtchn|FD */
    { "evtchn-unbound", do_evtchn },        /* DOM -> PORT */
    { "evtchn-bind", do_evtchn },           /* DOM PORT -> PORT */
    { "evtchn-notify", do_evtchn },         /* PORT */
    { "evtchn-unbind", do_evtchn },         /* PORT */
    { "evtchn-unmask", do_evtchn },         /* PORT */
    { "evtchn-virq", do_evtchn },           /* VIRQ -> PORT */
    { "evtchn-restrict", do_evtchn },       /* DOM */
    { "evtchn-open", do_evtchn_open },      /* FLAGS -> CLOEXEC */
    { "evtchn-fdopen", do_evtchn_fdopen },  /* FD FLAGS */
    { "pending", do_pending },              /* -> PORT */
    { "wait", do_wait },                    /* MILLISECONDS -> PORT|none */
    { "peek", do_peek_poke },               /* REGION OFFSET -> BYTE */
    { "poke", do_peek_poke },               /* REGION OFFSET BYTE */
    { "munmap", do_munmap },                /* REGION FIRST [PAGES] */
    { "mprotect", do_mprotect },            /* REGION PROT */
    { "mremap", do_mremap },                /* REGION PAGES */
    { "addr", do_addr },                    /* REGION -> ADDRESS */
    { "anon", do_anon },                    /* PAGES -> REGION */
    { "file", do_file },                    /* PATH PAGES -> REGION */
    { "open", do_open },                    /* DEVICE [r|w|rw|nb] -> FD */
    { "ioctl", do_ioctl },                  /* FD CMD HEX -> RESULT HEX */
    { "ioctl-at", do_ioctl_at },            /* FD CMD ADDRESS -> RESULT */
    /* FD OFFSET PAGES PROT shared|private|fixed -> REGION */
    { "mmap", do_mmap },
    { "read", do_read_write },              /* FD SIZE -> RESULT */
    { "write", do_read_write },             /* FD SIZE -> RESULT */
    { "fork", do_fork },                    /* -> CHILD PID */
    { "child", do_child },                  /* CHILD COMMAND... */
    { "exec", do_exec },                    /* COMMAND... */
    { "undumpable", do_undumpable },
    { "no-files", do_no_files },            /* not one descriptor more */
    { "exit", do_exit },
    { "pid", do_pid },
};

void serve(struct agent *a)
{
    while (fgets(a->line, sizeof a->line, a->in)) {
        const struct command *c = commands, *end = commands + sizeof commands / sizeof *commands;

        a->nr_words = 0;
        for (char *w = strtok(a->line, " \n"); w && a->nr_words < MAX_WORDS - 1;
             w = strtok(NULL, " \n"))
            a->words[a->nr_words++] = w;
        if (!a->nr_words)
            continue;
        while (c < end && strcmp(c->name, a->words[0]))
            c++;
        if (c == end) {
            fprintf(stderr, "agent: no command %s\n", a->words[0]);
            exit(9);
        }
        c->handler(a);
    }
}

int main(void)
{
    static struct agent a;

    agent_survives_faults();
    a.in = stdin;
    a.out = stdout;
    serve(&a);
    return 0;
}
