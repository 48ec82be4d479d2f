/* SPDX-License-Identifier: MIT */
/*
 * Has this process lose what it writes to pages that its domain has lost.
 *
 * Such a page is full of ones and may only be read. A write is a SIGSEGV, whose handler lets that
 * one instruction write and stops behind it (the trap flag). Then the ones are put back. Signals
 * that have another cause go to the handlers that the program had. If it installs others later, or
 * blocks these signals, it sees them.
 */
#include "sock_lost_i.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "handle_i.h"
#include "sock_area_i.h"
#include "sock_client_i.h"

#define MAX_LOST  256u             /* pages of a process; what is beyond can be written */
#define MAX_OPEN  4u               /* pages that one instruction writes to */
#define TRAP_FLAG 0x100
#define END       (SOCK_PLACES + (SOCK_NR_PLACES << GNT_PAGE_SHIFT))

/* What the handlers need; the library stays loaded (-z nodelete). */
static struct {
    pthread_mutex_t lock;          /* of those who add pages */
    _Atomic pid_t changing;        /* whose thread opens or closes a page; 0: nobody does */
    atomic_uint nr;
    atomic_uintptr_t pages[MAX_LOST];
    struct sigaction before_segv, before_trap;
    bool installed;
} lost = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* The instruction of this thread that is being let write. */
static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
    uintptr_t at;                  /* 0: none */
    unsigned nr;
    uintptr_t pages[MAX_OPEN];
    uintptr_t tried, tried_at;     /* what it accessed once more, and by which instruction */
} step;

static bool is_lost(uintptr_t page)
{
    unsigned nr = atomic_load(&lost.nr);

    for (unsigned i = 0; i < nr; i++)
        if (atomic_load(&lost.pages[i]) == page)
            return true;
    return false;
}

static bool is_ones(const void *page)
{
    const uint64_t *words = page;

    for (unsigned i = 0; i < GNT_PAGE_SIZE / sizeof *words; i++)
        if (~words[i])
            return false;
    return true;
}

/* Other threads may write in between. */
static void put_ones(uintptr_t page)
{
    void *at = (void *)page;

    while (!is_ones(at)) {
        if (mprotect(at, GNT_PAGE_SIZE, PROT_READ | PROT_WRITE))
            return;
        memset(at, 0xff, GNT_PAGE_SIZE);
        if (mprotect(at, GNT_PAGE_SIZE, PROT_READ))
            return;
    }
}

static void begin_change(void)
{
    pid_t own = getpid(), holder = 0;

    /* A thread of the process that forked this one changes nothing here. */
    while (!atomic_compare_exchange_strong(&lost.changing, &holder, own)) {
        if (holder == own) {
            holder = 0;
            sched_yield();
        }
    }
}

static void end_change(void)
{
    atomic_store(&lost.changing, 0);
}

/*
 * One thread at a time, with its signals blocked: if another one closed the page meanwhile, our own
 * ones would be a fault in a handler.
 */
static void close_page(uintptr_t page)
{
    begin_change();
    if (is_lost(page) && !mprotect((void *)page, GNT_PAGE_SIZE, PROT_READ))
        put_ones(page);
    end_change();
}

/* The domain has it again, or is another one. */
static void open_page(uintptr_t page)
{
    begin_change();
    mprotect((void *)page, GNT_PAGE_SIZE, PROT_READ | PROT_WRITE);
    end_change();
}

/* ---- Signals --------------------------------------------------------------------------------- */

static void pass_on(const struct sigaction *before, int sig, siginfo_t *info, void *context)
{
    if (before->sa_flags & SA_RESETHAND)
        signal(sig, SIG_DFL);
    if (before->sa_flags & SA_SIGINFO) {
        before->sa_sigaction(sig, info, context);
    } else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
        before->sa_handler(sig);
    } else if (before->sa_handler == SIG_DFL || info->si_code > 0) {
        /* It comes again, and ends the process: from what caused it, or from here. */
        signal(sig, SIG_DFL);
        if (info->si_code <= 0)
            raise(sig);
    }
}

/* Another thread may have closed it in between. False: there are too many. */
static bool note_open(uintptr_t page)
{
    for (unsigned i = 0; i < step.nr; i++)
        if (step.pages[i] == page)
            return true;
    if (step.nr == MAX_OPEN)
        return false;
    step.pages[step.nr++] = page;
    return true;
}

/*
 * Whether the access is to be tried once more: the page may have been lost when it was tried, and
 * not be now.
 */
static bool try_again(uintptr_t addr, uintptr_t instruction)
{
    if (addr - SOCK_PLACES >= END - SOCK_PLACES ||
        (step.tried == addr && step.tried_at == instruction)) {
        step.tried = 0;
        return false;
    }
    step.tried = addr;
    step.tried_at = instruction;
    return true;
}

static void on_segv(int sig, siginfo_t *info, void *context)
{
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    uintptr_t page = (uintptr_t)info->si_addr & ~(uintptr_t)(GNT_PAGE_SIZE - 1);
    int saved_errno = errno;

    if (info->si_code != SEGV_ACCERR || !is_lost(page) || !note_open(page) ||
        mprotect((void *)page, GNT_PAGE_SIZE, PROT_READ | PROT_WRITE)) {
        if (info->si_code != SEGV_ACCERR || step.nr == MAX_OPEN ||
            !try_again((uintptr_t)info->si_addr, (uintptr_t)regs[REG_RIP]))
            pass_on(&lost.before_segv, sig, info, context);
        errno = saved_errno;
        return;
    }
    step.at = (uintptr_t)regs[REG_RIP];
    regs[REG_EFL] |= TRAP_FLAG;
    errno = saved_errno;
}

