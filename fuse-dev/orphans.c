/* SPDX-License-Identifier: MIT */
/* Lets the calls of programs go on whose server was killed. */
#include "orphans.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attendant.h"

#define MAX_LISTENERS 1024u
#define MAX_IDS       30u        /* calls under way from one listener */

/* In memory that the server and the attendant share. */
struct orphan_calls {
    atomic_bool used;
    /* Calls whose id the attendant may not learn: one is just being received, or there was no room
     * for it. */
    atomic_uint unknown;
    _Atomic uint64_t ids[MAX_IDS];       /* 0: none */
};

struct kept {
    int listener;
    struct orphan_calls *calls;
};

struct orphans {
    struct orphan_calls *all;    /* MAX_LISTENERS */
    struct kept *kept;           /* the attendant's, as what follows */
    size_t nr, room;
};

/* ---- The server's side ----------------------------------------------------------------------- */

struct orphans *orphans_create(void)
{
    struct orphans *orphans = calloc(1, sizeof *orphans);

    if (!orphans)
        return NULL;
    orphans->all = mmap(NULL, MAX_LISTENERS * sizeof *orphans->all, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (orphans->all == MAP_FAILED) {
        free(orphans);
        return NULL;
    }
    return orphans;
}

void orphans_destroy(struct orphans *orphans)
{
    if (!orphans)
        return;
    munmap(orphans->all, MAX_LISTENERS * sizeof *orphans->all);
    free(orphans);
}

static struct orphan_calls *take_unused(struct orphans *orphans)
{
    for (unsigned i = 0; i < MAX_LISTENERS; i++) {
        bool unused = false;

        if (atomic_compare_exchange_strong(&orphans->all[i].used, &unused, true))
            return &orphans->all[i];
    }
    return NULL;
}

void orphan_calls_end(struct orphan_calls *calls)
{
    if (!calls)
        return;
    for (unsigned i = 0; i < MAX_IDS; i++)
        atomic_store(&calls->ids[i], 0);
    atomic_store(&calls->unknown, 0);
    atomic_store(&calls->used, false);
}

void orphan_calls_receive(struct orphan_calls *calls)
{
    if (calls)
        atomic_fetch_add(&calls->unknown, 1);
}

/* Puts id in the place of another one. */
static bool replace(struct orphan_calls *calls, uint64_t old, uint64_t id)
{
    for (unsigned i = 0; i < MAX_IDS; i++) {
        uint64_t found = old;

        if (atomic_compare_exchange_strong(&calls->ids[i], &found, id))
            return true;
    }
    return false;
}

void orphan_calls_received(struct orphan_calls *calls, uint64_t id)
{
    if (calls && (!id || replace(calls, 0, id)))
        atomic_fetch_sub(&calls->unknown, 1);
}

void orphan_calls_answered(struct orphan_calls *calls, uint64_t id)
{
    /* One that had no room is the one that is known no more. */
    if (calls && !replace(calls, id, 0))
        atomic_fetch_sub(&calls->unknown, 1);
}

/* ---- The attendant's side -------------------------------------------------------------------- */

static void drop(struct orphans *orphans, size_t i)
{
    close(orphans->kept[i].listener);
    orphans->kept[i] = orphans->kept[--orphans->nr];
}

/* Nobody is behind it any more. */
static bool is_over(const struct kept *kept)
{
    struct pollfd fd = { kept->listener, 0, 0 };

    return poll(&fd, 1, 0) > 0;
}

static void keep(const uint64_t args[2], struct attendant_answer *answer)
{
    struct orphans *orphans = (struct orphans *)args[0];
    struct kept *more;

    for (size_t i = orphans->nr; i-- > 0;)
        if (is_over(&orphans->kept[i]))
            drop(orphans, i);
    if (orphans->nr == orphans->room) {
        more = realloc(orphans->kept, (orphans->room * 2 + 8) * sizeof *more);
        if (!more) {
            answer->rc = -ENOMEM;
            return;
        }
        orphans->kept = more;
        orphans->room = orphans->room * 2 + 8;
    }
    orphans->kept[orphans->nr++] = (struct kept){ answer->fds[0],
                                                  (struct orphan_calls *)args[1] };
    answer->fds[0] = -1;
}

struct orphan_calls *orphans_add(struct machine *m, struct orphans *orphans, int listener)
{
    struct orphan_calls *calls = take_unused(orphans);
    struct attendant_answer answer;

    if (!calls)
        return NULL;
    attendant_give(m, keep, (uint64_t[2]){ (uintptr_t)orphans, (uintptr_t)calls }, listener,
                   &answer);
    if (!answer.rc)
        return calls;
    orphan_calls_end(calls);
    return NULL;
}

static void let_go_on(int listener, uint64_t id)
{
    struct seccomp_notif_resp resp = { .id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };

    /* Fails if the server answered it at last, or the thread is gone. */
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

/* What the server has received, and does not answer any more. A call whose id nobody knows ends
 * when its listener is closed, and so do all that come from there. */
static void inherit(struct orphans *orphans)
{
    for (size_t i = orphans->nr; i-- > 0;) {
        struct kept *kept = &orphans->kept[i];

        for (unsigned j = 0; j < MAX_IDS; j++)
            if (kept->calls->ids[j])
                let_go_on(kept->listener, kept->calls->ids[j]);
        if (kept->calls->unknown)
            drop(orphans, i);
    }
}

/* Of a device it would succeed, without pages. The kernel refuses shared ones by itself. */
static bool is_private_mmap(const struct seccomp_data *call)
{
    return call->nr == SYS_mmap && !(call->args[3] & MAP_SHARED);
}

static void receive_one(int listener)
{
    struct seccomp_notif notif;

    memset(&notif, 0, sizeof notif);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notif))
        return;
    if (is_private_mmap(&notif.data))
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND,
              &(struct seccomp_notif_resp){ .id = notif.id, .error = -ENODEV });
    else
        let_go_on(listener, notif.id);
}

void orphans_serve(struct orphans *orphans)
{
    struct pollfd *fds = calloc(orphans->nr + 1, sizeof *fds);

    /* Who reads what the server says shall see its end. */
    dup2(STDOUT_FILENO, STDERR_FILENO);
    inherit(orphans);
    while (fds && orphans->nr) {
        for (size_t i = 0; i < orphans->nr; i++)
            fds[i] = (struct pollfd){ orphans->kept[i].listener, POLLIN, 0 };
        if (poll(fds, orphans->nr, -1) < 0)
            continue;
        for (size_t i = orphans->nr; i-- > 0;) {
            if (fds[i].revents & POLLIN)
                receive_one(fds[i].fd);
            else if (fds[i].revents)
                drop(orphans, i);
        }
    }
    free(fds);
}
