/* SPDX-License-Identifier: MIT */
/* Tells the parts of a machine what happens to it. */
#include "parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "say.h"

/* Its place among the machine's parts; nr_parts: it is not one of them. */
static unsigned place_of(const struct machine *m, const struct machine_part *part)
{
    unsigned i = 0;

    while (i < m->nr_parts && m->parts[i] != part)
        i++;
    return i;
}

void *part_of_machine(const struct machine *m, const struct machine_part *part)
{
    unsigned place = place_of(m, part);

    return place < m->nr_parts ? m->part_states[place] : NULL;
}

void *part_of_domain(const struct domain *d, const struct machine_part *part)
{
    unsigned place = place_of(d->machine, part);

    return place < d->machine->nr_parts ? d->part_states[place] : NULL;
}

/* 0, -ENOMEM. A state of no size is none. */
static int make_state(void **state, size_t size)
{
    *state = size ? calloc(1, size) : NULL;
    return size && !*state ? -ENOMEM : 0;
}

/* The part has its state, and is one of the machine's, while it prepares. */
static int add(struct machine *m, const struct machine_part *part, int *memory_fd)
{
    unsigned i = m->nr_parts;
    int rc = make_state(&m->part_states[i], part->machine_size);

    if (rc) {
        failure("cannot start the machine: %s", strerror(-rc));
        return rc;
    }
    m->parts[m->nr_parts++] = part;
    m->watched |= part->process_says != NULL;
    rc = part->prepare ? part->prepare(m, memory_fd) : 0;
    if (!rc)
        return 0;
    m->nr_parts--;
    free(m->part_states[i]);
    m->part_states[i] = NULL;
    return rc;
}

int parts_prepare(struct machine *m, const struct machine_config *config, int *memory_fd)
{
    int rc = 0;

    for (unsigned i = 0; !rc && config->parts[i]; i++)
        rc = add(m, config->parts[i], memory_fd);
    return rc;
}

int parts_start(struct machine *m)
{
    int rc = 0;

    for (unsigned i = 0; !rc && i < m->nr_parts; i++)
        if (m->parts[i]->start)
            rc = m->parts[i]->start(m);
    return rc;
}

void parts_free(struct machine *m)
{
    for (unsigned i = 0; i < MACHINE_MAX_PARTS; i++)
        free(m->part_states[i]);
}

int parts_domain_create(struct domain *d)
{
    struct machine *m = d->machine;
    int rc = 0;

    for (unsigned i = 0; !rc && i < m->nr_parts; i++)
        rc = make_state(&d->part_states[i], m->parts[i]->domain_size);
    if (!rc)
        PARTS_TELL(m, domain_created, d);
    return rc;
}

void parts_domain_free(struct domain *d)
{
    for (unsigned i = 0; i < MACHINE_MAX_PARTS; i++)
        free(d->part_states[i]);
}
