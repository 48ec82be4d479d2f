/* SPDX-License-Identifier: MIT */
/* Builds machines with guest kernels for the tests, and their callers' memory. */
#include "harness.h"

struct world w;
const struct kernel_hooks *world_hooks;
struct proc p;
static const struct kernel_profile *suite_profile;

bool use_profile(const char *name)
{
    suite_profile = kernel_profile_find(name);
    w = (struct world){ .profile = suite_profile };
    return suite_profile != NULL;
}

void eq_(long long actual, long long expected, const char *what, const char *file, unsigned line)
{
    char text[256];

    if (actual != expected) {
        snprintf(text, sizeof text, "%s (%lld, not %lld; %s)", what, actual, expected,
                 w.profile ? w.profile->name : "-");
        CU_assertImplementation(CU_FALSE, line, strdup(text), file, "", CU_FALSE);
    } else {
        CU_assertImplementation(CU_TRUE, line, what, file, "", CU_FALSE);
    }
}

/* ---- The machine ----------------------------------------------------------------------------- */

static void on_upcall(void *ctx, domid_t dom)
{
    ((struct world *)ctx)->upcall[dom] = true;
}

static void on_crashed(void *ctx, domid_t dom, const char *why)
{
    (void)dom;
    (void)why;
    ((struct world *)ctx)->crashes++;
}

static uint64_t clock_now(void *ctx)
{
    return ((struct world *)ctx)->now;
}

static void on_timer_changed(void *ctx)
{
    ((struct world *)ctx)->timer_changes++;
}

static void on_log(void *ctx, const char *line)
{
    struct world *world = ctx;
    size_t used = strlen(world->log);

    snprintf(world->log + used, sizeof world->log - used, "%s\n", line);
}

