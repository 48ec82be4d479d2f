/* SPDX-License-Identifier: MIT */
/* The hooks for faults and trace: what each verdict does, and that a held call ends well in every
 * case. */
#include "harness.h"

SUITE("hooks", "pv pvh legacy");

#define NR_SEEN 256
static struct {
    enum kernel_op at;                   /* where to answer: */
    struct kernel_verdict verdict;
    unsigned times;
    bool hold_answer;                    /* instead: of this operation */
    unsigned nr;
    struct {
        enum kernel_op op;
        bool done;
        uint64_t call;
        long result;
    } seen[NR_SEEN];
    unsigned reads, writes;
} h;

static void note(const struct kernel_point *point, bool done, long result)
{
    if (h.nr == NR_SEEN)
        return;
    h.seen[h.nr].op = point->op;
    h.seen[h.nr].done = done;
    h.seen[h.nr].call = point->call;
    h.seen[h.nr++].result = result;
}

static struct kernel_verdict on_inject(void *ctx, struct kernel_point *point)
{
    struct kernel_verdict go_on = { .action = KERNEL_GO_ON };

    (void)ctx;
    if (point->op != h.at || !h.times)
        return go_on;
    h.times--;
    if (h.hold_answer) {
        OK(kernel_hold_answer(point->kernel, 9, 0));
        return go_on;
    }
    return h.verdict;
}

static void on_enter(void *ctx, struct kernel_point *point)
{
    (void)ctx;
    note(point, false, 0);
}

static void on_done(void *ctx, const struct kernel_point *point, long result)
{
    (void)ctx;
    note(point, true, result);
}

static void on_user(void *ctx, const struct kernel_point *point, enum kernel_user op,
                    uint64_t addr, const void *data, size_t size, const struct vma *vma, int rc)
{
    (void)ctx;
    (void)addr;
    (void)data;
    (void)vma;
    OK(point->call != 0 && !rc && size);
    h.reads += op == KERNEL_USER_READ;
    h.writes += op == KERNEL_USER_WRITE;
}

static const struct kernel_hooks hooks = { .inject = on_inject, .enter = on_enter, .done = on_done,
                                           .user = on_user };

static void up(void)
{
    memset(&h, 0, sizeof h);
    world_hooks = &hooks;
    world_up();
    world_hooks = NULL;
}

static void answer(enum kernel_op at, enum kernel_action action, long value, uint64_t ns,
                   uint64_t token)
{
    h.at = at;
    h.verdict = (struct kernel_verdict){ .action = action, .value = value, .ns = ns,
                                         .token = token };
    h.times = 1;
}

/* How often the operation was told so. */
static unsigned told(enum kernel_op op, bool done)
{
    unsigned n = 0;

    for (unsigned i = 0; i < h.nr; i++)
        n += h.seen[i].op == op && h.seen[i].done == done;
    return n;
}

TEST("every call begins and ends, and reaches its caller's memory in between")
{
    struct file *a, *g;
    uint32_t refs[2];
    struct vma *own, *map;
    long rc;

    up();
    a = open_dev(0, "gntalloc");
    g = open_dev(1, "gntdev");
    own = share(a, 1, 2, refs);
    map = map_grants(g, 0, refs, 2, RW, &rc);
    unmap_grants(g, map);
    do_munmap(own);
    close_dev(a);
    close_dev(g);
    EQ(told(KERNEL_OPEN, false), 2);
    EQ(told(KERNEL_RELEASE, true), 2);
    EQ(told(KERNEL_MMAP, true), 2);
    EQ(told(KERNEL_VMA_CLOSE, true), 2);
    for (enum kernel_op op = KERNEL_OPEN; op < KERNEL_UNMAP; op++)
        EQ(told(op, false), told(op, true));
    OK(told(KERNEL_IOCTL, true) >= 4 && told(KERNEL_UNMAP, true) >= 1 && h.reads >= 4 &&
       h.writes >= 3);
    world_down();
}

