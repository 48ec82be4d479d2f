/* SPDX-License-Identifier: MIT */
/* Turns bytes into values, mostly ones that exist on the machine. */
#include "hv_fuzz_i.h"
#include "xen_arch.h"

uint8_t u8(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

uint16_t u16(struct input *in)
{
    uint16_t low = u8(in);

    return (uint16_t)(low | u8(in) << 8);
}

uint32_t u32(struct input *in)
{
    uint32_t low = u16(in);

    return low | (uint32_t)u16(in) << 16;
}

uint64_t u64(struct input *in)
{
    uint64_t low = u32(in);

    return low | (uint64_t)u32(in) << 32;
}

domid_t pick_own(struct fuzz *f)
{
    return u8(&f->in) % NR_DOMS;
}

domid_t pick_domid(struct fuzz *f)
{
    static const domid_t odd[] = { DOMID_SELF, VICTIM, 7, DOMID_IO, DOMID_XEN, DOMID_INVALID,
                                   DOMID_FIRST_RESERVED - 1 };
    uint8_t b = u8(&f->in);

    if (b < 216)
        return b % NR_DOMS;
    if (b < 232)
        return DOMID_SELF;
    if (b < 252)
        return odd[b % (sizeof odd / sizeof *odd)];
    return u16(&f->in);
}

domid_t real_domid(domid_t caller, domid_t named)
{
    return named == DOMID_SELF ? caller : named;
}

uint32_t pick_ref(struct fuzz *f, domid_t dom)
{
    uint8_t b = u8(&f->in);
    const struct hv_domain *d = domain_lookup(f->hv, dom);
    uint32_t end = d ? (uint32_t)nr_grant_entries(&d->gt) : 512;

    if (b < 208)
        return b % 20;
    if (b < 216)
        return b % 8 + 252;            /* the end of a frame of version 2 */
    if (b < 240)
        return end - 4 + b % 8;        /* around the last one */
    if (b < 250)
        return u16(&f->in) % 2048;
    return u32(&f->in);
}

void pick_granted(struct fuzz *f, domid_t *dom, uint32_t *ref, domid_t *to)
{
    uint8_t b = u8(&f->in), i = b % NR_GRANTED;

    if (b < 192) {
        *dom = f->granted[i].dom;
        *ref = f->granted[i].ref;
        *to = f->granted[i].to % NR_DOMS;
        return;
    }
    *dom = pick_domid(f);
    *to = pick_own(f);
    *ref = pick_ref(f, real_domid(*to, *dom));
}

uint64_t pick_gfn(struct fuzz *f)
{
    uint8_t b = u8(&f->in);

    if (b < 200)
        return b % 14;
    if (b < 240)
        return 32 + b % 16;            /* where grants are mapped */
    if (b < 250)
        return (uint64_t)u8(&f->in) << (b % 8 * 5);
    return u64(&f->in);
}

uint64_t pick_frame(struct fuzz *f, domid_t dom)
{
    uint8_t b = u8(&f->in);
    uint64_t frame;

    if (b >= 250)
        return u64(&f->in);
    if (b >= 240)
        return f->nr_frames - 2 + b % 4;
    if (b >= 216)
        return u8(&f->in) % f->nr_frames;
    if (hv_grant_frame_number(f->hv, dom, b < 200 ? b % 14 : 32 + b % 16, &frame))
        return b % 14;
    return frame;
}

uint64_t pick_host_addr(struct fuzz *f, domid_t dom)
{
    const struct hv_domain *d = domain_lookup(f->hv, dom);
    bool translated = d && d->guest == &guest_translated;
    uint8_t b = u8(&f->in);
    uint64_t page = (translated ? 32 : 0x100) + b % 16;

    if (b >= 160 && b < 208)
        page += u8(&f->in);
    if (b < 208)
        return page * HV_PAGE_SIZE;
    if (b < 224)
        return page * HV_PAGE_SIZE + 8;
    if (b < 240)
        return b % 14 * HV_PAGE_SIZE;  /* 0 among them, and a translated domain's own memory */
    if (b < 250)
        return (uint64_t)u8(&f->in) << (b % 8 * 8);
    return u64(&f->in);
}

uint32_t pick_map_flags(struct fuzz *f)
{
    static const uint32_t usual[] = {
        GNTMAP_host_map, GNTMAP_host_map | GNTMAP_readonly, GNTMAP_host_map,
        GNTMAP_host_map | GNTMAP_readonly,
        GNTMAP_device_map, GNTMAP_device_map | GNTMAP_readonly, GNTMAP_host_map | GNTMAP_device_map,
        GNTMAP_host_map | GNTMAP_device_map | GNTMAP_readonly,
        GNTMAP_host_map | GNTMAP_contains_pte, GNTMAP_host_map | GNTMAP_application_map,
    };
    uint8_t b = u8(&f->in);

    if (b < 224)
        return usual[b % (sizeof usual / sizeof *usual)];
    return b < 240 ? u8(&f->in) : u32(&f->in);
}

unsigned pick_count(struct fuzz *f, unsigned most)
{
    uint8_t b = u8(&f->in);

    if (b < 160)
        return 1;
    if (b < 240)
        return most < 4 ? most : 2u + b % 3;
    return b < 250 ? b % (most + 1) : most;
}

uint64_t pick_address(struct fuzz *f, size_t size)
{
    static const uint64_t nowhere[] = { 0, 1, UINT64_C(1) << 47, (UINT64_C(1) << 47) - 8,
                                        UINT64_C(0xffff800000000000),
                                        ARCH_XEN_END, UINT64_MAX - 7, ARENA_BASE - 8,
                                        ARENA_BASE + ARENA_SIZE };
    uint8_t b = u8(&f->in);

    if (b >= 252)
        return nowhere[u8(&f->in) % (sizeof nowhere / sizeof *nowhere)];
    if (b >= 244)
        return ARENA_BASE + ARENA_SIZE - size / 2 - b % 8;       /* the end comes half-way */
    return ARENA_BASE + b % 64 * 8;
}

/* How many of the size bytes at addr exist, from the first on. */
static size_t there(uint64_t addr, size_t size)
{
    uint64_t room;

    if (addr < ARENA_BASE || addr >= ARENA_BASE + ARENA_SIZE)
        return 0;
    room = ARENA_BASE + ARENA_SIZE - addr;
    return size < room ? size : room;
}

void put_args(struct fuzz *f, uint64_t addr, const void *args, size_t size)
{
    size_t n = there(addr, size);

    if (n)
        memcpy(f->arena + (addr - ARENA_BASE), args, n);
}

void get_args(const struct fuzz *f, uint64_t addr, void *args, size_t size)
{
    size_t n = there(addr, size);

    if (n)
        memcpy(args, f->arena + (addr - ARENA_BASE), n);
}

void remember_handle(struct fuzz *f, domid_t dom, uint32_t handle, uint64_t addr)
{
    unsigned slot = f->next_handle[dom]++ % NR_HANDLES;

    f->handles[dom][slot] = handle;
    f->handle_addr[dom][slot] = addr;
    if (handle >= MAX_HANDLES)
        fuzz_fail(f, "d%u got handle %u", dom, handle);
    f->addr_of[dom][handle] = addr;
}
