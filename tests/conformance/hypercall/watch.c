/* SPDX-License-Identifier: MIT */
/*
 * Reports what a step changed in pages shared with the hypervisor: entries, status words, event
 * bits.
 */
#include <string.h>

#include "exec.h"

#define CHANNEL_BIT (UINT64_C(1) << GUEST_CHANNEL)      /* dom0's calls are not part of what is observed */

static const char letters[NR_WHO] = { '0', 'A', 'B', 'C' };

/* Frames that a table gave up may be another's now. */
static void forget_frame(struct exec *e, uint64_t frame)
{
    for (unsigned who = WHO_A; who < NR_WHO; who++) {
        struct memory *m = &e->memory[who];

        for (unsigned i = 0; i < MAX_GRANT_FRAMES; i++)
            m->grant_mfn[i] = m->grant_mfn[i] == frame ? 0 : m->grant_mfn[i];
        for (unsigned i = 0; i < MAX_STATUS_FRAMES; i++)
            m->status_mfn[i] = m->status_mfn[i] == frame ? 0 : m->status_mfn[i];
        m->shared_mfn = m->shared_mfn == frame ? 0 : m->shared_mfn;
    }
}

void watch_begin(struct exec *e, enum who who)
{
    struct memory *m = &e->memory[who];
    const struct guest *g = backend_guest(e->b, who);

    memset(m, 0, sizeof *m);
    m->created = true;
    m->version = 1;
    memset(m->at_slot, 0xff, sizeof m->at_slot);
    memcpy(m->pool, g->pool, sizeof m->pool);
    forget_frame(e, g->shared_mfn);
    m->shared_mfn = g->shared_mfn;
}

void watch_learn(struct exec *e, enum who who)
{
    struct memory *m = &e->memory[who];
    const struct guest *g = backend_guest(e->b, who);

    if (g->state != GUEST_ALIVE)
        return;
    for (unsigned i = 0; i < g->nr_grant; i++) {
        forget_frame(e, g->grant_mfn[i]);
        m->grant_mfn[i] = g->grant_mfn[i];
    }
    for (unsigned i = 0; i < g->nr_status; i++) {
        forget_frame(e, g->status_mfn[i]);
        m->status_mfn[i] = g->status_mfn[i];
    }
}

static void report_entry(struct exec *e, enum who who, unsigned ref, const void *at)
{
    struct memory *m = &e->memory[who];

    if (m->version == 1) {
        const struct grant_entry_v1 *v1 = at;

        fprintf(e->out, " %c.ref%u=%#x:", letters[who], ref, v1->flags);
        print_domain(e, v1->domid);
        fputc(':', e->out);
        print_frame(e, v1->frame, false);
    } else {
        const union grant_entry_v2 *v2 = at;

        fprintf(e->out, " %c.ref%u=%#x:", letters[who], ref, v2->hdr.flags);
        print_domain(e, v2->hdr.domid);
        fprintf(e->out, ":%u:%u:", v2->sub_page.page_off, v2->sub_page.length);
        print_frame(e, v2->full_page.frame, false);
    }
}

static void report_table(struct exec *e, enum who who)
{
    struct memory *m = &e->memory[who];
    const struct guest *g = backend_guest(e->b, who);
    unsigned size = m->version == 1 ? sizeof(struct grant_entry_v1) : sizeof(union grant_entry_v2);

    for (unsigned i = 0; i < g->nr_grant; i++) {
        if (!memcmp(m->grant[i], g->grant[i], 4096))
            continue;
        for (unsigned at = 0; at < 4096; at += size) {
            if (!memcmp(m->grant[i] + at, g->grant[i] + at, size))
                continue;
            memcpy(m->grant[i] + at, g->grant[i] + at, size);
            report_entry(e, who, i * (4096 / size) + at / size, m->grant[i] + at);
        }
    }
    if (g->nr_status != m->nr_status)
        memset(m->status, 0, sizeof m->status);
    m->nr_grant = g->nr_grant;
    m->nr_status = g->nr_status;
    for (unsigned i = 0; i < g->nr_status; i++) {
        const uint16_t *now = (const void *)g->status[i], *old = (const void *)m->status[i];

        if (!memcmp(now, old, 4096))
            continue;
        for (unsigned ref = 0; ref < 2048; ref++)
            if (now[ref] != old[ref])
                fprintf(e->out, " %c.st%u=%#x", letters[who], i * 2048 + ref, now[ref]);
        memcpy(m->status[i], g->status[i], 4096);
    }
}

static void report_words(struct exec *e, enum who who, const char *what, uint64_t *old,
                         const volatile unsigned long *now)
{
    for (unsigned i = 0; i < 64; i++) {
        uint64_t word = now[i] & ~(i ? 0 : CHANNEL_BIT);

        if (old[i] != word)
            fprintf(e->out, " %c.%s%u=%#llx", letters[who], what, i, (unsigned long long)word);
        old[i] = word;
    }
}

static void report_events(struct exec *e, enum who who)
{
    struct memory *m = &e->memory[who];
    const struct shared_info *s = backend_guest(e->b, who)->shared;

    report_words(e, who, "pending", m->pending, s->evtchn_pending);
    report_words(e, who, "mask", m->mask, s->evtchn_mask);
    if (m->selector != s->vcpu_info[0].evtchn_pending_sel) {
        m->selector = s->vcpu_info[0].evtchn_pending_sel;
        fprintf(e->out, " %c.sel=%#llx", letters[who], (unsigned long long)m->selector);
    }
    if (m->upcall != s->vcpu_info[0].evtchn_upcall_pending) {
        m->upcall = s->vcpu_info[0].evtchn_upcall_pending;
        fprintf(e->out, " %c.upcall=%u", letters[who], m->upcall);
    }
}

void watch_report(struct exec *e)
{
    for (unsigned who = WHO_A; who < NR_WHO; who++)
        if (e->memory[who].created && backend_guest(e->b, (enum who)who)->state == GUEST_ALIVE) {
            report_table(e, (enum who)who);
            report_events(e, (enum who)who);
        }
}
