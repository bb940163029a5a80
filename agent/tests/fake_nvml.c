/* A fake libnvidia-ml.so.1 for tests: what it tells stands in a file beside it, PATH.txt, that is read anew on every call, so a
 * test changes the machine's GPUs by writing the file. A line is a word and fields, name=value, without spaces in values:
 *
 *   init rc=9
 *   driver version=550.54.15
 *   gpu index=0 uuid=GPU-a minor=0 name=Fake bus=00000000:01:00.0 numa=0 mem=1000 used=10 util=5 temp=40 power=70000
 *       ecc=1 dbe=0 energy=1000 mig=0 rc=0
 *   instance gpu=0 index=0 uuid=MIG-a name=Fake gi=1 ci=0 mem=100
 *   link a=0 b=1 level=10 nvlinks=2
 *   event seq=1 gpu=0 type=8 data=79 gi=4294967295
 *   fail symbol=nvmlDeviceGetName rc=3
 *
 * rc: what calls for that GPU, or of that symbol, return. With -DBARE only what must be there is there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef unsigned int u32;
typedef unsigned long long u64;
typedef int R;
typedef void *H;

enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TIMEOUT = 10 };

static FILE *config(void) {
    Dl_info about;
    char path[4096];
    if (!dladdr((void *)config, &about)) return NULL;
    snprintf(path, sizeof path, "%s.txt", about.dli_fname);
    return fopen(path, "r");
}

/* The value of a field of a line. */
static int field(const char *line, const char *name, char *into, size_t size) {
    char key[64];
    snprintf(key, sizeof key, " %s=", name);
    const char *at = strstr(line, key);
    if (!at) return 0;
    at += strlen(key);
    size_t length = strcspn(at, " \n");
    if (length >= size) length = size - 1;
    memcpy(into, at, length);
    into[length] = 0;
    return 1;
}
static u64 number(const char *line, const char *name, u64 otherwise) {
    char text[64];
    return field(line, name, text, sizeof text) ? strtoull(text, NULL, 0) : otherwise;
}

/* The first line of a kind whose two fields have these values; a NULL name: any. */
static int find(const char *kind, const char *a, u64 x, const char *b, u64 y, char *line, size_t size) {
    FILE *file = config();
    size_t length = strlen(kind);
    int found = 0;
    while (file && !found && fgets(line, (int)size, file)) {
        found = !strncmp(line, kind, length) && line[length] == ' ' && (!a || number(line, a, ~0ull) == x) &&
                (!b || number(line, b, ~0ull) == y);
    }
    if (file) fclose(file);
    return found;
}
static R failing(const char *symbol) {
    FILE *file = config();
    char line[1024], name[128];
    R rc = OK;
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, "fail ", 5) && field(line, "symbol", name, sizeof name) && !strcmp(name, symbol))
            rc = (R)number(line, "rc", 999);
    if (file) fclose(file);
    return rc;
}

R nvmlInit_v2(void) {
    char line[1024];
    return find("init", NULL, 0, NULL, 0, line, sizeof line) ? (R)number(line, "rc", 0) : OK;
}
R nvmlInitWithFlags(u32 flags) { (void)flags; return nvmlInit_v2(); }

#ifndef BARE
/* The line of a handle: a GPU's is its index and one; an instance's has the bit 0x1000. */
static int is_instance(H h) { return ((size_t)h & 0x1000) != 0; }
static u32 gpu_of(H h) { return is_instance(h) ? (u32)(((size_t)h & 0xfff) >> 6) : (u32)(size_t)h - 1; }
static R look(H h, const char *symbol, char *line, size_t size) {
    R rc = failing(symbol);
    if (rc) return rc;
    if (!find("gpu", "index", gpu_of(h), NULL, 0, line, size)) return INVALID;
    rc = (R)number(line, "rc", 0);
    if (rc || !is_instance(h)) return rc;
    return find("instance", "gpu", gpu_of(h), "index", (size_t)h & 63, line, size) ? OK : INVALID;
}
#define LOOK(h) \
    char line[1024]; \
    R rc = look(h, __func__, line, sizeof line); \
    if (rc) return rc

