// Batches of datagrams in and out, with the kernel's segmentation offload where it has one.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "CDatagram.h"

#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

// The first 12 bytes of an IPv4 address mapped into IPv6: ten of zero, two of 0xff.
#define MAPPED_PREFIX 0xffffull

static int is_mapped(const cdatagram_address *address) {
  return address->high == 0 && address->low >> 32 == MAPPED_PREFIX;
}

uint32_t cdatagram_to_sockaddr(const cdatagram_address *address, int family, void *out) {
  if (family == AF_INET) {
    if (!is_mapped(address)) return 0;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(address->port)};
    in.sin_addr.s_addr = htonl((uint32_t)address->low);
    memcpy(out, &in, sizeof in);
    return sizeof in;
  }
  struct sockaddr_in6 in6 = {
    .sin6_family = AF_INET6, .sin6_port = htons(address->port), .sin6_scope_id = address->scope};
  uint64_t words[2] = {htobe64(address->high), htobe64(address->low)};
  memcpy(&in6.sin6_addr, words, sizeof words);
  memcpy(out, &in6, sizeof in6);
  return sizeof in6;
}

int cdatagram_from_sockaddr(const void *from, uint32_t size, cdatagram_address *out) {
  sa_family_t family = ((const struct sockaddr *)from)->sa_family;
  if (family == AF_INET && size >= sizeof(struct sockaddr_in)) {
    struct sockaddr_in in;
    memcpy(&in, from, sizeof in);
    out->high = 0;
    out->low = MAPPED_PREFIX << 32 | ntohl(in.sin_addr.s_addr);
    out->port = ntohs(in.sin_port);
    out->scope = 0;
    return 0;
  }
  if (family == AF_INET6 && size >= sizeof(struct sockaddr_in6)) {
    struct sockaddr_in6 in6;
    uint64_t words[2];
    memcpy(&in6, from, sizeof in6);
    memcpy(words, &in6.sin6_addr, sizeof words);
    out->high = be64toh(words[0]);
    out->low = be64toh(words[1]);
    out->port = ntohs(in6.sin6_port);
    out->scope = is_mapped(out) ? 0 : in6.sin6_scope_id;
    return 0;
  }
  return -1;
}

// Room for one control message that carries an int, aligned as one must be.
typedef union {
  struct cmsghdr header;
  char room[CMSG_SPACE(sizeof(int))];
} control;

static uint32_t segment_of(struct msghdr *message) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO) continue;
    int size = 0;
    memcpy(&size, CMSG_DATA(c), sizeof size);
    return size > 0 ? (uint32_t)size : 0;
  }
  return 0;
}

int cdatagram_receive(int fd, cdatagram_message *messages, int count) {
  struct mmsghdr headers[CDATAGRAM_BATCH];
  struct iovec vectors[CDATAGRAM_BATCH];
  struct sockaddr_in6 names[CDATAGRAM_BATCH];
  control controls[CDATAGRAM_BATCH];
  if (count > CDATAGRAM_BATCH) count = CDATAGRAM_BATCH;
  for (int i = 0; i < count; i++) {
    vectors[i] = (struct iovec){.iov_base = messages[i].bytes, .iov_len = messages[i].capacity};
    headers[i].msg_hdr = (struct msghdr){
      .msg_name = &names[i], .msg_namelen = sizeof names[i], .msg_iov = &vectors[i], .msg_iovlen = 1,
      .msg_control = &controls[i], .msg_controllen = sizeof controls[i]};
    headers[i].msg_len = 0;
  }
  int received;
  do received = recvmmsg(fd, headers, (unsigned)count, MSG_DONTWAIT, NULL);
  while (received < 0 && errno == EINTR);
  if (received < 0) return -errno;
  for (int i = 0; i < received; i++) {
    struct msghdr *header = &headers[i].msg_hdr;
    messages[i].length = headers[i].msg_len;
    messages[i].segment = segment_of(header);
    if (cdatagram_from_sockaddr(header->msg_name, header->msg_namelen, &messages[i].address) != 0)
      memset(&messages[i].address, 0, sizeof messages[i].address);
  }
  return received;
}

int cdatagram_send(int fd, int family, const cdatagram_message *messages, int count) {
  struct mmsghdr headers[CDATAGRAM_BATCH];
  struct iovec vectors[CDATAGRAM_BATCH];
  // The families differ in size; a sockaddr_in6 has room for both.
  struct sockaddr_in6 names[CDATAGRAM_BATCH];
  control controls[CDATAGRAM_BATCH];
  if (count > CDATAGRAM_BATCH) count = CDATAGRAM_BATCH;
  int ready = 0;
  for (; ready < count; ready++) {
    const cdatagram_message *message = &messages[ready];
    struct sockaddr_storage name;
    socklen_t size = cdatagram_to_sockaddr(&message->address, family, &name);
    if (size == 0) break;
    memcpy(&names[ready], &name, size);
    vectors[ready] = (struct iovec){.iov_base = message->bytes, .iov_len = message->length};
    struct msghdr *header = &headers[ready].msg_hdr;
    *header = (struct msghdr){
      .msg_name = &names[ready], .msg_namelen = size, .msg_iov = &vectors[ready], .msg_iovlen = 1};
    headers[ready].msg_len = 0;
    if (message->segment > 0 && message->segment < message->length) {
      uint16_t segment = (uint16_t)message->segment;
      memset(&controls[ready], 0, sizeof controls[ready]);
      header->msg_control = &controls[ready];
      header->msg_controllen = CMSG_SPACE(sizeof segment);
      struct cmsghdr *c = CMSG_FIRSTHDR(header);
      c->cmsg_level = SOL_UDP;
      c->cmsg_type = UDP_SEGMENT;
      c->cmsg_len = CMSG_LEN(sizeof segment);
      memcpy(CMSG_DATA(c), &segment, sizeof segment);
    }
  }
  if (ready == 0) return count == 0 ? 0 : -EAFNOSUPPORT;
  int sent;
  do sent = sendmmsg(fd, headers, (unsigned)ready, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : sent;
}

int cdatagram_enable_gro(int fd) {
  int on = 1;
  return setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on) == 0 ? 0 : -errno;
}

int cdatagram_probe_segment(int fd) {
  // Zero leaves it off for messages that don't ask, and still tells whether the kernel knows the option.
  int none = 0;
  return setsockopt(fd, SOL_UDP, UDP_SEGMENT, &none, sizeof none) == 0 ? 0 : -errno;
}

int cdatagram_forbid_fragments(int fd, int family) {
  int four = IP_PMTUDISC_PROBE;
  int six = IPV6_PMTUDISC_PROBE;
  int result = setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &four, sizeof four);
  if (family == AF_INET6) result = setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &six, sizeof six);
  return result == 0 ? 0 : -errno;
}

int cdatagram_raise_buffer(int fd, int option, int wanted) {
  int now = 0;
  socklen_t size = sizeof now;
  if (getsockopt(fd, SOL_SOCKET, option, &now, &size) != 0) return -errno;
  if (now < wanted) {
    setsockopt(fd, SOL_SOCKET, option, &wanted, sizeof wanted);
    size = sizeof now;
    if (getsockopt(fd, SOL_SOCKET, option, &now, &size) != 0) return -errno;
  }
  return now;
}

int cdatagram_wake_descriptor(void) {
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return fd >= 0 ? fd : -errno;
}
