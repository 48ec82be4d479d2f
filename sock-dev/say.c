/* SPDX-License-Identifier: MIT */
/* Hears what a process says about itself: where it is, and that it exits or closes a device. */
#include "sock_i.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "saying.h"

static bool is_thread_of(pid_t pid, uint64_t number)
{
    char path[48];

    snprintf(path, sizeof path, "/proc/%d/task/%u", pid, (unsigned)number);
    return number && number < SOCK_FIRST_ADDRESS && !access(path, F_OK);
}

static void hear_stack(struct sock_conn *conn, size_t size)
{
    uint64_t addresses[SOCK_MAX_STACK];
    size_t nr = (size - sizeof(struct sock_header)) / sizeof *addresses;

    if (nr > SOCK_MAX_STACK)
        nr = SOCK_MAX_STACK;
    memcpy(addresses, conn->in + sizeof(struct sock_header), nr * sizeof *addresses);
    if (nr == 1 && is_thread_of(conn->peer, addresses[0]))
        conn->witness = machine_witness(conn->server->machine, (pid_t)addresses[0], NULL, 0);
    else
        conn->witness = machine_witness(conn->server->machine, conn->peer, addresses, nr);
}

static int64_t hear(struct sock_conn *conn, const struct sock_say *say)
{
    static const enum process_word words[SOCK_NR_WORDS] = {
        [SOCK_SAY_EXITS] = PROCESS_EXITS,
        [SOCK_SAY_CLOSES] = PROCESS_CLOSES,
        [SOCK_SAY_UNMAPS] = PROCESS_UNMAPS,
        [SOCK_SAY_FAULTS] = PROCESS_FAULTS,
    };
    struct machine *m = conn->server->machine;
    struct process_saying saying = { .tid = conn->peer,
                                     .value = say->value,
                                     .index = say->index,
                                     .fault = { SOCK_FAULT_SIGNAL(say->index),
                                                SOCK_FAULT_CODE(say->index),
                                                SOCK_FAULT_WRITES(say->index) },
                                     .witness = conn->witness };

    if (say->word >= SOCK_NR_WORDS)
        return -1;
    saying.word = words[say->word];
    if (conn->file) {
        machine_lock_only(m);
        saying.domain = conn->file->domain;
        saying.file = conn->file->file->id;
        machine_unlock_only(m);
    }
    return machine_process_says(m, &saying);
}

bool say_answer(struct sock_conn *conn)
{
    struct sock_header header;
    struct sock_say say;

    memcpy(&header, conn->in, sizeof header);
    if (header.op == SOCK_STACK) {
        hear_stack(conn, header.size);
        return true;
    }
    if (header.op != SOCK_SAY || header.size != sizeof say)
        return false;
    memcpy(&say, conn->in, sizeof say);
    conn->reply = (struct sock_reply){ .header.op = SOCK_SAY, .mapped = SOCK_NOT_TRIED };
    conn->reply.result = hear(conn, &say);
    conn->witness = NULL;
    return conn_compose(conn, NULL);
}
