/* SPDX-License-Identifier: MIT */
/*
 * Tells a machine that listens what this process is doing: where its calls come from, which devices
 * it closes, and when it exits. A process in a domain's namespaces need not tell its end, because a
 * filter does.
 */
#include "sock_says_i.h"

#include <errno.h>
#include <execinfo.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "sock_client_i.h"

/* Of this file, in the stack. */
#define OWN_FRAMES 1

/* What the end of the process needs; the library stays loaded (-z nodelete). */
static struct {
    bool begun, exits;
    int status;
} process;

static void note_status(int status, void *ctx)
{
    (void)ctx;
    process.exits = true;
    process.status = status;
}

bool sock_says_begin(void)
{
    void *first;

    if (!secure_getenv(SOCK_WATCHED_ENV))
        return false;
    if (!process.begun) {
        process.begun = true;
        if (sock_unwind_is_safe())
            backtrace(&first, 1); /* loads what it needs now: later a signal handler may run */
        sock_fault_begin();
        if (!secure_getenv(SOCK_FILES_ENV))
            on_exit(note_status, NULL);
    }
    return true;
}

size_t sock_says_where(struct sock_stack *stack)
{
    void *addresses[SOCK_MAX_STACK + OWN_FRAMES];
    bool safe = sock_unwind_is_safe();
    int nr = safe ? backtrace(addresses, SOCK_MAX_STACK + OWN_FRAMES) - OWN_FRAMES : 1;

    if (nr < 0)
        nr = 0;
    if (!safe)
        addresses[OWN_FRAMES] = (void *)(uintptr_t)gettid();
    for (int i = 0; i < nr; i++)
        stack->addresses[i] = (uintptr_t)addresses[i + OWN_FRAMES];
    stack->header.size = (uint32_t)(offsetof(struct sock_stack, addresses) +
                                    (size_t)nr * sizeof *stack->addresses);
    stack->header.op = SOCK_STACK;
    return stack->header.size;
}

void sock_says(struct sock_client *client, enum sock_word word, uint64_t value, uint64_t index)
{
    struct sock_say say = { .header.op = SOCK_SAY, .word = word, .value = value, .index = index };
    struct iovec part = { &say, sizeof say };
    struct sock_answer answer;
    int saved_errno = errno;

    if (client->is_watched && client->own.fd >= 0 &&
        !sock_client_begin(client, &part, 1, &answer))
        sock_client_end(client);
    errno = saved_errno;
}

/* After all handlers of exit(3), which may still unmap. */
__attribute__((destructor)) static void say_exit(void)
{
    struct sock_client client;

    if (process.exits && !sock_client_reach(&client)) {
        sock_says(&client, SOCK_SAY_EXITS, (uint64_t)process.status, 0);
        client.is_watched = false;
        sock_client_close(&client);
    }
}
