/* SPDX-License-Identifier: MIT */
/* Pairs recorded grant references and ports, which may differ from run to run, with the model's. */
#include "compare_i.h"

#include <stdlib.h>

uint32_t model_ref(const struct comparison *c, uint32_t recorded)
{
    for (const struct pair *p = c->refs; p; p = p->next)
        if (p->recorded == recorded)
            return p->model;
    return recorded;
}

void learn_ref(struct comparison *c, uint32_t recorded, uint32_t model)
{
    struct pair *p = calloc(1, sizeof *p);

    if (!p)
        abort();
    *p = (struct pair){ recorded, model, c->refs };
    c->refs = p;
}

struct port *find_port(const struct comparison *c, uint32_t recorded)
{
    struct port *p = c->ports;

    while (p && p->recorded != recorded)
        p = p->next;
    return p;
}

uint32_t model_port(const struct comparison *c, uint32_t recorded)
{
    const struct port *p = find_port(c, recorded);

    return p ? p->model : recorded;
}

void learn_port(struct comparison *c, uint32_t recorded, uint32_t model, domid_t remote,
                evtchn_port_t remote_port)
{
    struct port *p = calloc(1, sizeof *p);

    if (!p)
        abort();
    *p = (struct port){ recorded, model, remote, remote_port, c->ports };
    c->ports = p;
}

void forget_pairs(struct comparison *c)
{
    while (c->refs) {
        struct pair *next = c->refs->next;

        free(c->refs);
        c->refs = next;
    }
    while (c->ports) {
        struct port *next = c->ports->next;

        free(c->ports);
        c->ports = next;
    }
}
