/* The wire ceiling: what a TAP device gives to a server that does no work at all.
 *
 * A responder without a stack. It keeps no state: every answer is made from the segment that asks
 * for it, so it survives only on a wire that neither loses nor reorders. It answers ARP, takes any
 * connection, sends one ready-made HTTP response for every segment with data, and FIN for FIN.
 *
 * usage: ceiling TAP-NAME ADDRESS BODY-FILE keep|close
 *
 * The device carries virtio headers: partial checksums and TCP segmentation are left to the
 * kernel, and a response goes out as one writev of headers and body.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    VNET_LEN = 10,
    ETH_LEN = 14,
    IP_LEN = 20,
    TCP_LEN = 20,
    MSS = 1460,
    SUPER_MAX = 44 * MSS, /* the largest whole number of segments in one IPv4 datagram */
    FIN = 1,
    SYN = 2,
    RST = 4,
    PSH = 8,
    ACK = 16,
};

struct segment {
    const uint8_t *eth, *ip, *tcp;
    uint32_t seq, ack, payload_len;
    uint8_t flags;
};

static const uint8_t our_mac[6] = {0x02, 0x43, 0x45, 0x49, 0x4c, 0x02};
static uint32_t our_address; /* network order */
static uint8_t *response;
static uint32_t response_len;
static int tap, end_flag;

static uint16_t load16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static uint32_t load32(const uint8_t *at) { return (uint32_t)load16(at) << 16 | load16(at + 2); }
static void store16(uint8_t *at, uint32_t v) { at[0] = (uint8_t)(v >> 8), at[1] = (uint8_t)v; }
static void store32(uint8_t *at, uint32_t v) { store16(at, v >> 16), store16(at + 2, v); }

static void fail(const char *what) {
    fprintf(stderr, "ceiling: %s: %s\n", what, strerror(errno));
    exit(2);
}

static uint32_t add_words(const uint8_t *at, int octets, uint32_t sum) {
    for (int i = 0; i < octets; i += 2) sum += load16(at + i);
    return sum;
}

static uint32_t folded(uint32_t sum) {
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static void put_on_wire(struct iovec *parts, int count) {
    while (writev(tap, parts, count) < 0)
        if (errno != EINTR) fail("writev");
}

/* One segment back to where `in` came from; `data` may be up to SUPER_MAX octets. */
static void answer(const struct segment *in, uint32_t seq, uint32_t ack, int flags,
                   const uint8_t *data, uint32_t data_len) {
    static const uint8_t options[8] = {2, 4, MSS >> 8, MSS & 255, 3, 3, 8, 1}; /* MSS, scale 8 */
    static uint8_t head[VNET_LEN + ETH_LEN + IP_LEN + TCP_LEN + sizeof options];
    uint32_t option_len = flags & SYN ? sizeof options : 0;
    uint32_t tcp_len = TCP_LEN + option_len, head_len = ETH_LEN + IP_LEN + tcp_len;
    struct virtio_net_hdr vnet = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                  .hdr_len = (uint16_t)head_len,
                                  .csum_start = ETH_LEN + IP_LEN,
                                  .csum_offset = 16};
    if (data_len > MSS) vnet.gso_type = VIRTIO_NET_HDR_GSO_TCPV4, vnet.gso_size = MSS;
    memcpy(head, &vnet, VNET_LEN);
    uint8_t *eth = head + VNET_LEN, *ip = eth + ETH_LEN, *tcp = ip + IP_LEN;
    memcpy(eth, in->eth + 6, 6);
    memcpy(eth + 6, our_mac, 6);
    store16(eth + 12, 0x0800);
    store16(ip, 0x4500);
    store16(ip + 2, IP_LEN + tcp_len + data_len);
    store32(ip + 4, 0x4000); /* identification 0, do not fragment */
    store16(ip + 8, 64 << 8 | IPPROTO_TCP);
    store16(ip + 10, 0);
    memcpy(ip + 12, in->ip + 16, 4);
    memcpy(ip + 16, in->ip + 12, 4);
    store16(ip + 10, ~folded(add_words(ip, IP_LEN, 0)) & 0xffff);
    memcpy(tcp, in->tcp + 2, 2);
    memcpy(tcp + 2, in->tcp, 2);
    store32(tcp + 4, seq);
    store32(tcp + 8, ack);
    store16(tcp + 12, tcp_len / 4 << 12 | (uint32_t)flags);
    store16(tcp + 14, 65535);
    store32(tcp + 16, 0);
    memcpy(tcp + TCP_LEN, options, option_len);
    store16(tcp + 16, folded(add_words(ip + 12, 8, IPPROTO_TCP + tcp_len + data_len)));
    struct iovec parts[2] = {{head, VNET_LEN + head_len}, {(void *)data, data_len}};
    put_on_wire(parts, data_len ? 2 : 1);
}

