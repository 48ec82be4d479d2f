/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: a store that says what it likes to a kernel, and processes that ask meanwhile.
 * An input is a list of steps: what, two bytes, how many bytes follow, and these.
 *
 *   0  a process writes a request: type, transaction     5  the event channel is raised
 *   1  it writes the bytes as they are                   6  a process reads
 *   2  the store answers the oldest request              7  a device is opened or closed
 *   3  it says something: type, number of the request    8  one of the four indices gets a value
 *   4  bytes into the page, at a place
 */
#include "harness.h"

#include <xen/io/xs_wire.h>

#define NR_FILES 3u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct scene {
    struct xenstore_domain_interface *ring;
    uint32_t port;
    struct file *files[NR_FILES];
};

struct step {
    uint8_t what, a, b, nr;
    const uint8_t *bytes;
};

static void put(struct scene *scene, const void *bytes, size_t size)
{
    struct xenstore_domain_interface *ring = scene->ring;

    for (size_t i = 0; i < size; i++)
        ring->rsp[MASK_XENSTORE_IDX(ring->rsp_prod + i)] = ((const char *)bytes)[i];
    ring->rsp_prod += (uint32_t)size;
}

static void say(struct scene *scene, struct xsd_sockmsg header, const struct step *step)
{
    header.len = step->nr;
    put(scene, &header, sizeof header);
    put(scene, step->bytes, step->nr);
    hv_port_raise(w.hv, 1, scene->port);
}

/* As far as the indices make sense. */
static void answer(struct scene *scene, const struct step *step)
{
    struct xenstore_domain_interface *ring = scene->ring;
    struct xsd_sockmsg header;
    uint32_t used = ring->req_prod - ring->req_cons;

    if (used < sizeof header || used > XENSTORE_RING_SIZE)
        return;
    for (size_t i = 0; i < sizeof header; i++)
        ((char *)&header)[i] = ring->req[MASK_XENSTORE_IDX(ring->req_cons + i)];
    ring->req_cons += (uint32_t)sizeof header;
    used -= (uint32_t)sizeof header;
    ring->req_cons += header.len < used ? header.len : used;
    if (step->a & 1)
        header.type = XS_ERROR;
    say(scene, header, step);
}

static void write_request(struct file *file, const struct step *step)
{
    struct {
        struct xsd_sockmsg header;
        char body[256];
    } message = { .header = { step->a % 27, 1, step->b % 4, step->nr } };

    memcpy(message.body, step->bytes, step->nr);
    kernel_write(file, &message, sizeof message.header + step->nr);
}

static void read_some(struct file *file, size_t size)
{
    struct call call;
    char bytes[256];

    file->flags |= O_NONBLOCK;
    start_read(file, bytes, size, &call);
}

static void do_step(struct scene *scene, const struct step *step)
{
    struct xenstore_domain_interface *ring = scene->ring;
    struct file **file = &scene->files[step->b >> 2 & 1 ? 1 : step->what >> 4 & 1 ? 2 : 0];
    uint32_t *const indices[] = { &ring->req_cons, &ring->req_prod, &ring->rsp_cons,
                                  &ring->rsp_prod };
    size_t place = (step->a << 8 | step->b) % sizeof *ring;

    switch (step->what % 16 % 9) {
    case 0:
        if (*file)
            write_request(*file, step);
        break;
    case 1:
        if (*file)
            kernel_write(*file, step->bytes, step->nr);
        break;
    case 2:
        answer(scene, step);
        break;
    case 3:
        say(scene, (struct xsd_sockmsg){ .type = step->a % 27, .req_id = step->b }, step);
        break;
    case 4:
        memcpy((char *)ring + place, step->bytes,
               step->nr < sizeof *ring - place ? step->nr : sizeof *ring - place);
        break;
    case 5:
        hv_port_raise(w.hv, 1, scene->port);
        break;
    case 6:
        if (*file)
            read_some(*file, step->nr);
        break;
    case 7:
        if (*file) {
            close_dev(*file);
            *file = NULL;
        } else {
            *file = open_dev(1, "xenbus");
        }
        break;
    default:
        *indices[step->a % 4] += (uint32_t)(int8_t)step->b * (step->nr ? step->nr : 1u);
    }
    settle();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scene scene = { .port = 0 };
    struct step step;
    uint64_t mfn;
    int64_t gfn;

    if (!size)
        return 0;
    use_profile(kernel_profiles[data[0] % 3]->name);
    world_up();
    gfn = hv_page_alloc(w.hv, 1, &mfn);
    MUST(gfn >= 0);
    MUST(hv_port_alloc(w.hv, 1, 0, &scene.port) == 0);
    scene.ring = hv_frame(w.hv, mfn);
    EQ(kernel_connect_store(w.k[1], (uint64_t)gfn, scene.port), 0);
    for (size_t at = 1; at + 4 <= size; at += 4u + step.nr) {
        step = (struct step){ data[at], data[at + 1], data[at + 2], data[at + 3], data + at + 4 };
        if (step.nr > size - at - 4)
            step.nr = (uint8_t)(size - at - 4);
        do_step(&scene, &step);
    }
    for (unsigned i = 0; i < NR_FILES; i++)
        if (scene.files[i])
            close_dev(scene.files[i]);
    settle();
    world_down();
    return 0;
}
