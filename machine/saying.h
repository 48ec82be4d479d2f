/* SPDX-License-Identifier: MIT */
/*
 * What processes do and say, for a part that listens: where their calls come from, and that they
 * exit or close a device. Without such a part nothing is asked.
 */
#ifndef GNTSIM_MACHINE_SAYING_H
#define GNTSIM_MACHINE_SAYING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

struct domain;
struct machine;
struct witness;

/* What a process says about itself, and waits until it is heard. */
enum process_word {
    PROCESS_EXITS,  /* value: the exit status; nothing of it is gone yet */
    PROCESS_CLOSES, /* it is about to close the file */
    PROCESS_UNMAPS, /* value: an address at which its library found a mapping of the
                                  * file, with this index; UINT64_MAX: none */
    PROCESS_FAULTS, /* value: the address that it could not access; fault says how. It is about to
                                  * die of that */
};
struct process_fault {
    int signal, code; /* as sigaction(2) says */
    bool writes;
};
struct process_saying {
    enum process_word word;
    pid_t tid;
    const struct domain *domain; /* of the file; NULL: there is none */
    uint64_t file;               /* its number in the domain's kernel */
    uint64_t value, index;
    struct process_fault fault;
    const struct witness *witness;
};

/* Whether a part listens. */
bool machine_is_watched(const struct machine *m);
/*
 * With the lock: whether somebody traces, decides or checks calls, and so wants each of them when
 * and where it is made.
 */
bool machine_is_observed(const struct machine *m);
/*
 * Without the lock: what a thread is doing that waits for an answer. addresses: of the nr calls
 * that it is in, the innermost first, if it tells; NULL: it does not. The machine keeps the result
 * until its end. NULL: nobody wants to know.
 */
const struct witness *machine_witness(struct machine *m, pid_t tid, const uint64_t *addresses,
                                      size_t nr);
/* The same of a thread that is in a signal handler: where it was before, of which these are the
 * registers. */
struct machine_registers {
    uint64_t pc, sp, bp;
};
const struct witness *machine_witness_at(struct machine *m, pid_t tid,
                                         const struct machine_registers *registers);
/* What a part is asked with: the addresses or the registers, or neither. */
struct machine_stack {
    const uint64_t *addresses;
    size_t nr;
    const struct machine_registers *registers;
};
/* Without the lock, before an ioctl of the thread is answered: waits, if a part wants that. */
void machine_answer_waits(struct machine *m, pid_t tid);
/* As machine_caller, with what machine_witness gave. */
void machine_caller_seen(struct machine *m, pid_t tid, const struct witness *witness);
/* Without the lock. The answer of the part that listens, 0 if none does. */
int64_t machine_process_says(struct machine *m, const struct process_saying *saying);
/* Whole lines to standard error, as they are. Never waits; needs no lock. */
void machine_say(const struct machine *m, const char *lines, size_t size);

#endif
