/* SPDX-License-Identifier: MIT */
/* One side of hook_bench.c: a machine of this build of the model, and map and unmap in a loop. */
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include <gntsim/hv.h>

#define NR_FRAMES 256u
#define REF 8u
#define ADDR 0x10000000ull

struct side {
    struct hv *hv;
    void *memory;
    struct hv_point ring[1024];
    uint64_t told;
};

struct side *side_create(void);
void side_destroy(struct side *s);
double side_time(struct side *s, unsigned n, int trace);

/* As little as a trace can do: the event is kept. */
static void keep(void *ctx, const struct hv_point *point, long result)
{
    struct side *s = ctx;

    (void)result;
    s->ring[s->told++ % 1024] = *point;
}

struct side *side_create(void)
{
    struct side *s = calloc(1, sizeof *s);
    struct hv_config config = { .nr_frames = NR_FRAMES, .hook_ctx = s };
    struct hv_domain_config domain;
    grant_entry_v1_t *entry;
    uint64_t frame;

    hv_domain_config_init(&domain);
    domain.nr_pages = 4;
    s->memory = config.memory = mmap(NULL, NR_FRAMES * HV_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s->memory == MAP_FAILED || hv_create(&s->hv, &config) || hv_domain_create(s->hv, 1, &domain) ||
        hv_domain_create(s->hv, 2, &domain) || hv_grant_frame_number(s->hv, 1, 0, &frame))
        abort();
    entry = hv_grant_frame(s->hv, 1, 0);
    entry[REF].frame = (uint32_t)frame;
    entry[REF].domid = 2;
    entry[REF].flags = GTF_permit_access;
    return s;
}

void side_destroy(struct side *s)
{
    hv_destroy(s->hv);
    munmap(s->memory, NR_FRAMES * HV_PAGE_SIZE);
    free(s);
}

double side_time(struct side *s, unsigned n, int trace)
{
    struct timespec begin, end;

    hv_set_trace(s->hv, trace ? keep : NULL);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (unsigned i = 0; i < n; i++) {
        struct gnttab_map_grant_ref map = { .host_addr = ADDR, .flags = GNTMAP_host_map, .ref = REF, .dom = 1 };
        struct gnttab_unmap_grant_ref unmap = { .host_addr = ADDR };

        hv_grant_table_op(s->hv, 2, GNTTABOP_map_grant_ref, &map, 1);
        unmap.handle = map.handle;
        hv_grant_table_op(s->hv, 2, GNTTABOP_unmap_grant_ref, &unmap, 1);
        if (map.status || unmap.status)
            abort();
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    return ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) / n;
}