TEST("a call that is to fail does, without asking the driver")
{
    struct file *a, *g;
    struct vma *own, *none;
    uint32_t refs[1];
    uint64_t index;

    up();
    a = open_dev(0, "gntalloc");
    answer(KERNEL_IOCTL, KERNEL_FAIL, -ENOMEM, 0, 0);
    EQ(alloc_grefs(a, 1, 1, 1, &index, refs), -ENOMEM);
    own = share(a, 1, 1, refs);
    answer(KERNEL_OPEN, KERNEL_FAIL, -EACCES, 0, 0);
    EQ(kernel_open(w.k[1], kernel_chardev_find("gntdev"), O_RDWR, &g), -EACCES);
    answer(KERNEL_MMAP, KERNEL_FAIL, -ENODEV, 0, 0);
    EQ(do_mmap(a, 0, PAGE, RW, MAP_SHARED, &none), -ENODEV);
    answer(KERNEL_POLL, KERNEL_FAIL, -EIO, 0, 0);
    EQ(kernel_poll(a), POLLERR);
    audit_clean();
    do_munmap(own);
    close_dev(a);
    world_down();
}

TEST("a held call begins when it is let go")
{
    struct ioctl_gntalloc_alloc_gref op = { .domid = 1, .flags = GNTALLOC_FLAG_WRITABLE,
                                            .count = 1 };
    struct ioctl_gntalloc_dealloc_gref back = { .count = 1 };
    struct call call;
    struct file *a;

    up();
    a = open_dev(0, "gntalloc");
    answer(KERNEL_IOCTL, KERNEL_HOLD, 0, 0, 5);
    EQ(start_ioctl(a, IOCTL_GNTALLOC_ALLOC_GREF, &op, &call), KERNEL_PENDING);
    EQ(h.reads, 0);
    OK(kernel_holds(w.k[0], 5) && kernel_waiting(w.k[0]) == KERNEL_NOTHING_WAITS);
    EQ(kernel_resume(w.k[0], 6), -ENOENT);
    EQ(kernel_resume(w.k[0], 5), 0);
    OK(call.done && call.result == 0 && h.reads == 1 && !kernel_holds(w.k[0], 5));
    back.index = op.index;
    EQ(do_ioctl(a, IOCTL_GNTALLOC_DEALLOC_GREF, &back), 0);
    close_dev(a);
    world_down();
}

TEST("a delayed call begins by itself")
{
    struct call call;
    struct file *a;
    uint32_t refs[1];
    struct vma *own;

    up();
    a = open_dev(0, "gntalloc");
    own = share(a, 1, 1, refs);
    do_munmap(own);
    EQ(alloc_grefs(a, 1, 1, 1, &(uint64_t){ 0 }, refs), 0);
    answer(KERNEL_MMAP, KERNEL_HOLD, 0, 50 * MS, 0);
    EQ(start_mmap(a, PAGE, PAGE, RW, MAP_SHARED, &call), KERNEL_PENDING);
    EQ(kernel_waiting(w.k[0]), KERNEL_CALL_WAITS);
    advance(49 * MS);
    OK(!call.done);
    advance(MS);
    OK(call.done && call.result == 0 && kernel_waiting(w.k[0]) == KERNEL_NOTHING_WAITS);
    do_munmap(call.vma);
    close_dev(a);
    world_down();
}

TEST("a held call can be interrupted")
{
    struct ioctl_gntalloc_alloc_gref op = { .domid = 1, .count = 1 };
    struct call call;
    struct file *a;

    up();
    a = open_dev(0, "gntalloc");
    answer(KERNEL_IOCTL, KERNEL_HOLD, 0, 0, 5);
    EQ(start_ioctl(a, IOCTL_GNTALLOC_ALLOC_GREF, &op, &call), KERNEL_PENDING);
    kernel_cancel(&call.req);
    OK(call.done && call.result == -EINTR);
    EQ(kernel_resume(w.k[0], 5), -ENOENT);
    EQ(told(KERNEL_CANCEL, true), 1);
    close_dev(a);
    world_down();
}

