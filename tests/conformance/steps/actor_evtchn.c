/* SPDX-License-Identifier: MIT */
/*
 * The actor's commands for the event channel device. Ports differ from run to run, so scripts give
 * them names.
 */
#include "actor_i.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <xen/sys/evtchn.h>

#define EVENT_PATIENCE 8000         /* ms for an event that should come; a virtual machine is slow */
#define NO_EVENT_PATIENCE 300       /* ms in which one that should not come would have */

/* The three binds answer the port. "ebind-... FD P ..." */
static void named_port(struct actor *a, int rc)
{
    if (rc > 0) {
        name_thing(a, PORT, word(a, 2))->value = rc;
        hide(a, "%s=%d ", word(a, 2), rc);
    } else {
        hide(a, "%s=0 ", word(a, 2));
    }
    answer_rc(a, rc > 0 ? 0 : rc);
    if (rc == 0)
        answer(a, " port=0");
}

static void do_unbound(struct actor *a)
{
    struct ioctl_evtchn_bind_unbound_port op = { .remote_domain = (unsigned)number(a, 3) };

    named_port(a, ioctl(fd_of(a, 1), IOCTL_EVTCHN_BIND_UNBOUND_PORT, &op));
}

static void do_bind(struct actor *a)
{
    struct ioctl_evtchn_bind_interdomain op = { .remote_domain = (unsigned)number(a, 3),
                                                .remote_port = (unsigned)number(a, 4) };

    named_port(a, ioctl(fd_of(a, 1), IOCTL_EVTCHN_BIND_INTERDOMAIN, &op));
}

static void do_virq(struct actor *a)
{
    struct ioctl_evtchn_bind_virq op = { .virq = (unsigned)number(a, 3) };

    named_port(a, ioctl(fd_of(a, 1), IOCTL_EVTCHN_BIND_VIRQ, &op));
}

static void do_unbind(struct actor *a)
{
    struct ioctl_evtchn_unbind op = { .port = (unsigned)number(a, 2) };

    answer_rc(a, ioctl(fd_of(a, 1), IOCTL_EVTCHN_UNBIND, &op));
}

static void do_enotify(struct actor *a)
{
    struct ioctl_evtchn_notify op = { .port = (unsigned)number(a, 2) };

    answer_rc(a, ioctl(fd_of(a, 1), IOCTL_EVTCHN_NOTIFY, &op));
}

static void do_reset(struct actor *a)
{
    answer_rc(a, ioctl(fd_of(a, 1), IOCTL_EVTCHN_RESET));
}

static void do_restrict(struct actor *a)
{
    struct ioctl_evtchn_restrict_domid op = { .domid = (domid_t)number(a, 2) };

    answer_rc(a, ioctl(fd_of(a, 1), IOCTL_EVTCHN_RESTRICT_DOMID, &op));
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of ports, in the order of the alphabet: that of arrival is not the same every time. */
static void answer_ports(struct actor *a, const uint32_t *ports, size_t n)
{
    const char *names[1024];

    for (size_t i = 0; i < n; i++) {
        names[i] = "?";
        for (struct thing *t = a->things; t < a->things + MAX_NAMES; t++)
            if (t->kind == PORT && (uint32_t)t->value == ports[i])
                names[i] = t->name;
    }
    qsort(names, n, sizeof *names, compare_names);
    answer(a, "events=");
    for (size_t i = 0; i < n; i++)
        answer(a, "%s%s", i ? "," : "", names[i]);
    if (!n)
        answer(a, "none");
}

static long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/*
 * events FD N: waits until N events have come, and answers them; they stay masked. N = 0: waits a
 * while, and answers what should not have come.
 */
static void do_events(struct actor *a)
{
    size_t wanted = number(a, 2), n = 0;
    long end = now_ms() + (wanted ? EVENT_PATIENCE : NO_EVENT_PATIENCE);
    uint32_t ports[1024];

    while (n < 1024 && (!wanted || n < wanted)) {
        struct pollfd p = { fd_of(a, 1), POLLIN, 0 };
        long left = end - now_ms();
        ssize_t got;

        if (left <= 0 || poll(&p, 1, (int)left) <= 0)
            break;
        got = read(p.fd, ports + n, sizeof ports - n * sizeof *ports);
        if (got < 0) {
            answer_rc(a, -1);
            answer(a, " ");
            break;
        }
        n += (size_t)got / sizeof *ports;
    }
    answer_ports(a, ports, n);
}

/* unmask FD PORT...: in one write. */
static void do_unmask(struct actor *a)
{
    uint32_t ports[64];
    int n = 0;

    for (; n < 64 && n + 2 < a->nr_words; n++)
        ports[n] = (uint32_t)number(a, n + 2);
    answer_rc(a, write(fd_of(a, 1), ports, (size_t)n * sizeof *ports));
}

/* unbound-many FD COUNT DOM: as many ports as the domain has, or COUNT; answers only whether all
 * came. They are not named. */
static void do_unbound_many(struct actor *a)
{
    unsigned long n = number(a, 2), done = 0;
    int rc = 0;

    for (; done < n && rc >= 0; done += rc > 0) {
        struct ioctl_evtchn_bind_unbound_port op = { .remote_domain = (unsigned)number(a, 3) };

        rc = ioctl(fd_of(a, 1), IOCTL_EVTCHN_BIND_UNBOUND_PORT, &op);
    }
    answer_rc(a, rc < 0 ? rc : 0);
    answer(a, " all=%d", done == n);
}

const struct command evtchn_commands[] = {
    { "unbound", do_unbound },          /* FD P DOM */
    { "unbound-many", do_unbound_many },/* FD COUNT DOM */
    { "bind", do_bind },                /* FD P DOM PORT */
    { "virq", do_virq },                /* FD P VIRQ */
    { "unbind", do_unbind },            /* FD PORT */
    { "signal", do_enotify },           /* FD PORT */
    { "reset", do_reset },              /* FD */
    { "restrict", do_restrict },        /* FD DOM */
    { "events", do_events },            /* FD N */
    { "unmask", do_unmask },            /* FD PORT... */
    { 0 },
};
