/* SPDX-License-Identifier: MIT */
/* The actor's commands for mappings and their contents. */
#include "actor_i.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void mapped(struct actor *a, const char *name, void *p, unsigned long nr_pages)
{
    struct thing *t;

    answer_rc(a, p == MAP_FAILED ? -1 : 0);
    if (p == MAP_FAILED)
        return;
    t = name_thing(a, REGION, name);
    t->addr = p;
    t->nr_pages = nr_pages;
}

/* mmap R FD INDEX PAGES PROT shared|private; mmap-bytes: a length in bytes */
static void do_mmap(struct actor *a)
{
    unsigned long length = number(a, 4) * (!strcmp(a->words[0], "mmap-bytes") ? 1 : PAGE);
    int flags = !strcmp(word(a, 6), "private") ? MAP_PRIVATE : MAP_SHARED;

    mapped(a, word(a, 1), mmap(NULL, length, prot_of(word(a, 5)), flags, fd_of(a, 2),
                               (off_t)number(a, 3)),
           (length + PAGE - 1) / PAGE);
}

/* mmap-over R ADDRESS FD INDEX PAGES PROT: replaces what is there */
static void do_mmap_over(struct actor *a)
{
    unsigned long nr = number(a, 5);

    mapped(a, word(a, 1), mmap(address_of(a, word(a, 2)), nr * PAGE, prot_of(word(a, 6)),
                               MAP_SHARED | MAP_FIXED, fd_of(a, 3), (off_t)number(a, 4)), nr);
}

/* anon R PAGES; anon-over ADDRESS PAGES: ordinary memory */
static void do_anon(struct actor *a)
{
    bool over = !strcmp(a->words[0], "anon-over");
    unsigned long nr = number(a, 2);
    void *p = mmap(over ? address_of(a, word(a, 1)) : NULL, nr * PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | (over ? MAP_FIXED : 0), -1, 0);

    if (over)
        answer_rc(a, p == MAP_FAILED ? -1 : 0);
    else
        mapped(a, word(a, 1), p, nr);
}

/* munmap ADDRESS PAGES */
static void do_munmap(struct actor *a)
{
    answer_rc(a, munmap(address_of(a, word(a, 1)), number(a, 2) * PAGE));
}

static void do_mprotect(struct actor *a)
{
    answer_rc(a, mprotect(address_of(a, word(a, 1)), number(a, 2) * PAGE, prot_of(word(a, 3))));
}

/* mremap R NEW-PAGES [move]: grows, shrinks, or moves */
static void do_mremap(struct actor *a)
{
    struct thing *t = need(a, REGION, word(a, 1));
    unsigned long nr = number(a, 2);
    bool move = a->nr_words > 3;
    void *to = NULL, *p;

    if (move)
        to = mmap(NULL, nr * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    p = mremap(t->addr, t->nr_pages * PAGE, nr * PAGE, MREMAP_MAYMOVE | (move ? MREMAP_FIXED : 0),
               to);
    answer_rc(a, p == MAP_FAILED ? -1 : 0);
    if (p == MAP_FAILED)
        return;
    t->addr = p;
    t->nr_pages = nr;
}

static void do_madvise(struct actor *a)
{
    static const struct { const char *name; int advice; } advices[] = {
        { "dontfork", MADV_DONTFORK }, { "dofork", MADV_DOFORK }, { "dontneed", MADV_DONTNEED },
        { "willneed", MADV_WILLNEED }, { "remove", MADV_REMOVE },
    };

    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++)
        if (!strcmp(word(a, 3), advices[i].name)) {
            answer_rc(a, madvise(address_of(a, word(a, 1)), number(a, 2) * PAGE,
                                 advices[i].advice));
            return;
        }
    bad_script("no advice %s", word(a, 3));
}

static void do_msync(struct actor *a)
{
    answer_rc(a, msync(address_of(a, word(a, 1)), number(a, 2) * PAGE, MS_SYNC));
}

static void do_mlock(struct actor *a)
{
    void *p = address_of(a, word(a, 1));

    answer_rc(a, !strcmp(a->words[0], "mlock") ? mlock(p, number(a, 2) * PAGE)
                                               : munlock(p, number(a, 2) * PAGE));
}

/* ---- Contents -------------------------------------------------------------------------------- */

struct bytes {
    volatile unsigned char *p;
    size_t size, step;
    unsigned char value;
    unsigned long sum;
};

static void load(void *ctx)
{
    struct bytes *b = ctx;

    b->value = *b->p;
}

static void store(void *ctx)
{
    struct bytes *b = ctx;

    for (size_t i = 0; i < b->size; i++)
        b->p[i] = b->value;
}

static void add_up(void *ctx)
{
    struct bytes *b = ctx;

    for (size_t i = 0; i < b->size; i++)
        b->sum = b->sum * 31 + b->p[i];
}

static void answer_fault(struct actor *a, int sig)
{
    answer(a, "SIG%s", sigabbrev_np(sig));
}

/* peek ADDRESS */
static void do_peek(struct actor *a)
{
    struct bytes b = { .p = (void *)address_of(a, word(a, 1)) };
    int sig = try_access(load, &b);

    if (sig)
        answer_fault(a, sig);
    else
        answer(a, "0x%02x", b.value);
}

/* poke ADDRESS VALUE; fill ADDRESS SIZE VALUE */
static void do_store(struct actor *a)
{
    bool fill = !strcmp(a->words[0], "fill");
    struct bytes b = { .p = (void *)address_of(a, word(a, 1)), .size = fill ? number(a, 2) : 1,
                       .value = (unsigned char)number(a, fill ? 3 : 2) };
    int sig = try_access(store, &b);

    if (sig)
        answer_fault(a, sig);
    else
        answer(a, "ok");
}

/* sum ADDRESS SIZE: a number that tells contents apart */
static void do_sum(struct actor *a)
{
    struct bytes b = { .p = (void *)address_of(a, word(a, 1)), .size = number(a, 2) };
    int sig = try_access(add_up, &b);

    if (sig)
        answer_fault(a, sig);
    else
        answer(a, "0x%08lx", b.sum & 0xffffffff);
}

const struct command memory_commands[] = {
    { "mmap", do_mmap },                /* R FD INDEX PAGES PROT shared|private */
    { "mmap-bytes", do_mmap },          /* R FD INDEX BYTES PROT shared|private */
    { "mmap-over", do_mmap_over },      /* R ADDRESS FD INDEX PAGES PROT */
    { "anon", do_anon },                /* R PAGES */
    { "anon-over", do_anon },           /* ADDRESS PAGES */
    { "munmap", do_munmap },            /* ADDRESS PAGES */
    { "mprotect", do_mprotect },        /* ADDRESS PAGES PROT */
    { "mremap", do_mremap },            /* R PAGES [move] */
    { "madvise", do_madvise },          /* ADDRESS PAGES ADVICE */
    { "msync", do_msync },              /* ADDRESS PAGES */
    { "mlock", do_mlock },              /* ADDRESS PAGES */
    { "munlock", do_mlock },            /* ADDRESS PAGES */
    { "peek", do_peek },                /* ADDRESS */
    { "poke", do_store },               /* ADDRESS VALUE */
    { "fill", do_store },               /* ADDRESS SIZE VALUE */
    { "sum", do_sum },                  /* ADDRESS SIZE */
    { 0 },
};