static void answer_request(const struct segment *in) {
    uint32_t ack = in->seq + in->payload_len, at = 0;
    while (response_len - at > SUPER_MAX) {
        answer(in, in->ack + at, ack, ACK, response + at, SUPER_MAX);
        at += SUPER_MAX;
    }
    answer(in, in->ack + at, ack, ACK | PSH | end_flag, response + at, response_len - at);
}

static void on_segment(const struct segment *in) {
    if (in->flags & RST) return;
    if (in->flags & SYN)
        answer(in, 0x10000000, in->seq + 1, SYN | ACK, 0, 0);
    else if (in->payload_len)
        answer_request(in);
    else if (in->flags & FIN) /* with close, our own FIN went out with the response */
        answer(in, in->ack, in->seq + 1, end_flag ? ACK : ACK | FIN, 0, 0);
}

static void on_arp(const uint8_t *eth) {
    const uint8_t *arp = eth + ETH_LEN;
    if (load16(arp + 6) != 1 || memcmp(arp + 24, &our_address, 4)) return;
    uint8_t out[VNET_LEN + ETH_LEN + 28] = {0};
    uint8_t *to = out + VNET_LEN;
    memcpy(to, eth + 6, 6);
    memcpy(to + 6, our_mac, 6);
    store16(to + 12, 0x0806);
    memcpy(to + ETH_LEN, arp, 6);
    store16(to + ETH_LEN + 6, 2);
    memcpy(to + ETH_LEN + 8, our_mac, 6);
    memcpy(to + ETH_LEN + 14, &our_address, 4);
    memcpy(to + ETH_LEN + 18, arp + 8, 10);
    struct iovec part = {out, sizeof out};
    put_on_wire(&part, 1);
}

static void on_frame(const uint8_t *eth, uint32_t frame_len) {
    if (frame_len >= ETH_LEN + 28 && load16(eth + 12) == 0x0806) {
        on_arp(eth);
        return;
    }
    const uint8_t *ip = eth + ETH_LEN, *tcp = ip + IP_LEN;
    if (frame_len < ETH_LEN + IP_LEN + TCP_LEN || load16(eth + 12) != 0x0800 || ip[0] != 0x45 ||
        ip[9] != IPPROTO_TCP || memcmp(ip + 16, &our_address, 4))
        return;
    uint32_t header_len = IP_LEN + (uint32_t)(tcp[12] >> 4) * 4, total_len = load16(ip + 2);
    if (total_len < header_len || ETH_LEN + total_len > frame_len) return;
    struct segment in = {eth,           ip, tcp, load32(tcp + 4), load32(tcp + 8),
                         total_len - header_len, tcp[13]};
    on_segment(&in);
}

static void open_tap(const char *name) {
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int vnet_len = VNET_LEN;
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if ((tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK)) < 0) fail("/dev/net/tun");
    if (ioctl(tap, TUNSETIFF, &request)) fail("TUNSETIFF");
    if (ioctl(tap, TUNSETVNETHDRSZ, &vnet_len)) fail("TUNSETVNETHDRSZ");
    if (ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)) fail("TUNSETOFFLOAD");
}

static void make_response(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    fseek(file, 0, SEEK_END);
    long body_len = ftell(file);
    rewind(file);
    response = malloc((size_t)body_len + 256);
    if (!response) fail("malloc");
    response_len = (uint32_t)sprintf((char *)response,
                                     "HTTP/1.1 200 OK\r\nServer: ceiling\r\nConnection: %s\r\n"
                                     "Content-Type: text/html\r\nContent-Length: %ld\r\n\r\n",
                                     end_flag ? "close" : "keep-alive", body_len);
    if (fread(response + response_len, 1, (size_t)body_len, file) != (size_t)body_len) fail(path);
    response_len += (uint32_t)body_len;
    fclose(file);
}

int main(int count, char **words) {
    static uint8_t frame[VNET_LEN + 65536 + 64];
    if (count != 5) {
        fprintf(stderr, "usage: ceiling TAP-NAME ADDRESS BODY-FILE keep|close\n");
        return 2;
    }
    if (inet_pton(AF_INET, words[2], &our_address) != 1) fail(words[2]);
    end_flag = strcmp(words[4], "close") ? 0 : FIN;
    make_response(words[3]);
    open_tap(words[1]);
    for (;;) {
        ssize_t got = read(tap, frame, sizeof frame);
        if (got > VNET_LEN)
            on_frame(frame + VNET_LEN, (uint32_t)got - VNET_LEN);
        else if (got < 0 && errno == EAGAIN) {
            struct pollfd wait = {tap, POLLIN, 0};
            poll(&wait, 1, -1);
        } else if (got < 0 && errno != EINTR && errno != EIO)
            fail("read");
    }
}
