/* SPDX-License-Identifier: MIT */
/* What the library tells a machine that listens (SOCK_WATCHED_ENV). */
#ifndef GNTSIM_LIBGNTTAB_SOCK_SAYS_I_H
#define GNTSIM_LIBGNTTAB_SOCK_SAYS_I_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gntsim/socket.h>

struct sock_client;

/* Whether the machine listens. The first time, has the end of this process be told. */
bool sock_says_begin(void);
/* sock_fault.c. From now on the machine is told if the process dies of an access. */
void sock_fault_begin(void);
/* sock_unwind.c. Whether the C library may walk a stack here. */
bool sock_unwind_is_safe(void);
/* A message that says where the calling thread is. Its size in bytes. */
struct sock_stack {
    struct sock_header header;
    uint64_t addresses[SOCK_MAX_STACK];
};
size_t sock_says_where(struct sock_stack *stack);
/* Tells the machine, if it listens, and waits until it has heard. index: of a mapping's. Keeps
 * errno. */
void sock_says(struct sock_client *client, enum sock_word word, uint64_t value, uint64_t index);

#endif