static void on_trap(int sig, siginfo_t *info, void *context)
{
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    int saved_errno = errno;

    /* A step's si_code is not always TRAP_TRACE where the host's processor is a virtual one. */
    if (!step.at) {
        pass_on(&lost.before_trap, sig, info, context);
        return;
    }
    /* An instruction that repeats itself has many rounds. */
    if ((uintptr_t)regs[REG_RIP] == step.at)
        return;
    while (step.nr)
        close_page(step.pages[--step.nr]);
    step.at = 0;
    regs[REG_EFL] &= ~TRAP_FLAG;
    errno = saved_errno;
}

static bool install(int sig, void (*handler)(int, siginfo_t *, void *), struct sigaction *before)
{
    struct sigaction action;

    if (sigaction(sig, NULL, before))
        return false;
    action = *before;
    action.sa_sigaction = handler;
    sigfillset(&action.sa_mask);
    action.sa_flags = (before->sa_flags & ~(int)SA_RESETHAND) | SA_SIGINFO;
    return !sigaction(sig, &action, NULL);
}

/* ---- Learning -------------------------------------------------------------------------------- */

/* A thread that is gone in the child may have held it. */
static void free_lock(void)
{
    pthread_mutex_init(&lost.lock, NULL);
}

static bool have_handlers(void)
{
    if (!lost.installed)
        lost.installed = !pthread_atfork(NULL, NULL, free_lock) &&
                         install(SIGTRAP, on_trap, &lost.before_trap) &&
                         install(SIGSEGV, on_segv, &lost.before_segv);
    return lost.installed;
}

static void lose_page(uintptr_t page)
{
    unsigned nr = atomic_load(&lost.nr);

    if (!is_lost(page) && nr < MAX_LOST) {
        atomic_store(&lost.pages[nr], page);
        atomic_store(&lost.nr, nr + 1);
    }
    if (is_lost(page))
        close_page(page);
}

/* Other threads, and a child that is being forked, see each page that stays all the time. */
static void forget(unsigned i)
{
    unsigned last = atomic_load(&lost.nr) - 1;

    atomic_store(&lost.pages[i], atomic_load(&lost.pages[last]));
    atomic_store(&lost.nr, last);
}

static void forget_others(const uintptr_t *pages, size_t nr)
{
    for (unsigned i = atomic_load(&lost.nr); i-- > 0;) {
        size_t at = 0;

        while (at < nr && pages[at] != atomic_load(&lost.pages[i]))
            at++;
        if (at == nr)
            forget(i);
    }
}

/* A page of a device that is not lost, or not any more. */
static void give_back(uintptr_t page)
{
    for (unsigned i = atomic_load(&lost.nr); i-- > 0;)
        if (atomic_load(&lost.pages[i]) == page) {
            forget(i);
            open_page(page);
        }
}

static bool has_frame(const struct sock_run *frames, size_t nr, uint64_t frame)
{
    for (size_t i = 0; i < nr; i++)
        if (frame - frames[i].page < frames[i].nr)
            return true;
    return false;
}

/* Pages that are not there any more are forgotten. */
static void find_pages(struct sock_client *client, const struct sock_run *frames, size_t nr)
{
    struct sock_area area = { .end = 0 };
    uintptr_t pages[MAX_LOST];
    size_t nr_pages = 0;

    for (uint64_t addr = SOCK_PLACES; addr < END; addr = area.end) {
        bool is_device = sock_area_find(client, addr, &area);

        if (area.end <= addr)
            break;
        if (!is_device || area.is_gntdev || area.start >= END)
            continue;
        for (uint64_t at = area.start; at < area.end; at += GNT_PAGE_SIZE)
            if (!has_frame(frames, nr, area.page + ((at - area.start) >> GNT_PAGE_SHIFT)))
                give_back(at);
            else if (nr_pages < MAX_LOST)
                pages[nr_pages++] = at;
    }
    forget_others(pages, nr_pages);
    for (size_t i = 0; have_handlers() && i < nr_pages; i++)
        lose_page(pages[i]);
}

/* The frames that the machine names. The caller frees them. NULL: none, or it did not say. */
static struct sock_run *ask(struct sock_client *client, size_t *nr)
{
    struct sock_header request = { .op = SOCK_LOST };
    struct iovec part = { &request, sizeof request };
    struct sock_answer answer;
    struct sock_run *frames;

    if (sock_client_begin(client, &part, 1, &answer))
        return NULL;
    *nr = answer.reply->nr_runs;
    frames = *nr ? malloc(*nr * sizeof *frames) : NULL;
    if (frames)
        memcpy(frames, answer.runs, *nr * sizeof *frames);
    sock_client_end(client);
    return frames;
}

void sock_lost_learn(struct sock_client *client)
{
    int saved_errno = errno;
    struct sock_run *frames;
    sigset_t all, before;
    size_t nr;

    if (!client->lost_news)
        return;
    client->lost_news = false;
    frames = ask(client, &nr);
    if (frames && sock_client_maps(client) >= 0) {
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &before);
        pthread_mutex_lock(&lost.lock);
        find_pages(client, frames, nr);
        pthread_mutex_unlock(&lost.lock);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    free(frames);
    errno = saved_errno;
}
