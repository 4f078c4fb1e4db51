/* A seeded relay between two wires: delay, rate, a drop-tail queue and loss, alike both ways.
 *
 * usage: relay FD FD DELAY-US RATE-BPS QUEUE-OCTETS LOSS-PPM SEED
 *
 * Each descriptor gives and takes one Ethernet frame a call: a TAP device, or an AF_PACKET socket
 * bound to one. A frame waits until the link is free, is clocked out at the rate, and arrives a
 * delay later. One that finds more than QUEUE-OCTETS before it is dropped, and so is each one that
 * chance chooses: by the seed, the direction and the frame's number, so that runs with one seed
 * lose the same numbers. ARP and SYNs are never lost: a second's silence at the start would say
 * nothing of the flow. At SIGTERM the counts are printed as JSON.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 1 << 14, FRAME_MAX = 2048, BURST = 64, TYPE_AT = 12, IP_AT = 14, SYN = 2 };

struct frame {
    int64_t due;
    uint32_t len;
    uint8_t octets[FRAME_MAX];
};

struct way {
    struct frame *ring;
    uint32_t first, count;
    int64_t free_at; /* when the link has clocked out all that waits */
    uint64_t frames, lost, overflowed, refused;
};

static volatile sig_atomic_t stopped;

static void stop(int number) {
    (void)number;
    stopped = 1;
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* splitmix64: any two inputs are unrelated */
static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* whether a frame may be lost at all: IPv4 and IPv6 TCP without SYN, and other IP packets */
static int may_lose(const uint8_t *frame, uint32_t len) {
    unsigned type = (unsigned)frame[TYPE_AT] << 8 | frame[TYPE_AT + 1];
    if (type != 0x0800 && type != 0x86dd) return 0;
    unsigned header = type == 0x0800 ? (frame[IP_AT] & 15u) * 4u : 40u;
    unsigned protocol = type == 0x0800 ? frame[IP_AT + 9] : frame[IP_AT + 6];
    if (protocol != 6 || len < IP_AT + header + 20) return protocol == 17;
    return (frame[IP_AT + header + 13] & SYN) == 0;
}

int main(int argc, char **argv) {
    if (argc != 8) {
        fprintf(stderr, "usage: relay FD FD DELAY-US RATE-BPS QUEUE-OCTETS LOSS-PPM SEED\n");
        return 2;
    }
    int fd[2] = {atoi(argv[1]), atoi(argv[2])};
    int64_t delay = atoll(argv[3]) * 1000, rate = atoll(argv[4]), limit = atoll(argv[5]);
    uint64_t ppm = strtoull(argv[6], NULL, 10), seed = strtoull(argv[7], NULL, 10);
    struct way ways[2] = {{0}, {0}};
    for (int i = 0; i < 2; i++) {
        ways[i].ring = calloc(SLOTS, sizeof(struct frame));
        if (!ways[i].ring) return 1;
    }
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    printf("relaying\n");
    fflush(stdout);
    while (!stopped) {
        int64_t now = now_ns(), due = INT64_MAX;
        for (int i = 0; i < 2; i++) { /* what has arrived at the far end */
            struct way *w = &ways[i];
            while (w->count && w->ring[w->first].due <= now) {
                struct frame *f = &w->ring[w->first];
                if (write(fd[1 - i], f->octets, f->len) < 0 &&
                    (errno == EAGAIN || errno == ENOBUFS))
                    w->refused++; /* any other error: an end is gone */
                w->first = (w->first + 1) % SLOTS;
                w->count--;
            }
            if (w->count && w->ring[w->first].due < due) due = w->ring[w->first].due;
        }
        struct pollfd polls[2] = {{fd[0], POLLIN, 0}, {fd[1], POLLIN, 0}};
        struct timespec wait = {1, 0};
        if (due != INT64_MAX) {
            int64_t left = due - now_ns();
            if (left < 0) left = 0;
            wait.tv_sec = left / 1000000000;
            wait.tv_nsec = left % 1000000000;
        }
        if (ppoll(polls, 2, &wait, NULL) <= 0) continue;
        for (int i = 0; i < 2; i++) {
            struct way *w = &ways[i];
            if (!(polls[i].revents & POLLIN)) continue;
            for (int n = 0; n < BURST; n++) {
                struct frame *f = &w->ring[(w->first + w->count) % SLOTS];
                ssize_t len = read(fd[i], f->octets, FRAME_MAX);
                if (len < IP_AT) break;
                now = now_ns();
                w->frames++;
                if (w->free_at < now) w->free_at = now;
                int64_t backlog = (int64_t)((double)(w->free_at - now) * (double)rate / 8e9);
                if (w->count == SLOTS - 1 || backlog > limit) {
                    w->overflowed++;
                    continue;
                }
                uint64_t draw = mix(mix(seed * 2 + (uint64_t)i) + w->frames) % 1000000;
                w->free_at += (int64_t)((double)len * 8e9 / (double)rate);
                if (draw < ppm && may_lose(f->octets, (uint32_t)len)) {
                    w->lost++;
                    continue;
                }
                f->len = (uint32_t)len;
                f->due = w->free_at + delay;
                w->count++;
            }
        }
    }
    printf("{\"frames\": [%lu, %lu], \"lost\": [%lu, %lu], \"overflowed\": [%lu, %lu], "
           "\"refused\": [%lu, %lu]}\n",
           ways[0].frames, ways[1].frames, ways[0].lost, ways[1].lost, ways[0].overflowed,
           ways[1].overflowed, ways[0].refused, ways[1].refused);
    return 0;
}