void world_empty(const struct kernel_profile *profile, uint64_t nr_frames)
{
    struct hv_config config = { .nr_frames = nr_frames,
                                .hooks = { .upcall = on_upcall, .crashed = on_crashed },
                                .hook_ctx = &w };

    w = (struct world){ .profile = profile, .nr_frames = nr_frames };
    proc_reset();
    w.memory = mmap(NULL, nr_frames * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MUST(w.memory != MAP_FAILED);
    config.memory = w.memory;
    MUST(hv_create(&w.hv, &config) == 0);
}

void boot_with(domid_t id, const struct kernel_profile *profile, unsigned grant_version,
               int32_t max_grant_frames, int32_t max_maptrack_frames)
{
    struct kernel_pv_space *space = kernel_pv_space_create();
    struct hv_domain_config domain;
    struct kernel_config config = { .hv = w.hv, .domid = id, .profile = profile, .now = clock_now,
                                    .hooks = world_hooks,
                                    .timer_changed = on_timer_changed, .log = on_log, .ctx = &w,
                                    .grant_version = grant_version };

    MUST(space != NULL);
    kernel_domain_config(&domain, profile, space);
    domain.privileged = id == 0;
    domain.max_grant_frames = max_grant_frames;
    domain.max_maptrack_frames = max_maptrack_frames;
    MUST(hv_domain_create(w.hv, id, &domain) == 0);
    MUST(kernel_create(&w.k[id], &config, space) == 0);
}

void boot(domid_t id, const struct kernel_profile *profile)
{
    boot_with(id, profile, 0, -1, -1);
}

void world_up_with(const struct kernel_profile *profile)
{
    world_empty(profile, 16384);
    boot(0, profile);
    boot(1, profile);
}

void world_up(void)
{
    world_up_with(suite_profile);
}

void audit_clean(void)
{
    unsigned found = hv_audit(w.hv, stdout);

    for (unsigned id = 0; id < NR_DOMAINS; id++)
        if (w.k[id])
            found += kernel_audit(w.k[id], stdout);
    EQ(found, 0);
}

void destroy_domain(domid_t id)
{
    EQ(hv_domain_destroy(w.hv, id), 0);
    kernel_destroy(w.k[id]);
    w.k[id] = NULL;
    settle();
}

void world_down(void)
{
    settle();
    audit_clean();
    EQ(w.open_files, 0);
    EQ(w.crashes, 0);
    for (domid_t id = 0; id < NR_DOMAINS; id++)
        if (w.k[id])
            destroy_domain(id);
    hv_destroy(w.hv);
    munmap(w.memory, w.nr_frames * PAGE);
    w = (struct world){ .profile = suite_profile };
}

void settle(void)
{
    for (bool again = true; again;) {
        again = false;
        for (unsigned id = 0; id < NR_DOMAINS; id++) {
            if (!w.upcall[id])
                continue;
            w.upcall[id] = false;
            again = true;
            if (w.k[id])
                kernel_upcall(w.k[id]);
        }
    }
}

void advance(uint64_t ns)
{
    uint64_t end = w.now + ns;

    settle();
    for (;;) {
        uint64_t next = UINT64_MAX;

        for (unsigned id = 0; id < NR_DOMAINS; id++)
            if (w.k[id] && kernel_next_timer(w.k[id]) < next)
                next = kernel_next_timer(w.k[id]);
        if (next > end)
            break;
        w.now = next;
        for (unsigned id = 0; id < NR_DOMAINS; id++)
            if (w.k[id])
                kernel_run_timers(w.k[id]);
        settle();
    }
    w.now = end;
}

bool logged(const char *text)
{
    return strstr(w.log, text);
}

/* ---- A process ------------------------------------------------------------------------------- */

void proc_reset(void)
{
    p = (struct proc){ .at = 0 };
}

void proc_hole(const void *from, size_t size, int allowed)
{
    for (size_t i = 0; i < sizeof p.holes / sizeof *p.holes; i++) {
        if (p.holes[i].to)
            continue;
        p.holes[i].from = (uintptr_t)from;
        p.holes[i].to = (uintptr_t)from + size;
        p.holes[i].allowed = allowed;
        return;
    }
    MUST(false);
}

static bool may_access(uint64_t addr, size_t size, int how)
{
    if (addr < 0x10000 || addr > UINT64_MAX - size || addr + size > 1ull << 47)
        return false;
    if (p.only_to && (addr < p.only_from || addr + size > p.only_to))
        return false;
    for (size_t i = 0; i < sizeof p.holes / sizeof *p.holes; i++)
        if (addr < p.holes[i].to && addr + size > p.holes[i].from && !(p.holes[i].allowed & how))
            return false;
    return true;
}

static void interfere(void)
{
    void (*during)(void *) = p.during;

    if (!during || (p.at && --p.at))
        return;
    p.during = NULL;
    during(p.during_arg);
}

static int proc_read(void *ctx, void *to, uint64_t from, size_t size)
{
    (void)ctx;
    p.reads++;
    interfere();
    if (!may_access(from, size, PROT_READ))
        return -EFAULT;
    memcpy(to, (const void *)(uintptr_t)from, size);
    return 0;
}

static int proc_write(void *ctx, uint64_t to, const void *from, size_t size)
{
    (void)ctx;
    p.writes++;
    interfere();
    if (!may_access(to, size, PROT_WRITE))
        return -EFAULT;
    memcpy((void *)(uintptr_t)to, from, size);
    return 0;
}

static struct vma *proc_find_vma(void *ctx, uint64_t addr)
{
    struct vma *found = NULL;
    uint64_t lowest = UINT64_MAX;

    (void)ctx;
    if (p.in_find_vma)
        p.in_find_vma();
    for (size_t i = 0; i < sizeof p.vmas / sizeof *p.vmas; i++) {
        const struct vma *vma = p.vmas[i].vma;

        if (!vma || p.vmas[i].addr + vma->nr_pages * PAGE <= addr || p.vmas[i].addr >= lowest)
            continue;
        lowest = p.vmas[i].addr;
        found = p.vmas[i].vma;
    }
    return found;
}

static struct vma *proc_vma_at(void *ctx, uint64_t addr, uint64_t *page)
{
    (void)ctx;
    for (size_t i = 0; i < sizeof p.vmas / sizeof *p.vmas; i++) {
        struct vma *vma = p.vmas[i].vma;

        if (!vma || addr < p.vmas[i].addr || addr >= p.vmas[i].addr + vma->nr_pages * PAGE)
            continue;
        *page = (addr - p.vmas[i].addr) / PAGE;
        return vma;
    }
    return NULL;
}

static const struct user_memory_ops proc_ops =
    { proc_read, proc_write, proc_find_vma, proc_vma_at };

struct user_memory proc_memory(void)
{
    return (struct user_memory){ &proc_ops, NULL };
}

static void call_done(struct kreq *req, long result)
{
    struct call *call = req->owner;

    OK(!call->done);
    call->done = true;
    call->result = result;
}

static void call_init(struct call *call)
{
    *call = (struct call){ .req = { .done = call_done, .owner = call, .mem = proc_memory() } };
}

/* file->owner counts the descriptor and the mappings. */
struct file *open_as(domid_t id, const char *name, unsigned flags)
{
    struct file *file;

    MUST(kernel_chardev_find(name) != NULL);
    MUST(kernel_open(w.k[id], kernel_chardev_find(name), flags, &file) == 0);
    file->owner = (void *)1;
    w.open_files++;
    return file;
}

static void file_get(struct file *file)
{
    file->owner = (void *)((uintptr_t)file->owner + 1);
}

static void file_put(struct file *file)
{
    file->owner = (void *)((uintptr_t)file->owner - 1);
    if (file->owner)
        return;
    kernel_file_close(file);
    w.open_files--;
    settle();
}

void close_dev(struct file *file)
{
    file_put(file);
}

long start_ioctl(struct file *file, unsigned long cmd, void *arg, struct call *call)
{
    long rc;

    call_init(call);
    rc = kernel_ioctl(file, (unsigned)cmd, (uintptr_t)arg, &call->req);
    p.filled_first = call->req.fill.first;
    p.filled_nr = 0;
    for (size_t i = 0; call->req.fill.vma && i < call->req.fill.nr_runs; i++)
        p.filled_nr += call->req.fill.runs[i].nr;
    free(call->req.fill.runs);
    settle();
    return rc;
}

long do_ioctl(struct file *file, unsigned long cmd, void *arg)
{
    struct call call;
    long rc = start_ioctl(file, cmd, arg, &call);

    MUST(rc != KERNEL_PENDING);
    OK(!call.done);
    return rc;
}

long start_read(struct file *file, void *buf, size_t size, struct call *call)
{
    long rc;

    call_init(call);
    rc = kernel_read(file, buf, size, &call->req);
    settle();
    return rc;
}

long start_mmap(struct file *file, uint64_t offset, uint64_t length, unsigned prot, unsigned flags,
                struct call *call)
{
    long rc;

    call_init(call);
    rc = kernel_mmap(file, offset, length, prot, flags, &call->vma, &call->req);
    OK((call->vma != NULL) == (rc == 0 || rc == KERNEL_PENDING));
    if (call->vma)
        file_get(file);
    settle();
    return rc;
}

long do_mmap(struct file *file, uint64_t offset, uint64_t length, unsigned prot, unsigned flags,
             struct vma **vma)
{
    struct call call;
    long rc = start_mmap(file, offset, length, prot, flags, &call);
    uint64_t pages = 0;

    MUST(rc != KERNEL_PENDING);
    *vma = call.vma;
    for (size_t i = 0; !rc && i < (*vma)->nr_runs; i++)
        pages += (*vma)->runs[i].nr;
    if (!rc)
        EQ(pages, (*vma)->nr_pages);
    return rc;
}

void do_munmap_part(struct vma *vma, uint64_t first, uint64_t nr)
{
    kernel_vma_unmap(vma, first, nr);
    settle();
}

void do_munmap(struct vma *vma)
{
    struct file *file = vma->file;

    kernel_vma_unmap(vma, 0, vma->nr_pages);
    kernel_vma_close(vma);
    settle();
    file_put(file);
}

volatile uint8_t *at(const struct vma *vma, uint64_t page, unsigned offset)
{
    for (size_t i = 0; i < vma->nr_runs; page -= vma->runs[i++].nr)
        if (page < vma->runs[i].nr)
            return (volatile uint8_t *)hv_frame(w.hv, vma->runs[i].mfn + page) + offset;
    MUST(false);
    return NULL;
}

/* ---- gntalloc, gntdev and evtchn in one line ------------------------------------------------- */

long alloc_grefs(struct file *file, domid_t to, unsigned flags, uint32_t count, uint64_t *index,
                 uint32_t *refs)
{
    static union {
        struct ioctl_gntalloc_alloc_gref op;
        uint32_t words[4 + MAX_REFS];
    } u;
    long rc;

    u.op = (struct ioctl_gntalloc_alloc_gref){ .domid = to, .flags = (uint16_t)flags,
                                               .count = count };
    rc = do_ioctl(file, IOCTL_GNTALLOC_ALLOC_GREF, &u.op);
    *index = u.op.index;
    for (uint32_t i = 0; !rc && refs && i < count; i++)
        refs[i] = u.words[4 + i];
    return rc;
}

long dealloc(struct file *file, uint64_t index, uint32_t count)
{
    struct ioctl_gntalloc_dealloc_gref op = { .index = index, .count = count };

    return do_ioctl(file, IOCTL_GNTALLOC_DEALLOC_GREF, &op);
}

struct vma *share(struct file *gntalloc, domid_t to, uint32_t count, uint32_t *refs)
{
    struct vma *vma;
    uint64_t index;

    MUST(alloc_grefs(gntalloc, to, GNTALLOC_FLAG_WRITABLE, count, &index, refs) == 0);
    MUST(do_mmap(gntalloc, index, count * PAGE, RW, MAP_SHARED, &vma) == 0);
    EQ(dealloc(gntalloc, index, count), 0);
    return vma;
}

long set_notify(struct file *file, uint64_t index, uint32_t action, uint32_t port)
{
    struct ioctl_gntdev_unmap_notify op = { .index = index, .action = action,
                                            .event_channel_port = port };

    _Static_assert(IOCTL_GNTDEV_SET_UNMAP_NOTIFY == IOCTL_GNTALLOC_SET_UNMAP_NOTIFY,
                   "one number for both devices");
    return do_ioctl(file, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &op);
}

long map_refs(struct file *file, domid_t from, const uint32_t *refs, uint32_t count,
              uint64_t *index)
{
    static union {
        struct ioctl_gntdev_map_grant_ref op;
        struct {
            char head[16];
            struct ioctl_gntdev_grant_ref refs[MAX_REFS];
        } all;
    } u;
    long rc;

    MUST(count <= MAX_REFS);
    u.op = (struct ioctl_gntdev_map_grant_ref){ .count = count };
    for (uint32_t i = 0; i < count; i++)
        u.all.refs[i] = (struct ioctl_gntdev_grant_ref){ .domid = from, .ref = refs[i] };
    rc = do_ioctl(file, IOCTL_GNTDEV_MAP_GRANT_REF, &u.op);
    *index = u.op.index;
    return rc;
}

long unmap_index(struct file *file, uint64_t index, uint32_t count)
{
    struct ioctl_gntdev_unmap_grant_ref op = { .index = index, .count = count };

    return do_ioctl(file, IOCTL_GNTDEV_UNMAP_GRANT_REF, &op);
}

struct vma *map_grants(struct file *gntdev, domid_t from, const uint32_t *refs, uint32_t count,
                       unsigned prot, long *rc)
{
    struct vma *vma = NULL;
    uint64_t index;

    *rc = map_refs(gntdev, from, refs, count, &index);
    if (*rc)
        return NULL;
    *rc = do_mmap(gntdev, index, count * PAGE, prot, MAP_SHARED, &vma);
    if (*rc)
        EQ(unmap_index(gntdev, index, count), 0);
    return vma;
}

uint64_t index_of(const struct vma *vma)
{
    return vma->pgoff * PAGE;
}

void unmap_grants(struct file *gntdev, struct vma *vma)
{
    uint64_t index = index_of(vma);
    uint32_t count = (uint32_t)vma->nr_pages;

    do_munmap(vma);
    EQ(unmap_index(gntdev, index, count), 0);
}

uint32_t take_event(struct file *evtchn)
{
    struct call call;
    uint32_t port = 0;
    unsigned flags = evtchn->flags;
    long rc;

    settle();
    evtchn->flags |= O_NONBLOCK;
    rc = start_read(evtchn, &port, sizeof port, &call);
    evtchn->flags = flags;
    OK(rc == sizeof port || rc == -EAGAIN);
    return rc == sizeof port ? port : 0;
}

void ack_event(struct file *evtchn, uint32_t port)
{
    EQ(kernel_write(evtchn, &port, sizeof port), sizeof port);
    settle();
}

uint32_t next_event(struct file *evtchn)
{
    uint32_t port = take_event(evtchn);

    if (port)
        ack_event(evtchn, port);
    return port;
}

void connect(struct file *a, domid_t a_id, struct file *b, domid_t b_id, uint32_t *a_port,
             uint32_t *b_port)
{
    struct ioctl_evtchn_bind_unbound_port unbound = { .remote_domain = b_id };
    struct ioctl_evtchn_bind_interdomain inter = { .remote_domain = a_id };
    long rc = do_ioctl(a, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &unbound);

    MUST(rc > 0);
    *a_port = inter.remote_port = (uint32_t)rc;
    rc = do_ioctl(b, IOCTL_EVTCHN_BIND_INTERDOMAIN, &inter);
    MUST(rc > 0);
    *b_port = (uint32_t)rc;
    EQ(next_event(b), *b_port);
    EQ(next_event(b), 0);
    EQ(next_event(a), 0);
}

uint16_t entry_flags(domid_t id, uint32_t ref)
{
    struct hv_entry_info entry;

    MUST(hv_entry_info(w.hv, id, ref, &entry) == 0);
    return entry.flags;
}

bool in_use(domid_t id, uint32_t ref)
{
    return entry_flags(id, ref) & (GTF_reading | GTF_writing);
}

struct hv_domain_info info(domid_t id)
{
    struct hv_domain_info out;

    MUST(hv_domain_info(w.hv, id, &out) == 0);
    return out;
}

static struct hv_frame_info frame_behind(const struct vma *vma, uint64_t page)
{
    const char *place = (const char *)(uintptr_t)at(vma, page, 0);
    uint64_t offset = (uint64_t)(place - (const char *)w.memory);
    struct hv_frame_info frame;

    MUST(hv_frame_info(w.hv, offset / PAGE, &frame) == 0);
    MUST(frame.owner >= 0);
    return frame;
}

void page_out(const struct vma *vma, uint64_t page)
{
    struct hv_frame_info frame = frame_behind(vma, page);

    EQ(hv_page_out(w.hv, (domid_t)frame.owner, frame.gfn), 0);
}

void page_in(const struct vma *vma, uint64_t page)
{
    struct hv_frame_info frame = frame_behind(vma, page);

    EQ(hv_page_in(w.hv, (domid_t)frame.owner, frame.gfn), 0);
}