static R text(const char *line, const char *name, char *into, u32 size) {
    return field(line, name, into, size) ? OK : NOT_SUPPORTED;
}
static R small(const char *line, const char *name, u32 *into) {
    u64 value = number(line, name, ~0ull);
    if (value == ~0ull) return NOT_SUPPORTED;
    *into = (u32)value;
    return OK;
}
static R large(const char *line, const char *name, u64 *into) {
    *into = number(line, name, ~0ull);
    return *into == ~0ull ? NOT_SUPPORTED : OK;
}

R nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(R rc) { return rc ? "fake error" : "Success"; }
R nvmlSystemGetDriverVersion(char *into, u32 size) {
    char line[1024];
    return find("driver", NULL, 0, NULL, 0, line, sizeof line) ? text(line, "version", into, size) : NOT_SUPPORTED;
}
R nvmlDeviceGetCount_v2(u32 *count) {
    char line[1024];
    R rc = failing(__func__);
    for (*count = 0; !rc && find("gpu", "index", *count, NULL, 0, line, sizeof line);) ++*count;
    return rc;
}
R nvmlDeviceGetHandleByIndex_v2(u32 index, H *h) {
    *h = (H)(size_t)(index + 1);
    LOOK(*h);
    return OK;
}
R nvmlDeviceGetHandleByUUID(const char *uuid, H *h) {
    char line[1024], own[128];
    FILE *file = config();
    R rc = failing(__func__);
    int found = 0;
    while (file && !rc && !found && fgets(line, sizeof line, file)) {
        int part = !strncmp(line, "instance ", 9);
        if (!part && strncmp(line, "gpu ", 4)) continue;
        found = field(line, "uuid", own, sizeof own) && !strcmp(own, uuid);
        *h = (H)(size_t)(part ? 0x1000 | number(line, "gpu", 0) << 6 | number(line, "index", 0) : number(line, "index", 0) + 1);
    }
    if (file) fclose(file);
    return rc ? rc : found ? look(*h, __func__, line, sizeof line) : NOT_FOUND;
}
R nvmlDeviceGetUUID(H h, char *into, u32 size) { LOOK(h); return text(line, "uuid", into, size); }
R nvmlDeviceGetName(H h, char *into, u32 size) { LOOK(h); return text(line, "name", into, size); }
R nvmlDeviceGetIndex(H h, u32 *into) { LOOK(h); return small(line, "index", into); }
R nvmlDeviceGetMinorNumber(H h, u32 *into) { LOOK(h); return small(line, "minor", into); }
R nvmlDeviceGetNumaNodeId(H h, u32 *into) { LOOK(h); return small(line, "numa", into); }
R nvmlDeviceGetGpuInstanceId(H h, u32 *into) { LOOK(h); return small(line, "gi", into); }
R nvmlDeviceGetComputeInstanceId(H h, u32 *into) { LOOK(h); return small(line, "ci", into); }
R nvmlDeviceGetTemperature(H h, int sensor, u32 *into) { (void)sensor; LOOK(h); return small(line, "temp", into); }
R nvmlDeviceGetPowerUsage(H h, u32 *into) { LOOK(h); return small(line, "power", into); }
R nvmlDeviceGetTotalEnergyConsumption(H h, u64 *into) { LOOK(h); return large(line, "energy", into); }
R nvmlDeviceGetTotalEccErrors(H h, int type, int counter, u64 *into) {
    LOOK(h);
    return type == 1 && counter == 0 ? large(line, "dbe", into) : NOT_SUPPORTED;
}
R nvmlDeviceGetEccMode(H h, u32 *now, u32 *pending) { LOOK(h); rc = small(line, "ecc", now); *pending = *now; return rc; }
R nvmlDeviceGetMigMode(H h, u32 *now, u32 *pending) { LOOK(h); rc = small(line, "mig", now); *pending = *now; return rc; }
R nvmlDeviceGetUtilizationRates(H h, u32 *into) { LOOK(h); into[1] = 0; return small(line, "util", into); }

