/* SPDX-License-Identifier: MIT */
/* What the parts of agent.c share: the agent, the words of the command that it carries out, and
 * answers. */
#ifndef GNTSIM_TESTS_AGENT_I_H
#define GNTSIM_TESTS_AGENT_I_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <xenevtchn.h>
#include <xengnttab.h>

#define PAGE 4096ul
#define MAX_WORDS 4200
#define MAX_REGIONS 512
#define MAX_CHILDREN 8
#define LINE_SIZE 65536

struct region {
    char *addr;
    unsigned long nr_pages;
};

struct child {
    pid_t pid;
    FILE *to, *from;
};

struct agent {
    xengnttab_handle *gnttab;
    xengntshr_handle *gntshr;
    xenevtchn_handle *evtchn;
    struct region regions[MAX_REGIONS];
    unsigned nr_regions;
    struct child children[MAX_CHILDREN];
    unsigned nr_children;
    FILE *in, *out;
    char *words[MAX_WORDS];
    int nr_words;
    char line[LINE_SIZE];
};

/* agent.c: answers. */
void reply(struct agent *a, const char *format, ...);
void ok_or_errno(struct agent *a, int rc);
/* Replies with the region's number and whatever refs say, or with errno. */
void reply_region(struct agent *a, void *addr, unsigned long nr_pages, const uint32_t *refs,
                  unsigned nr_refs);
/* Word i of the command: as it is ("0" if there is none), as a number, as a region. */
const char *word(struct agent *a, int i);
unsigned long number(struct agent *a, int i);
struct region *region(struct agent *a, int i);
int prot_of(const char *name);
/* Carries out commands until there are no more. */
void serve(struct agent *a);

/* agent_library.c */
void do_share(struct agent *a);
void do_share_notify(struct agent *a);
void do_unshare(struct agent *a);
void do_map(struct agent *a);
void do_map_notify(struct agent *a);
void do_unmap(struct agent *a);
void do_copy(struct agent *a);
void do_copy_pair(struct agent *a);
void do_copy_pages(struct agent *a);
void do_map_others(struct agent *a);
void do_unmap_at(struct agent *a);
void do_unshare_count(struct agent *a);
void do_set_max(struct agent *a);
void do_dmabuf(struct agent *a);
void do_restrict_all(struct agent *a);
void do_handle(struct agent *a);
void do_cloexec(struct agent *a);
void do_close_null(struct agent *a);
void do_close(struct agent *a);
void do_evtchn(struct agent *a);
void do_evtchn_open(struct agent *a);
void do_evtchn_fdopen(struct agent *a);
void do_pending(struct agent *a);
void do_wait(struct agent *a);

/* agent_memory.c: memory, and the devices themselves. */
void agent_survives_faults(void);
void do_peek_poke(struct agent *a);
void do_munmap(struct agent *a);
void do_mprotect(struct agent *a);
void do_mremap(struct agent *a);
void do_addr(struct agent *a);
void do_anon(struct agent *a);
void do_file(struct agent *a);
void do_open(struct agent *a);
void do_ioctl(struct agent *a);
void do_ioctl_at(struct agent *a);
void do_mmap(struct agent *a);
void do_read_write(struct agent *a);

/* agent_process.c */
void do_fork(struct agent *a);
void do_child(struct agent *a);
void do_exec(struct agent *a);
void do_exit(struct agent *a);
void do_undumpable(struct agent *a);
void do_no_files(struct agent *a);
void do_pid(struct agent *a);

#endif
