/* SPDX-License-Identifier: MIT */
/* Asks the part that listens to what processes do, if there is one. */
#include "saying.h"

#include <stdio.h>

#include "faults.h"
#include "machine.h"
#include "outlet.h"
#include "trace.h"

bool machine_is_watched(const struct machine *m)
{
    return m->watched;
}

bool machine_is_observed(const struct machine *m)
{
    return trace_is_on(m) || faults_first(m) || machine_is_watched(m);
}

static const struct witness *ask(struct machine *m, pid_t tid, const struct machine_stack *at)
{
    for (unsigned i = 0; i < m->nr_parts; i++)
        if (m->parts[i]->witness)
            return m->parts[i]->witness(m, tid, at);
    return NULL;
}

const struct witness *machine_witness(struct machine *m, pid_t tid, const uint64_t *addresses,
                                      size_t nr)
{
    return ask(m, tid, &(struct machine_stack){ addresses, nr, NULL });
}

const struct witness *machine_witness_at(struct machine *m, pid_t tid,
                                         const struct machine_registers *registers)
{
    return ask(m, tid, &(struct machine_stack){ NULL, 0, registers });
}

void machine_answer_waits(struct machine *m, pid_t tid)
{
    if (m->watched)
        PARTS_TELL(m, answer_waits, m, tid);
}

void machine_caller_seen(struct machine *m, pid_t tid, const struct witness *witness)
{
    machine_caller(m, tid);
    m->witness = witness;
}

int64_t machine_process_says(struct machine *m, const struct process_saying *saying)
{
    for (unsigned i = 0; i < m->nr_parts; i++)
        if (m->parts[i]->process_says)
            return m->parts[i]->process_says(m, saying);
    return 0;
}

void machine_say(const struct machine *m, const char *lines, size_t size)
{
    if (m->log)
        outlet_put(m->log, lines, size);
    else
        fwrite(lines, 1, size, stderr);
}