struct memory { u32 version; u64 total, reserved, free, used; };
R nvmlDeviceGetMemoryInfo_v2(H h, struct memory *into) {
    LOOK(h);
    into->used = number(line, "used", 0);
    into->reserved = 0;
    rc = large(line, "mem", &into->total);
    into->free = into->total - into->used;
    return rc;
}

struct pci { char legacy[16]; u32 domain, bus, device, id, subsystem; char bus_id[32]; };
static R pci(const char *line, struct pci *into) {
    memset(into, 0, sizeof *into);
    return text(line, "bus", into->bus_id, sizeof into->bus_id);
}
R nvmlDeviceGetPciInfo_v3(H h, struct pci *into) { LOOK(h); return pci(line, into); }

static int between(u32 a, u32 b, char *line, size_t size) {
    return find("link", "a", a, "b", b, line, size) || find("link", "a", b, "b", a, line, size);
}
R nvmlDeviceGetTopologyCommonAncestor(H h, H other, int *level) {
    LOOK(h);
    if (!between(gpu_of(h), gpu_of(other), line, sizeof line)) return NOT_SUPPORTED;
    *level = (int)number(line, "level", 50);
    return OK;
}
/* Which GPU the link of this number leads to. */
static int peer(u32 gpu, u32 link, u32 *into) {
    char line[1024];
    for (u32 other = 0; other < 64; ++other) {
        u32 links = between(gpu, other, line, sizeof line) ? (u32)number(line, "nvlinks", 0) : 0;
        if (link < links) { *into = other; return 1; }
        link -= links;
    }
    return 0;
}
R nvmlDeviceGetNvLinkState(H h, u32 link, u32 *active) {
    u32 other;
    LOOK(h);
    *active = (u32)peer(gpu_of(h), link, &other);
    return OK;
}
R nvmlDeviceGetNvLinkRemotePciInfo_v2(H h, u32 link, struct pci *into) {
    u32 other;
    LOOK(h);
    if (!peer(gpu_of(h), link, &other)) return NOT_SUPPORTED;
    return find("gpu", "index", other, NULL, 0, line, sizeof line) ? pci(line, into) : NOT_SUPPORTED;
}

R nvmlDeviceGetMaxMigDeviceCount(H h, u32 *into) { LOOK(h); *into = number(line, "mig", 0) ? 7 : 0; return OK; }
R nvmlDeviceGetMigDeviceHandleByIndex(H h, u32 index, H *into) {
    LOOK(h);
    *into = (H)(size_t)(0x1000 | gpu_of(h) << 6 | index);
    return find("instance", "gpu", gpu_of(h), "index", index, line, sizeof line) ? OK : NOT_FOUND;
}

struct event { H device; u64 type, data; u32 gi, ci; };
static u64 delivered;
R nvmlEventSetCreate(H *set) { *set = (H)1; return failing(__func__); }
R nvmlEventSetFree(H set) { (void)set; return OK; }
R nvmlDeviceGetSupportedEventTypes(H h, u64 *into) { LOOK(h); *into = 0x11b; return OK; }
R nvmlDeviceRegisterEvents(H h, u64 types, H set) { (void)types; (void)set; LOOK(h); return OK; }
R nvmlEventSetWait_v2(H set, struct event *into, u32 timeout_ms) {
    (void)set;
    for (u32 waited = 0;; waited += 5) {
        char line[1024];
        if (find("event", "seq", delivered + 1, NULL, 0, line, sizeof line)) {
            ++delivered;
            into->device = (H)(size_t)(number(line, "gpu", 0) + 1);
            into->type = number(line, "type", 8);
            into->data = number(line, "data", 0);
            into->gi = into->ci = (u32)number(line, "gi", 0xffffffffu);
            return OK;
        }
        if (waited >= timeout_ms) return TIMEOUT;
        struct timespec pause = {0, 5000000};
        nanosleep(&pause, NULL);
    }
}
#endif