TEST("an answer is held after the call has happened")
{
    struct ioctl_gntalloc_alloc_gref op = { .domid = 1, .count = 1 };
    struct ioctl_gntalloc_dealloc_gref back = { .count = 1 };
    struct call call;
    struct file *a;

    up();
    a = open_dev(0, "gntalloc");
    h.hold_answer = true;
    answer(KERNEL_IOCTL, KERNEL_GO_ON, 0, 0, 0);
    EQ(start_ioctl(a, IOCTL_GNTALLOC_ALLOC_GREF, &op, &call), KERNEL_PENDING);
    OK(!call.done && h.writes >= 1);
    EQ(kernel_resume(w.k[0], 9), 0);
    OK(call.done && call.result == 0);
    back.index = op.index;
    EQ(do_ioctl(a, IOCTL_GNTALLOC_DEALLOC_GREF, &back), 0);
    close_dev(a);
    world_down();
}

TEST("a held call ends with its domain")
{
    struct ioctl_gntalloc_alloc_gref op = { .domid = 1, .count = 1 };
    struct call call;
    struct file *a;

    up();
    a = open_dev(1, "gntalloc");
    answer(KERNEL_IOCTL, KERNEL_HOLD, 0, 0, 5);
    EQ(start_ioctl(a, IOCTL_GNTALLOC_ALLOC_GREF, &op, &call), KERNEL_PENDING);
    destroy_domain(1);
    OK(call.done && call.result == -ENODEV);
    close_dev(a);
    world_down();
}

/* ---- Events ---------------------------------------------------------------------------------- */

static struct file *e0, *e1;
static uint32_t p0, p1;

static void up_connected(void)
{
    up();
    e0 = open_dev(0, "evtchn");
    e1 = open_dev(1, "evtchn");
    connect(e0, 0, e1, 1, &p0, &p1);
}

static void down_connected(void)
{
    close_dev(e0);
    close_dev(e1);
    world_down();
}

static void send(void)
{
    struct ioctl_evtchn_notify op = { .port = p1 };

    EQ(do_ioctl(e1, IOCTL_EVTCHN_NOTIFY, &op), 0);
    settle();
}

TEST("a lost event is as if it had never come")
{
    up_connected();
    answer(KERNEL_EVENT, KERNEL_DROP, 0, 0, 0);
    send();
    EQ(next_event(e0), 0);
    audit_clean();
    send();
    EQ(next_event(e0), p0);
    down_connected();
}

TEST("a doubled event is read twice")
{
    up_connected();
    answer(KERNEL_EVENT, KERNEL_DOUBLE, 0, 0, 0);
    send();
    EQ(take_event(e0), p0);
    EQ(next_event(e0), p0);
    EQ(next_event(e0), 0);
    down_connected();
}

TEST("a late event comes later, and nobody's books are wrong meanwhile")
{
    up_connected();
    answer(KERNEL_EVENT, KERNEL_LATE, 0, 30 * MS, 0);
    send();
    EQ(next_event(e0), 0);
    EQ(kernel_waiting(w.k[0]), KERNEL_SOMETHING_LATE);
    audit_clean();
    advance(30 * MS);
    EQ(next_event(e0), p0);
    EQ(kernel_waiting(w.k[0]), KERNEL_NOTHING_WAITS);
    down_connected();
}

TEST("a late event of a domain that is gone is nobody's")
{
    up_connected();
    answer(KERNEL_EVENT, KERNEL_LATE, 0, 30 * MS, 0);
    send();
    destroy_domain(0);
    advance(60 * MS);
    down_connected();
}

TEST("an unmapping completes late")
{
    struct file *a, *g;
    uint32_t refs[1];
    struct vma *own, *map;
    long rc;

    up();
    a = open_dev(0, "gntalloc");
    g = open_dev(1, "gntdev");
    own = share(a, 1, 1, refs);
    map = map_grants(g, 0, refs, 1, RW, &rc);
    answer(KERNEL_UNMAP, KERNEL_LATE, 0, 200 * MS, 0);
    unmap_grants(g, map);
    OK(in_use(0, refs[0]));
    EQ(kernel_waiting(w.k[1]), KERNEL_SOMETHING_LATE);
    advance(200 * MS);
    OK(!in_use(0, refs[0]));
    do_munmap(own);
    close_dev(a);
    close_dev(g);
    world_down();
}
